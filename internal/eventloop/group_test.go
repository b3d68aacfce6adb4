package eventloop

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func runGroup(t *testing.T, limit int) (*Group, func()) {
	t.Helper()
	g, err := NewGroup(limit)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	on(t, g.Loops()[0], func() {}) // runs
	return g, func() {
		cancel()
		select {
		case err := <-ended:
			require.NoError(t, err)
		case <-time.After(patience):
			t.Fatal("the group does not end")
		}
	}
}

// spin keeps a loop busy until the function returned is called.
func spin(l *Loop) (stop func()) {
	var ended atomic.Bool
	var again func()
	again = func() {
		for until := Nanotime() + int64(time.Millisecond); Nanotime() < until; {
			runtime.KeepAlive(until)
		}
		if !ended.Load() {
			l.Post(again)
		}
	}
	l.Post(again)
	return func() { ended.Store(true) }
}

// pickAfterWork picks once the loop has worked for a sample period, and takes the time
// since the last sample for just that long: on a machine shared with others it may
// have taken longer.
func (g *Group) pickAfterWork(t *testing.T, index int) *Loop {
	t.Helper()
	for end := time.Now().Add(patience); ; runtime.Gosched() {
		require.False(t, time.Now().After(end), "the loop does not work")
		g.mu.Lock()
		worked := g.loops[index].cpuTime() - g.cpu[index]
		if worked >= samplePeriod {
			g.sampled = time.Now().Add(-worked)
		}
		g.mu.Unlock()
		if worked >= samplePeriod {
			return g.Pick()
		}
	}
}

func TestGroupStartsWithOneLoopAndStaysWhenIdle(t *testing.T) {
	g, stop := runGroup(t, 4)
	defer stop()
	l := g.Pick()
	for range 100 {
		require.True(t, l == g.Pick())
	}
	g.sampled = g.sampled.Add(-samplePeriod)
	require.True(t, l == g.Pick(), "after another sample")
	require.Len(t, g.Loops(), 1)
}

func TestGroupGrowsOnlyWhenBusy(t *testing.T) {
	before := openFDs(t)
	g, stop := runGroup(t, 2)
	first := g.Pick()
	release := spin(first)
	var second *Loop
	for end := time.Now().Add(patience); second == nil; {
		require.False(t, time.Now().After(end), "the group does not grow")
		if l := g.pickAfterWork(t, 0); l != first {
			second = l
		}
	}
	require.True(t, slices.Equal([]*Loop{first, second}, g.Loops()))
	on(t, second, func() {}) // it runs
	require.True(t, second == g.pickAfterWork(t, 0), "the less busy one")
	releaseSecond := spin(second)
	for range 5 {
		g.pickAfterWork(t, 1)
	}
	require.Len(t, g.Loops(), 2, "no more than the limit")
	release()
	releaseSecond()
	stop()
	require.False(t, first.Post(func() {}))
	require.False(t, second.Post(func() {}))
	require.Equal(t, before, openFDs(t))
}

func TestEquallyBusyLoopsAreFilledEvenly(t *testing.T) {
	g, err := NewGroup(2)
	require.NoError(t, err)
	other, err := New()
	require.NoError(t, err)
	defer g.loops[0].Close()
	defer other.Close()
	g.loops, g.cpu, g.busy = append(g.loops, other), append(g.cpu, 0), append(g.busy, 0)
	g.sampled = time.Now().Add(time.Hour) // no sampling: the test sets what is measured
	for range 6 {
		g.Pick().conns.Add(1)
	}
	require.Equal(t, 3, g.loops[0].Conns())
	require.Equal(t, 3, other.Conns())
	g.busy = []float64{0.55, 0.59}
	other.conns.Add(-1)
	require.True(t, other == g.Pick(), "a twentieth of a core makes no difference")
	g.busy = []float64{0.2, 0.9}
	require.True(t, g.loops[0] == g.Pick())
}

func TestGroupDoesNotGrowWhenItDoesNotRun(t *testing.T) {
	g, err := NewGroup(0)
	require.NoError(t, err)
	require.Equal(t, 1, g.max)
	g.max = 3
	g.sampled = time.Now().Add(time.Hour)
	g.busy[0] = 1
	require.True(t, g.loops[0] == g.Pick(), "not yet run")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.NoError(t, g.Run(ctx))
	require.True(t, g.loops[0] == g.Pick(), "has ended")
	require.Len(t, g.Loops(), 1)
}

func TestConnsCountsOpenConnections(t *testing.T) {
	l, _ := run(t)
	closed := make(chan struct{})
	ours, theirs := socketpair(t)
	on(t, l, func() { require.NoError(t, l.addEcho(ours, func(error) { close(closed) })) })
	require.Equal(t, 1, l.Conns())
	require.NoError(t, syscall.Close(theirs))
	wait(t, closed)
	require.Zero(t, l.Conns())
}

func TestCPUTimeOfALoop(t *testing.T) {
	l, err := New()
	require.NoError(t, err)
	require.Zero(t, l.cpuTime(), "does not run yet")
	l.Close()
	l, _ = run(t)
	on(t, l, func() {})
	before := l.cpuTime()
	on(t, l, func() {
		for until := l.cpuTime() + 20*time.Millisecond; l.cpuTime() < until; {
			runtime.KeepAlive(until)
		}
	})
	require.GreaterOrEqual(t, l.cpuTime()-before, 20*time.Millisecond)
}

// The runtime hands out threads that others have used; what they used is not the
// loop's.
func TestCPUTimeStartsWithTheLoop(t *testing.T) {
	const burnt = 50 * time.Millisecond
	l, err := New()
	require.NoError(t, err)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for tid := int64(syscall.Gettid()); threadCPU(tid) < burnt; {
		runtime.KeepAlive(tid)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var used time.Duration
	l.Post(func() { used = l.cpuTime(); cancel() })
	require.NoError(t, l.Run(ctx))
	require.Positive(t, used)
	require.Less(t, used, burnt)
}
