package tcp

import (
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A loop without anything to do leaves its thread, and has one again for what comes: a
// client, bytes of one that is there, a timeout, the end.
func TestLoopWithNothingToDoHasNoThread(t *testing.T) {
	p := run(t, all(serve(t, echo)), idle(2*time.Second))
	rests := func() {
		t.Helper()
		eventually(t, func() bool { return p.loops.first().usage.thread.Load() == 0 }, "a rest")
	}
	rests()
	c := p.dial()
	for range 3 {
		exchange(t, c, "hello")
		rests()
	}
	isClosed(t, c) // by the idle timeout
	require.EqualValues(t, 1, p.stat("downstream.cx_idle_timeout"))
	rests()
}

// Neither the start nor what is posted, as at the end of a pause, gives a loop a thread for
// longer than that takes: a thousand services would have as many threads.
func TestLoopsNeedNoThreadBeforeThereIsAClient(t *testing.T) {
	const count = 100
	to := all(serve(t, echo))
	var procs []*proxy
	for range count {
		procs = append(procs, run(t, to))
	}
	var posted sync.WaitGroup
	for _, p := range procs {
		posted.Add(1)
		require.True(t, p.loops.first().post(posted.Done))
	}
	posted.Wait()
	threads := 0
	for _, p := range procs {
		if p.loops.first().usage.thread.Load() != 0 {
			threads++
		}
	}
	require.Less(t, threads, count/2)
}

// TestLoopThatTheRuntimeCannotWaitForGoesOn nests epoll instances as deep as the kernel
// lets them be, so that the runtime's cannot take up the loop's, as it cannot either when
// the user has as many watches as the kernel allows.
func TestLoopThatTheRuntimeCannotWaitForGoesOn(t *testing.T) {
	p := run(t, all(serve(t, echo)), idle(2*time.Second))
	c := p.dial()
	exchange(t, c, "hello")
	l := p.loops.first()
	var chain []int
	defer func() {
		for _, fd := range chain {
			sysClose(fd)
		}
	}()
	for range 10 {
		fd, err := newPoller()
		require.NoError(t, err)
		chain = append(chain, fd)
	}
	nested := make(chan int)
	l.post(func() {
		n, in := 0, l.epfd
		for _, fd := range chain {
			if epollCtl(in, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Fd: wakeKey}) != 0 {
				break
			}
			n, in = n+1, fd
		}
		nested <- n
	})
	n := <-nested
	require.Less(t, n, len(chain), "it is as deep as can be")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 3 {
		pass(4 * restAfter * time.Millisecond)
		exchange(t, c, "hello")
	}
	runtime.ReadMemStats(&after)
	require.Less(t, after.Mallocs-before.Mallocs, uint64(20_000), "it does not try to rest all the time")
	isClosed(t, c) // by the idle timeout
	require.EqualValues(t, 1, p.stat("downstream.cx_idle_timeout"))
}
