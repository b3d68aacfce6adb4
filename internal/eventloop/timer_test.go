package eventloop

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pass moves the loop's clock on and runs what is due.
func (r *rig) pass(d time.Duration) {
	r.l.now += int64(d)
	r.l.runTimers()
}

func TestTimersRunInOrderOfTime(t *testing.T) {
	r := newRig(t)
	var ran []int
	for _, i := range rand.New(rand.NewPCG(5, 0)).Perm(100) {
		r.l.After(time.Duration(i+1)*time.Second, func() { ran = append(ran, i) })
	}
	r.pass(time.Second - 1)
	require.Empty(t, ran)
	r.pass(1)
	require.Equal(t, []int{0}, ran)
	r.pass(100 * time.Second)
	require.Len(t, ran, 100)
	require.IsIncreasing(t, ran)
}

func TestTimerStopAndReset(t *testing.T) {
	r := newRig(t)
	ran := map[string]int{}
	timers := map[string]*Timer{}
	for _, name := range []string{"stopped", "later", "sooner", "kept"} {
		timers[name] = r.l.After(10*time.Second, func() { ran[name]++ })
	}
	timers["stopped"].Stop()
	timers["stopped"].Stop()
	timers["later"].Reset(20 * time.Second)
	timers["sooner"].Reset(5 * time.Second)
	r.pass(5 * time.Second)
	require.Equal(t, map[string]int{"sooner": 1}, ran)
	r.pass(5 * time.Second)
	require.Equal(t, map[string]int{"sooner": 1, "kept": 1}, ran)
	r.pass(10 * time.Second)
	require.Equal(t, map[string]int{"sooner": 1, "kept": 1, "later": 1}, ran)
	timers["kept"].Stop() // after it ran
	timers["kept"].Reset(time.Second)
	r.pass(time.Second)
	require.Equal(t, 2, ran["kept"])
	require.Empty(t, r.l.timers)
}

func TestTimerFunctionsMayChangeTimers(t *testing.T) {
	r := newRig(t)
	var a, b *Timer
	runs, other := 0, 0
	a = r.l.After(time.Second, func() {
		runs++
		b.Stop() // due at the same time
		a.Stop()
		if runs < 3 {
			a.Reset(time.Second)
		}
	})
	b = r.l.After(time.Second+1, func() { other++ })
	for range 5 {
		r.pass(time.Second + 1)
	}
	require.Equal(t, 3, runs)
	require.Zero(t, other)
}

// A timer that arms itself with no delay runs once an iteration.
func TestTimerCannotStarveTheLoop(t *testing.T) {
	r := newRig(t)
	runs := 0
	var timer *Timer
	timer = r.l.After(0, func() {
		if runs++; runs < 100 {
			timer.Reset(time.Duration(-runs))
		}
	})
	r.pass(time.Millisecond)
	require.Equal(t, 1, runs)
	r.pass(time.Millisecond)
	require.Equal(t, 2, runs)
}

func TestPollTimeout(t *testing.T) {
	for _, tc := range []struct {
		after time.Duration
		want  int
	}{
		{0, 1},
		{1, 1},
		{time.Millisecond, 1},
		{time.Millisecond + 1, 2},
		{time.Hour, 3_600_000},
		{365 * 24 * time.Hour, maxPoll}, // more than epoll's 32 bits hold
	} {
		r := newRig(t)
		require.Equal(t, -1, r.l.pollTimeout())
		r.l.After(tc.after, func() {})
		require.Equal(t, tc.want, r.l.pollTimeout(), "%v", tc.after)
		r.l.now += int64(2 * tc.after)
		if tc.after > 0 {
			require.Zero(t, r.l.pollTimeout(), "overdue")
		}
	}
}

func TestTimerWakesAnIdleLoop(t *testing.T) {
	l, _ := run(t)
	done := make(chan struct{})
	var armed, ran int64
	on(t, l, func() {
		armed = l.Now()
		l.After(20*time.Millisecond, func() { ran = l.Now(); close(done) })
	})
	wait(t, done)
	require.GreaterOrEqual(t, ran-armed, int64(20*time.Millisecond))
	require.LessOrEqual(t, ran, Nanotime())
}

func TestTimersMayBeStoppedAfterTheLoop(t *testing.T) {
	l, stop := run(t)
	var timers []*Timer
	on(t, l, func() {
		for range 3 {
			timers = append(timers, l.After(time.Hour, func() { t.Error("ran") }))
		}
	})
	stop()
	for _, timer := range timers {
		require.NotPanics(t, timer.Stop)
	}
}

func TestAtEndRunsOnceBehindAllElse(t *testing.T) {
	r := newRig(t)
	var ran []string
	r.l.Post(func() {
		r.l.AtEnd(func() { ran = append(ran, "end") })
		r.l.After(0, func() { ran = append(ran, "timer of the next iteration") })
		ran = append(ran, "posted")
	})
	r.step()
	require.Equal(t, []string{"posted", "end"}, ran)
	r.pass(time.Millisecond)
	r.l.AtEnd(func() { ran = append(ran, "end again") })
	r.l.Post(func() { ran = append(ran, "posted again") })
	r.step()
	require.Equal(t, []string{"posted", "end", "timer of the next iteration", "posted again", "end again"}, ran)
	require.Zero(t, testing.AllocsPerRun(10, func() {
		r.l.AtEnd(noop)
		r.l.end()
	}))
}

func noop() {}
