package health

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// addresses returns n addresses.
func addresses(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("10.%d.%d.%d:80", i>>16, i>>8&0xff, i&0xff)
	}
	return all
}

func TestIntervalsHaveAJitterOfTenPercent(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r rig) {
		r.net.took = 20 * time.Millisecond // is part of the interval
		r.Configure(tcpCheck(time.Second, time.Second), []string{addrA})
		after(1000 * time.Second)
		starts := r.net.startsOf(addrA)
		require.InDelta(t, 1000, len(starts), 20)
		least, most := time.Hour, time.Duration(0)
		for i := range starts[1:] {
			gap := starts[i+1].Sub(starts[i])
			least, most = min(least, gap), max(most, gap)
		}
		require.GreaterOrEqual(t, least, 900*time.Millisecond)
		require.LessOrEqual(t, most, 1100*time.Millisecond)
		require.Less(t, least, 920*time.Millisecond)
		require.Greater(t, most, 1080*time.Millisecond)
	})
}

func TestTenThousandFirstChecksAreSpreadOverASecond(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r rig) {
		r.net.took = time.Millisecond
		all := addresses(10_000)
		begin := time.Now()
		r.Configure(tcpCheck(10*time.Second, time.Second), all)
		after(1100 * time.Millisecond)
		var perTenth [11]int
		for _, a := range all {
			starts := r.net.startsOf(a)
			require.Len(t, starts, 1)
			perTenth[starts[0].Sub(begin)/(100*time.Millisecond)]++
		}
		for i, n := range perTenth[:10] {
			require.InDelta(t, 1000, n, 200, "in tenth %d", i)
		}
		require.LessOrEqual(t, r.net.peak(), places)

		after(30 * time.Second)
		for _, a := range all {
			require.InDelta(t, 4, r.net.checks(a), 1)
		}
	})
}

func TestFirstChecksAreSpreadOverAShortInterval(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r rig) {
		all := addresses(100)
		begin := time.Now()
		r.Configure(tcpCheck(200*time.Millisecond, time.Second), all)
		after(time.Second)
		for _, a := range all {
			require.LessOrEqual(t, r.net.startsOf(a)[0].Sub(begin), 200*time.Millisecond)
		}
	})
}

func TestChecksAtATimeAreBounded(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r rig) {
		r.net.took = 40 * time.Millisecond
		r.Configure(tcpCheck(100*time.Millisecond, time.Second), addresses(1000))
		after(10 * time.Second)
		require.Equal(t, places, r.net.peak())
		for _, s := range r.Statuses() {
			require.GreaterOrEqual(t, s.Passed, uint64(10), "nobody is left out") // 1000/64*40ms = 625 ms each
		}
	})
}

// TestHungEndpointsDoNotDelayTheRest has a third of all endpoints take their whole
// timeout. They alone would fill the places ten times over.
func TestHungEndpointsDoNotDelayTheRest(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r rig) {
		r.net.took = time.Millisecond
		all := addresses(6_000)
		hung, rest := all[:2_000], all[2_000:]
		r.net.set(hang, hung...)
		r.Configure(tcpCheck(10*time.Second, 3*time.Second), all)
		after(50 * time.Second)
		for _, a := range rest {
			starts := r.net.startsOf(a)
			for i := range starts[1:] {
				require.LessOrEqual(t, starts[i+1].Sub(starts[i]), 13*time.Second, "check %d", i)
			}
			require.GreaterOrEqual(t, len(starts), 4)
		}
		require.Len(t, r.Unhealthy(), len(hung))
		for _, a := range hung {
			require.GreaterOrEqual(t, r.net.checks(a), 4)
		}
	})
}

func TestOneHungEndpointDelaysNobody(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r rig) {
		all := addresses(200)
		r.net.set(hang, all[7])
		r.Configure(tcpCheck(time.Second, 30*time.Second), all)
		after(100 * time.Second)
		for _, a := range append(all[:7:7], all[8:]...) {
			starts := r.net.startsOf(a)
			for i := range starts[1:] {
				require.LessOrEqual(t, starts[i+1].Sub(starts[i]), 1100*time.Millisecond)
			}
		}
		require.InDelta(t, 4, r.net.checks(all[7]), 1, "the next one begins when the one before ends")
	})
}

func TestEndpointsThatHangAreBoundedAndComeBack(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r rig) {
		all := addresses(6_000)
		r.net.set(hang, all...)
		check := tcpCheck(10*time.Second, 3*time.Second)
		check.RiseThreshold = 1
		r.Configure(check, all)
		after(30 * time.Second)
		r.net.peak()
		after(30 * time.Second)
		require.Equal(t, slowPlaces, r.net.peak())
		require.Len(t, r.Unhealthy(), len(all))

		r.net.set(nil, all...)
		after(15 * time.Second)
		require.Empty(t, r.Unhealthy())
		after(15 * time.Second)
		require.Empty(t, r.schedule.slow, "all are in the prompt lane again")
		require.Zero(t, r.schedule.taken)
		require.Zero(t, r.schedule.late)
	})
}

func TestAllEndpointsGoingDownAtOnceIsSeenWithinTheirThresholds(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r rig) {
		all := addresses(5_000)
		r.Configure(tcpCheck(10*time.Second, time.Second), all)
		after(20 * time.Second)
		r.net.set(hang, all[:1_000]...)
		after(33*time.Second + 2*time.Second)
		require.Len(t, r.Unhealthy(), 1_000)
		r.net.set(nil, all[:1_000]...)
		after(33*time.Second + time.Second)
		require.Empty(t, r.Unhealthy())
	})
}

// TestIntervalForEver: the longest interval that there can be is neither an end of the
// process nor one that is over at once.
func TestIntervalForEver(t *testing.T) {
	const ever = time.Duration(math.MaxInt64)
	inBubble(t, Options{}, func(t *testing.T, r rig) {
		r.Configure(tcpCheck(10*time.Second, time.Second), []string{addrA})
		after(time.Second)
		r.Configure(tcpCheck(ever, ever), []string{addrA, addrB})
		after(time.Hour)
		require.LessOrEqual(t, r.net.checks(addrA), 2)
		require.Equal(t, 1, r.net.checks(addrB))
	})
	for range 100 {
		require.Positive(t, newPlan(tcpCheck(ever, ever), nil).pause())
	}
}
