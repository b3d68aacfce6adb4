package tcp

import (
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/eventloop"
)

// pretend makes all loops say for a while that they use a share of a core.
func (p *proxy) pretend(share float64) {
	for _, l := range p.loops.started() {
		done := make(chan struct{})
		l.post(func() {
			l.usage.permille.Store(int64(1000 * share))
			l.usage.measured.Store(l.now + int64(time.Hour))
			close(done)
		})
		<-done
	}
}

func TestLoopsAreStartedAsTheyAreNeeded(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
	a, b := named(t, "a"), named(t, "b")
	p := run(t, all(a), drainTimeout(50*time.Millisecond))
	var clients []*net.TCPConn
	client := func() {
		c := p.dial()
		assert.Equal(t, "a", greeting(t, c))
		clients = append(clients, c)
	}
	client()
	client()
	assert.Len(t, p.loops.started(), 1)
	for range 5 {
		p.pretend(0.8)
		client()
	}
	assert.Len(t, p.loops.started(), 3, "not more than GOMAXPROCS")
	for _, l := range p.loops.started() {
		assert.InDelta(t, 7.0/3, l.conns.Load(), 1)
	}
	for _, c := range clients {
		exchange(t, c, "on all of them")
	}
	assert.EqualValues(t, 7, p.stat("upstream.cx_active"))

	p.update(all(b), drainTimeout(50*time.Millisecond)) // reaches all of them
	for _, c := range clients {
		_, err := io.ReadAll(c)
		assert.Error(t, err)
	}
	p.becomes("upstream.cx_drain_timeout", 7)
	for range 3 {
		p.dial()
	}
	p.becomes("upstream.cx_active", 3)
	p.end()
	assert.EqualValues(t, 10, p.stat("downstream.cx_destroy_total"))
}

func TestBusyLoopIsSeen(t *testing.T) {
	p := run(t, all(serve(t, echo)))
	exchange(t, p.dial(), "hello")
	l := p.loops.first()
	eventually(t, func() bool {
		done := make(chan struct{})
		l.post(func() {
			defer close(done)
			l.worked = eventloop.Nanotime() // as by the event of a socket
			for begin := threadCPU(l.usage.thread.Load()); threadCPU(l.usage.thread.Load())-begin < int64(10*time.Millisecond); {
			}
		})
		<-done
		return l.busy(eventloop.Nanotime()) > 0.1 // of a core that it may have to share
	}, "it is busy")
	eventually(t, func() bool { return l.busy(eventloop.Nanotime()) == 0 }, "it is idle")
}

// TestConnectionsMoveToALoopThatHasTime has connections that came while there was nothing
// to do and are all busy now. None of them may notice that it moves.
func TestConnectionsMoveToALoopThatHasTime(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	p := run(t, all(serve(t, echo)))
	const size = 24 << 20
	want, _ := digest(noise(8, size))
	var each sync.WaitGroup
	for range 8 {
		c := p.dial()
		exchange(t, c, "hello")
		each.Go(func() {
			_ = send(c, noise(8, size))
			_ = c.CloseWrite()
		})
		each.Go(func() {
			got, err := digest(c)
			assert.NoError(t, err)
			assert.Equal(t, want, got)
		})
	}
	quiet := p.dial()
	exchange(t, quiet, "hello")
	first := p.loops.first()
	done := make(chan struct{})
	first.post(func() {
		first.now = eventloop.Nanotime()
		first.give(first.active(), first.proc.loops.grow())
		close(done)
	})
	<-done
	second := p.loops.started()[1]
	eventually(t, func() bool { return second.conns.Load() > 0 }, "they are there")
	back := make(chan struct{})
	second.post(func() { second.give(second.active(), first); close(back) })
	<-back
	each.Wait()
	exchange(t, quiet, "hello")
	assert.Zero(t, p.stat("downstream.cx_reset")+p.stat("upstream.cx_reset"))
	require.NoError(t, quiet.Close())
	p.becomes("downstream.cx_active", 0)
	eventually(t, func() bool { return first.conns.Load()+second.conns.Load() == 0 }, "the loops have none")
}

// TestFullLoopGivesHalfOfItsWorkAway lets a loop find by itself that it has too much to do.
func TestFullLoopGivesHalfOfItsWorkAway(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	p := run(t, all(serve(t, echo)))
	var clients []*net.TCPConn
	for range 6 {
		clients = append(clients, p.dial())
		exchange(t, clients[len(clients)-1], "hello")
	}
	first := p.loops.first()
	for _, c := range clients {
		exchange(t, c, "hello again")
	}
	first.post(func() { // a period of hard work ends with this turn
		first.usage.measured.Store(first.now - int64(samplePeriod))
		first.usage.used -= int64(samplePeriod)
	})
	eventually(t, func() bool { return len(p.loops.started()) == 2 && first.conns.Load() == 3 }, "half of them move")
	for range 10 {
		for _, c := range clients {
			exchange(t, c, "on both")
		}
	}
	assert.EqualValues(t, 3, p.loops.started()[1].conns.Load())
}

// TestLoopThatFailsEndsTheProc closes a loop's epoll instance under its feet.
func TestLoopThatFailsEndsTheProc(t *testing.T) {
	svc := newService(t, all(serve(t, echo)))
	made, err := New(svc, testEnv(t))
	require.NoError(t, err)
	p := made.(*Proc)
	ended := make(chan error, 1)
	go func() { ended <- p.Run(t.Context()) }()
	eventually(t, func() bool { return p.Status().Address != "" }, "it listens")
	c := dial(t, p.Status().Address)
	exchange(t, c, "hello")
	first := p.loops.first()
	first.post(func() {
		sysClose(first.epfd)
		first.epfd = -1
	})
	select {
	case err := <-ended:
		assert.ErrorContains(t, err, "event loop: wait for events")
	case <-time.After(patience):
		t.Fatal("Run does not return")
	}
	_, err = io.ReadAll(c)
	assert.Error(t, err)
}
