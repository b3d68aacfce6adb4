package dynamic

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hole is a network between client and server that can stop carrying anything, while
// both ends see an open connection.
type hole struct {
	address string
	closed  atomic.Bool
}

func newHole(t *testing.T, to string) *hole {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	h := &hole{address: l.Addr().String()}
	var all sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	all.Go(func() {
		for {
			down, err := l.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", to)
			if err != nil {
				down.Close()
				continue
			}
			mu.Lock()
			open = append(open, down, up)
			mu.Unlock()
			all.Go(func() { h.carry(up, down) })
			all.Go(func() { h.carry(down, up) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return h
}

func (h *hole) carry(to, from net.Conn) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			if errors.Is(err, io.EOF) {
				to.Close()
			}
			return
		}
		if !h.closed.Load() {
			to.Write(b[:n]) //nolint:errcheck
		}
	}
}

func TestServerInABlackHoleIsNoticed(t *testing.T) {
	s := listen(t, "")
	h := newHole(t, s.address)
	r := prepareFor(t, h.address)
	r.timing.quiet, r.timing.answer, r.timing.connect = 20*time.Millisecond, 50*time.Millisecond, 100*time.Millisecond
	r.run()
	p := s.accept()
	p.depends([]string{"a"}, nil)
	p.wants("a")
	p.tell("a", 1001, 1)
	r.runs("a:1001[1]")
	r.connected()

	h.closed.Store(true)
	lost := r.until("lost", func(s Status) bool { return !s.Connected })
	assert.Contains(t, lost.LastError, "does not answer")
	assert.Equal(t, "a:1001[1]", r.text())

	h.closed.Store(false)
	p = s.accept()
	p.wants("a")
	r.connected()
}
