package proc

import (
	"context"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// nobody reports that no client is accepted, although one is waiting.
func (r *rig) nobody(t *testing.T) {
	t.Helper()
	// Accepting takes microseconds; another connection through the kernel is a clock.
	for range 10 {
		c, err := net.Dial("tcp", r.Addr().String())
		require.NoError(t, err)
		c.Close()
	}
	assert.Empty(t, r.accepted)
	assert.Zero(t, r.Active())
}

func TestPausedListenerLeavesClientsInTheBacklog(t *testing.T) {
	r := runListener(t, "tcp", "127.0.0.1:0", 0)
	r.Pause()
	r.Pause()
	c := r.dial(t)
	_, err := c.Write([]byte("hello"))
	require.NoError(t, err)
	r.nobody(t)

	r.Resume()
	fd := r.take(t)
	defer syscall.Close(fd)
	b := make([]byte, 5)
	require.Eventually(t, func() bool { n, _ := syscall.Read(fd, b); return n == 5 }, 10*time.Second, time.Millisecond)
	assert.Equal(t, "hello", string(b))
	_, err = syscall.Write(fd, []byte("world"))
	require.NoError(t, err)
	_, err = io.ReadFull(c, b)
	require.NoError(t, err)
	assert.Equal(t, "world", string(b))
}

func TestListenerMayBePausedBeforeItRuns(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &rig{Listener: NewListener(ln, 0, "", slog.New(slog.DiscardHandler)), accepted: make(chan int, 200), ended: make(chan error, 1)}
	r.Pause()
	ctx, stop := context.WithCancel(t.Context())
	go func() { r.ended <- r.Run(ctx, func(fd int) { r.accepted <- fd }) }()
	r.dial(t)
	r.nobody(t)
	r.Resume()
	_ = syscall.Close(r.take(t))
	stop()
	r.waitEnd(t)
	for len(r.accepted) > 0 {
		_ = syscall.Close(<-r.accepted)
	}
}

func TestPausedListenerEnds(t *testing.T) {
	for name, end := range map[string]func(*rig){"context": func(r *rig) { r.stop() }, "close": func(r *rig) { r.Close() }} {
		t.Run(name, func(t *testing.T) {
			r := runListener(t, "tcp", "127.0.0.1:0", 0)
			r.Pause()
			r.dial(t) // so that Run sees the pause, now or later
			end(r)
			r.waitEnd(t)
		})
	}
}

// Whoever asks for a pause can rely on it at once, however busy the listener is.
func TestNobodyIsServedOnceAPauseHasBegun(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := NewListener(ln, 0, "", slog.New(slog.DiscardHandler))
	var paused, wrong atomic.Bool
	var served atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- l.Run(ctx, func(fd int) {
			if paused.Load() {
				wrong.Store(true)
			}
			served.Add(1)
			_ = syscall.Close(fd)
			l.Release()
		})
	}()
	var dialled atomic.Int64
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for ctx.Err() == nil {
				if c, err := net.Dial("tcp", ln.Addr().String()); err == nil {
					dialled.Add(1)
					_, _ = io.ReadAll(c) // until it has been served
					c.Close()
				}
			}
		})
	}
	for range 300 {
		at := served.Load()
		require.Eventually(t, func() bool { return served.Load() > at }, 10*time.Second, 50*time.Microsecond)
		l.Pause()
		paused.Store(true)
		paused.Store(false)
		l.Resume()
	}
	assert.False(t, wrong.Load())
	stop()
	require.NoError(t, <-ended)
	clients.Wait()
	assert.InDelta(t, dialled.Load(), served.Load(), 5, "those that were waiting at the end")
}

func TestAdoptedClientsCountWhateverTheLimit(t *testing.T) {
	r := runListener(t, "tcp", "127.0.0.1:0", 1)
	r.Adopt()
	r.Adopt()
	assert.Equal(t, 2, r.Active())
	refused(t, r.dial(t))
	r.Release()
	r.Release()
	r.dial(t)
	_ = syscall.Close(r.take(t))
}

// While clients move there are as many of them as before, wherever they are by now.
func TestClientsOfOtherProcessesLeaveNoRoom(t *testing.T) {
	r := runListener(t, "tcp", "127.0.0.1:0", 3)
	r.SetElsewhere(2)
	r.dial(t)
	defer syscall.Close(r.take(t))
	refused(t, r.dial(t))
	r.Adopt()
	assert.Equal(t, 2, r.Active())
	assert.Equal(t, 1, r.Elsewhere())
	refused(t, r.dial(t))

	r.SetElsewhere(0) // the other one has gone by itself
	r.dial(t)
	defer syscall.Close(r.take(t))
	refused(t, r.dial(t))
	r.Adopt()
	assert.Zero(t, r.Elsewhere(), "never less")
	r.SetElsewhere(5)
	r.SetLimit(0)
	r.dial(t)
	_ = syscall.Close(r.take(t))
}
