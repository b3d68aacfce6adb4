package tcp

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/proc"
)

var _ proc.Pauser = (*Proc)(nil)

// shared is a listening socket that several Procs get, each with a descriptor of its own,
// as two processes have it during a restart.
func shared(t testing.TB) *net.TCPListener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	return ln.(*net.TCPListener)
}

// inherit runs a Proc on the socket, behind a gate; nil: there is none.
func inherit(t testing.TB, ln *net.TCPListener, to string, gate <-chan struct{}) *proxy {
	t.Helper()
	env := testEnv(t)
	env.Gate = gate
	env.Listen = func(context.Context, string, string) (net.Listener, error) {
		f, err := ln.File()
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return net.FileListener(f)
	}
	return runWith(t, newService(t, all(to)), env)
}

// accepting is what the loop that accepts knows.
func (p *proxy) accepting() (a accepting) {
	first, done := p.loops.first(), make(chan struct{})
	first.post(func() { a = first.accepting; close(done) })
	<-done
	return a
}

// waiting is a client that has sent something and is in the backlog.
func waiting(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	c := dial(t, addr)
	_, err := c.Write([]byte("hello"))
	require.NoError(t, err)
	return c
}

// isServed expects what waiting has sent.
func isServed(t testing.TB, c *net.TCPConn) {
	t.Helper()
	b := make([]byte, 5)
	_, err := c.Read(b)
	require.NoError(t, err)
	assert.Equal(t, "hello", string(b))
}

func TestNobodyIsAcceptedBeforeTheGateIsOpen(t *testing.T) {
	gate := make(chan struct{})
	p := inherit(t, shared(t), serve(t, echo), gate)
	eventually(t, func() bool { return p.Status().Ready }, "it is ready")
	c := waiting(t, p.addr)
	assert.False(t, p.accepting().watched)
	p.Resume() // there is still the gate
	assert.False(t, p.accepting().watched)
	assert.Zero(t, p.Clients())
	close(gate)
	isServed(t, c)
	assert.Equal(t, 1, p.Clients())
}

func TestGateThatNeverOpensDoesNotHoldUpTheEnd(t *testing.T) {
	p := inherit(t, shared(t), serve(t, echo), make(chan struct{}))
	p.end()
}

func TestPausedProcAcceptsNobodyAndServesOn(t *testing.T) {
	p := run(t, all(serve(t, echo)))
	old := p.dial()
	exchange(t, old, "before")
	p.Pause()
	p.Pause()
	a := p.accepting()
	assert.True(t, a.held)
	assert.False(t, a.watched)
	c := waiting(t, p.addr)
	exchange(t, old, "it is served")
	assert.Equal(t, 1, p.Clients())
	assert.EqualValues(t, 1, p.stat("downstream.cx_total"))
	p.Resume()
	p.Resume()
	isServed(t, c)
	assert.Equal(t, 2, p.Clients())
	require.NoError(t, old.Close())
	require.NoError(t, c.Close())
	eventually(t, func() bool { return p.Clients() == 0 }, "all have gone")
}

func TestPauseBeforeRunHoldsAndAfterTheEndDoesNothing(t *testing.T) {
	ln := shared(t)
	env := testEnv(t)
	env.Listen = func(context.Context, string, string) (net.Listener, error) { return ln, nil }
	made, err := New(newService(t, all(serve(t, echo))), env)
	require.NoError(t, err)
	p := &proxy{Proc: made.(*Proc), t: t, addr: ln.Addr().String(), ended: make(chan error, 1)}
	p.Pause()
	assert.Zero(t, p.Clients())
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	go func() { p.ended <- p.Run(ctx) }()
	eventually(t, func() bool { return p.Status().Ready }, "it is ready")
	c := waiting(t, p.addr)
	assert.False(t, p.accepting().watched)
	p.Resume()
	isServed(t, c)
	p.end()
	p.Pause()
	p.Resume()
	p.Pause()
	assert.Zero(t, p.Clients())
}

func TestWhoWaitsAtAPausedProcIsServedByAnother(t *testing.T) {
	ln := shared(t)
	gate := make(chan struct{})
	parent := inherit(t, ln, named(t, "a"), nil)
	child := inherit(t, ln, named(t, "b"), gate)
	assert.Equal(t, "a", greeting(t, parent.dial()))
	parent.Pause()
	var early []*net.TCPConn
	for range 20 {
		early = append(early, parent.dial())
	}
	close(gate)
	for _, c := range early {
		assert.Equal(t, "b", greeting(t, c))
	}
	late := make([]*net.TCPConn, 5)
	child.Pause()
	for i := range late {
		late[i] = parent.dial()
	}
	parent.end() // resets nobody of the backlog
	child.Resume()
	for _, c := range late {
		assert.Equal(t, "b", greeting(t, c))
	}
}

func TestPausedProcTakesBackWhenTheOtherIsGone(t *testing.T) {
	ln := shared(t)
	parent := inherit(t, ln, named(t, "a"), nil)
	gate := make(chan struct{})
	child := inherit(t, ln, named(t, "b"), gate)
	parent.Pause()
	c := parent.dial()
	child.end()
	parent.Resume()
	assert.Equal(t, "a", greeting(t, c))
}

// TestProcThatEndsWhilePausedLeavesNoWatch: the socket lives on in another process, so
// closing the descriptor would not take it out of the epoll instance.
func TestProcThatEndsWhilePausedLeavesNoWatch(t *testing.T) {
	for _, paused := range []bool{true, false} {
		t.Run(fmt.Sprintf("paused %v", paused), func(t *testing.T) {
			ln := shared(t)
			p := inherit(t, ln, serve(t, echo), nil)
			c := p.dial()
			exchange(t, c, "hello")
			if paused {
				p.Pause()
			}
			stopped := make(chan struct{})
			first := p.loops.first()
			first.post(func() { first.stopAccepting(); close(stopped) })
			<-stopped
			assert.Nil(t, p.accepting().listener)
			p.Resume()
			assert.Nil(t, p.accepting().listener)
			taken := p.Clients()
			late := dial(t, p.addr)
			other, err := ln.Accept() // whoever has the socket gets those who come
			require.NoError(t, err)
			defer other.Close()
			exchange(t, c, "goes on")
			assert.Equal(t, taken, p.Clients())
			assert.Equal(t, late.LocalAddr().String(), other.RemoteAddr().String())
		})
	}
}

// TestBackOffThatEndsDuringAPauseDoesNotAccept puts a loop into the state in which a
// failure to accept leaves it.
func TestBackOffThatEndsDuringAPauseDoesNotAccept(t *testing.T) {
	p := run(t, all(serve(t, echo)))
	first := p.loops.first()
	failed := make(chan struct{})
	first.post(func() {
		first.unwatchListener()
		first.accepting.resume = first.now + int64(20*time.Millisecond)
		close(failed)
	})
	<-failed
	p.Pause()
	c := waiting(t, p.addr)
	pass(100 * time.Millisecond)
	a := p.accepting()
	assert.False(t, a.watched)
	assert.Zero(t, a.resume)
	assert.Zero(t, p.Clients())
	p.Resume()
	isServed(t, c)
}

// TestBackOffIsNotCutShortByResume: a Resume without a Pause changes nothing.
func TestBackOffIsNotCutShortByResume(t *testing.T) {
	p := run(t, all(serve(t, echo)))
	first := p.loops.first()
	failed := make(chan struct{})
	first.post(func() {
		first.unwatchListener()
		first.accepting.resume = first.now + int64(time.Hour)
		close(failed)
	})
	<-failed
	p.Resume()
	assert.False(t, p.accepting().watched)
	assert.NotZero(t, p.accepting().resume)
}

// TestNobodyIsLostWhileTwoProcsTakeTurns has clients connect all the time while the socket
// goes back and forth.
func TestNobodyIsLostWhileTwoProcsTakeTurns(t *testing.T) {
	ln := shared(t)
	a, b := inherit(t, ln, serve(t, echo), nil), inherit(t, ln, serve(t, echo), nil)
	b.Pause()
	addr := a.addr
	var stop atomic.Bool
	var served, failed atomic.Int64
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for !stop.Load() {
				if err := connectOnce(addr); err != nil {
					failed.Add(1)
					t.Log(err)
					return
				}
				served.Add(1)
			}
		})
	}
	for range 100 {
		a.Pause()
		before := a.taken()
		b.Resume()
		target := served.Load() + 3
		eventually(t, func() bool { return served.Load() >= target || failed.Load() > 0 }, "some are served")
		assert.Equal(t, before, a.taken(), "nobody is accepted while it is paused")
		a, b = b, a
	}
	stop.Store(true)
	clients.Wait()
	t.Logf("%d clients", served.Load())
	assert.Zero(t, failed.Load())
}

// taken is how many clients the loops have got, also those that were on their way from the
// first one to another.
func (p *proxy) taken() float64 {
	for _, l := range p.loops.started() {
		seen := make(chan struct{})
		l.post(func() { close(seen) })
		<-seen
	}
	return p.stat("downstream.cx_total")
}

func connectOnce(addr string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	return tryExchange(c, "hello")
}

// TestPauseAndResumeFromSeveralGoroutines ends in what the last call says.
func TestPauseAndResumeFromSeveralGoroutines(t *testing.T) {
	p := run(t, all(serve(t, echo)))
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for range 100 {
				p.Pause()
				p.Resume()
			}
		})
	}
	callers.Wait()
	exchange(t, p.dial(), "it accepts")
	p.Pause()
	assert.False(t, p.accepting().watched)
}
