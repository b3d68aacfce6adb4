package hotkey

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// checkErrors holds every key of a report to its bound.
func (r *rig) checkErrors(t testing.TB, rep *Report, intervals int) {
	t.Helper()
	for _, k := range rep.Keys {
		truth := r.trueCount(string(k.Name), intervals)
		away := max(truth, k.Count) - min(truth, k.Count)
		if !assert.LessOrEqual(t, away, k.Error, "%s: %d counted, %d true", k.Name, k.Count, truth) {
			return
		}
	}
}

// Far more keys than fit, in windows of several intervals, with keys that are hot, leave
// the counters, and come back.
func TestCountsOfAWindowAreWithinTheirErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		places []string
		window int
		keys   int
	}{
		{"one place, one interval", []string{"a"}, 1, 20_000},
		{"one place", []string{"a"}, 3, 20_000},
		{"several loops", []string{"a", "a", "a"}, 2, 20_000},
		{"several places", []string{"a", "b", "c", "d"}, 3, 20_000},
		{"several places and loops", []string{"a", "b", "a", "b"}, 10, 20_000},
		{"several places, few keys", []string{"a", "b", "c", "d"}, 3, 600},
	} {
		t.Run(tt.name, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			random := rand.New(rand.NewPCG(seed, 0))
			o := Options{Interval: time.Second, Window: time.Duration(tt.window) * time.Second, Capacity: 60}
			r := newRig(o, tt.places...)
			distinct := map[string][]int{} // of a place, its loops
			var places []string
			for i, p := range tt.places {
				if distinct[p] == nil {
					places = append(places, p)
				}
				distinct[p] = append(distinct[p], i)
			}
			for range 12 {
				shift := random.IntN(3) * 150
				z := rand.NewZipf(random, 1.05, 20, uint64(tt.keys-1))
				for range 20_000 {
					n := (int(z.Uint64()) + shift) % tt.keys
					loops := distinct[places[n%len(places)]] // a key belongs to one place
					r.hit(loops[random.IntN(len(loops))], strconv.Itoa(n), 1)
				}
				r.checkErrors(t, r.end(time.Second), tt.window)
			}
		})
	}
}

// A key that was counted, and is forgotten because so many others are hotter, has had
// hits in the window all the same when it comes back.
func TestErrorsCoverWhatWasForgottenOfAKey(t *testing.T) {
	r := newRig(Options{Interval: time.Second, Window: 2 * time.Second, Capacity: 10}, "a", "b", "c")
	for i := range 512 { // as many as the collector remembers
		r.hit(1+i%2, "hotter"+strconv.Itoa(i), 20)
	}
	r.hit(0, "k", 10)
	rep := r.end(time.Second)
	require.Equal(t, 512, rep.Tracked)
	r.hit(0, "k", 100)
	rep = r.end(time.Second)
	require.Contains(t, names(rep.Keys), "k")
	r.checkErrors(t, rep, 2)
}

// A key that has an entry in one interval, none in the next, and one again: what it may
// have had meanwhile is in its error.
func TestErrorsCoverAnIntervalInWhichAKeyDropsOut(t *testing.T) {
	for _, loops := range [][]string{{"a"}, {"a", "a"}} {
		r := newRig(Options{Interval: time.Second, Window: 3 * time.Second}, loops...)
		last := len(loops) - 1
		r.hit(0, "k", 5000)
		r.hit(last, "k", 5000)
		r.end(time.Second)
		r.hit(0, "k", 1) // one hit, and then everything else is hotter
		for i := range 20_000 {
			r.hit(0, "other"+strconv.Itoa(i%4000), 1)
			if last > 0 && i%2 == 0 {
				r.hit(last, "other"+strconv.Itoa(i%4000), 1)
			}
		}
		rep := r.end(time.Second)
		k := rep.get(t, "k")
		r.checkErrors(t, rep, 3)
		if k.Count < r.trueCount("k", 3) {
			assert.Positive(t, k.Error)
		}
		r.hit(last, "k", 500)
		rep = r.end(time.Second)
		r.checkErrors(t, rep, 3)
		assert.Positive(t, rep.get(t, "k").Error)
	}
}

// What was counted as a sample says how far chance may have led it astray.
func TestSamplingErrorBoundsChance(t *testing.T) {
	const rate, seconds = 1_000_000, 10
	within, all := 0, 0
	for seed := range uint64(20) {
		r := newRig(Options{Interval: seconds * time.Second, Window: seconds * time.Second}, "a")
		s := paced(NewSampler(0), rate)
		require.Greater(t, s.Weight(), 1)
		s.random = rand.New(rand.NewPCG(seed, 1))
		truth := map[string]uint64{}
		for i := range rate / 2 {
			key := strconv.Itoa(min(i%11, 9))
			truth[key]++
			if w := s.Take(1); w > 0 {
				r.use(0, Hit{Key: []byte(key), Weight: w})
			}
		}
		rep := r.end(seconds * time.Second)
		assert.InDelta(t, 1/float64(s.Weight()), rep.SampleRate, 1e-9)
		for _, k := range rep.Keys {
			truth := truth[string(k.Name)]
			away := max(truth, k.Count) - min(truth, k.Count)
			require.Positive(t, k.SamplingError)
			require.Zero(t, k.Error)
			all++
			within += btoi(away <= k.SamplingError)
		}
	}
	assert.Equal(t, 200, all)
	assert.GreaterOrEqual(t, within, 180, "of 200, 190 are to be expected")
}

func TestNoSamplingErrorWhenAllIsCounted(t *testing.T) {
	r := newRig(Options{Interval: time.Second}, "a")
	r.hit(0, "k", 1000)
	assert.Zero(t, r.end(time.Second).get(t, "k").SamplingError)
}
