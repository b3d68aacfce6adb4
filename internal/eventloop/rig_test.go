package eventloop

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what has to happen.
const patience = 20 * time.Second

// fake is a Handler of functions. Without functions it takes all input and records
// what happened.
type fake struct {
	data    func(b []byte) int
	eof     func()
	flushed func()
	closed  func(err error)

	got     []byte
	datas   int
	eofs    int
	flushes int
	closes  []error
}

func (f *fake) Data(b []byte) int {
	f.datas++
	if f.data != nil {
		return f.data(b)
	}
	f.got = append(f.got, b...)
	return len(b)
}

func (f *fake) EOF() {
	f.eofs++
	if f.eof != nil {
		f.eof()
	}
}

func (f *fake) Flushed() {
	f.flushes++
	if f.flushed != nil {
		f.flushed()
	}
}

func (f *fake) Closed(err error) {
	f.closes = append(f.closes, err)
	if f.closed != nil {
		f.closed(err)
	}
}

// rig drives a loop by hand, one iteration at a time, so that a test decides what
// falls into which.
type rig struct {
	*testing.T
	l *Loop
}

func newRig(t *testing.T) *rig {
	l, err := New()
	require.NoError(t, err)
	l.scratch = l.pool.get(scratchSize)
	t.Cleanup(l.shutdown)
	return &rig{T: t, l: l}
}

// step runs one iteration, which does not block.
func (r *rig) step() {
	r.Helper()
	r.l.Post(func() {})
	require.NoError(r, r.l.iterate())
}

func (r *rig) until(what string, cond func() bool) {
	r.Helper()
	for end := time.Now().Add(patience); !cond(); r.step() {
		require.False(r, time.Now().After(end), "never happened: %s", what)
	}
}

// socketpair returns two connected non-blocking sockets.
func socketpair(t testing.TB) (ours, peer int) {
	t.Helper()
	p, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	return p[0], p[1]
}

// tcpPair returns two ends of a loopback TCP connection, non-blocking.
func tcpPair(t testing.TB) (ours, peer int) {
	t.Helper()
	ls, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer func() { _ = syscall.Close(ls) }()
	require.NoError(t, syscall.Bind(ls, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, syscall.Listen(ls, 1))
	addr, err := syscall.Getsockname(ls)
	require.NoError(t, err)
	peer, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, syscall.Connect(peer, addr))
	require.NoError(t, syscall.SetNonblock(peer, true))
	ours, _, err = syscall.Accept4(ls, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
	require.NoError(t, err)
	return ours, peer
}

// peer is the far end of a connection under test.
type peer struct {
	testing.TB
	fd   int
	gone bool
}

func (p *peer) close() {
	if !p.gone {
		p.gone = true
		_ = syscall.Close(p.fd)
	}
}

func (p *peer) send(s string) {
	p.Helper()
	n, err := syscall.Write(p.fd, []byte(s))
	require.NoError(p, err)
	require.Equal(p, len(s), n)
}

func (p *peer) endWrite() { require.NoError(p, syscall.Shutdown(p.fd, syscall.SHUT_WR)) }

// recv takes what is there, at most limit bytes; eof tells of the other side's end.
func (p *peer) recv(limit int) (b []byte, eof bool, err error) {
	b = make([]byte, limit)
	n, err := syscall.Read(p.fd, b)
	switch {
	case err == syscall.EAGAIN:
		return nil, false, nil
	case err != nil:
		return nil, false, err
	}
	return b[:n], n == 0, nil
}

// text is all that can be read now.
func (p *peer) text() string {
	p.Helper()
	var all []byte
	for {
		b, _, err := p.recv(64 << 10)
		require.NoError(p, err)
		if len(b) == 0 {
			return string(all)
		}
		all = append(all, b...)
	}
}

func (r *rig) conn(h Handler) (*Conn, *peer) {
	r.Helper()
	return r.add(h, socketpair)
}

func (r *rig) tcp(h Handler) (*Conn, *peer) {
	r.Helper()
	return r.add(h, tcpPair)
}

func (r *rig) add(h Handler, pair func(testing.TB) (int, int)) (*Conn, *peer) {
	r.Helper()
	ours, theirs := pair(r)
	c, err := r.l.Add(ours, h)
	require.NoError(r, err)
	p := &peer{TB: r, fd: theirs}
	r.Cleanup(p.close)
	return c, p
}

// run starts a loop for real; the function returned ends it and waits.
func run(t testing.TB) (*Loop, func()) {
	t.Helper()
	l, err := New()
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	var stopped bool
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-ended:
			require.NoError(t, err)
		case <-time.After(patience):
			t.Fatal("the loop does not end")
		}
	}
	t.Cleanup(stop)
	return l, stop
}

// on runs fn on the loop and waits for it.
func on(t testing.TB, l *Loop, fn func()) {
	t.Helper()
	done := make(chan struct{})
	require.True(t, l.Post(func() { fn(); close(done) }))
	wait(t, done)
}

func wait(t testing.TB, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("timed out")
	}
}

// openFDs counts the descriptors of this process.
func openFDs(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(list)
}
