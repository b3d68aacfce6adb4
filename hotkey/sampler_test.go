package hotkey

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// paced is a sampler that has seen a rate of keys a second for a while.
func paced(s *Sampler, rate int) *Sampler {
	s.random = rand.New(rand.NewPCG(5, uint64(rate)))
	for range 3 {
		s.keys = rate / 10
		s.Pace(s.paced + int64(100*time.Millisecond))
	}
	return s
}

func TestSamplerLooksAtFewerTheMoreThereAre(t *testing.T) {
	last := 1
	for rate := 1000; rate < 10_000_000; rate += rate / 10 {
		w := paced(NewSampler(7), rate).Weight()
		looked := rate / w
		assert.GreaterOrEqual(t, w, last, "%d keys a second", rate)
		last = w
		switch {
		case rate <= fullRate:
			assert.Equal(t, 1, w, "%d keys a second", rate)
		case rate >= 10*fullRate:
			assert.InEpsilon(t, leastRate, looked, 0.05, "%d keys a second", rate)
		default:
			assert.GreaterOrEqual(t, looked, leastRate*9/10, "%d keys a second", rate)
			assert.Less(t, looked, 2*fullRate, "%d keys a second", rate)
		}
	}
	assert.Equal(t, 1, paced(NewSampler(7), 0).Weight())
	for _, tt := range []struct{ rate, weight int }{{0, 1}, {100, 1}, {5000, 1}, {5010, 2}, {10_000, 2}, {100_000, 20}} {
		assert.Equal(t, tt.weight, paced(NewLimitedSampler(7, 5000), tt.rate).Weight(), "%d keys a second, 5000 wanted", tt.rate)
	}
}

func TestSamplersShareWhatMayBeLookedAt(t *testing.T) {
	for _, rate := range []int{1000, 30_000, 100_000, 1_000_000} {
		one, shared := paced(NewSampler(0), 4*rate), NewSampler(0)
		shared.SetOthers(3 * float64(rate))
		assert.Equal(t, one.Weight(), paced(shared, rate).Weight())
	}
	alone := NewSampler(0)
	alone.SetOthers(-1)
	assert.Equal(t, 1, paced(alone, fullRate).Weight())
}

func TestSamplerTakesEverythingAtFirst(t *testing.T) {
	for _, s := range []*Sampler{NewSampler(0), NewLimitedSampler(0, 1)} {
		for range 1000 {
			require.Equal(t, 1, s.Take(3))
		}
	}
}

// What is taken stands for what is not: the sum of the weights is the number of all.
func TestSampleStandsForAll(t *testing.T) {
	const n = 1_000_000
	for _, rate := range []int{50_000, 150_000, 300_000, 1_000_000, 5_000_000} {
		s := paced(NewSampler(0), rate)
		w := float64(s.Weight())
		sum, byTurn := 0, [7]int{}
		for i := range n {
			got := s.Take(1)
			if got != 0 && got != s.Weight() {
				t.Fatalf("weight %d, not %d", got, s.Weight())
			}
			sum += got
			byTurn[i%7] += got
		}
		sigma := math.Sqrt(n * (w - 1))
		assert.InDelta(t, n, sum, 5*sigma, "rate %d, weight %v", rate, w)
		for i, got := range byTurn { // no pattern escapes
			assert.InDelta(t, n/7, got, 5*sigma/math.Sqrt(7)+1, "rate %d, every 7th from %d", rate, i)
		}
	}
}

// Requests of several keys are taken or left whole; the rate is that of the keys.
func TestSamplerCountsKeys(t *testing.T) {
	s := NewSampler(0)
	for range 4000 {
		s.Take(10)
	}
	s.Pace(int64(100 * time.Millisecond))
	assert.Equal(t, paced(NewSampler(0), 400_000).Weight(), s.Weight())
}

func TestPaceInQuickSuccessionDoesNothing(t *testing.T) {
	s := NewSampler(0)
	for i := range 10 {
		for range 10_000 {
			s.Take(1)
		}
		s.Pace(int64(i) * int64(paceEvery) / 10)
		require.Equal(t, 1, s.Weight())
	}
	s.Pace(int64(paceEvery))
	want := int(math.Ceil(100_000 / paceEvery.Seconds() / leastRate))
	assert.Equal(t, want, s.Weight())
	s.Pace(int64(paceEvery) + 1)
	assert.Equal(t, want, s.Weight())
	s.Pace(0)
	assert.Equal(t, want, s.Weight(), "time does not run backwards, but if it does nothing happens")
}

// A burst is not to be looked at in full until the next regular call.
func TestSamplerIsDueAfterABurst(t *testing.T) {
	s := NewSampler(0)
	now := int64(paceEvery)
	assert.False(t, s.Due(now))
	for !s.Due(now) {
		require.LessOrEqual(t, s.keys, paceKeys)
		assert.False(t, s.Due(now-1), "no rate can be measured yet")
		s.Take(4)
	}
	s.Pace(now)
	assert.False(t, s.Due(2*now))
	assert.Greater(t, s.Weight(), 1)
}

func TestSamplerTakesEverythingAgainWhenTheRateFalls(t *testing.T) {
	s := paced(NewSampler(0), 5_000_000)
	require.Greater(t, s.Weight(), 100)
	now := s.paced
	for range 2000 { // 40,000 a second
		s.Take(1)
	}
	s.Pace(now + int64(50*time.Millisecond))
	assert.Equal(t, 1, s.Weight())
	for range 100 {
		require.Equal(t, 1, s.Take(1))
	}
	s = paced(NewSampler(0), 5_000_000)
	s.Pace(s.paced + int64(time.Hour)) // nothing came
	assert.Equal(t, 1, s.Take(1))
}

func TestPickIsFair(t *testing.T) {
	s := NewSampler(0)
	s.random = rand.New(rand.NewPCG(1, 2))
	var got [10]int
	for range 100_000 {
		got[s.Pick(10)]++
	}
	for i := range got {
		assert.InDelta(t, 10_000, got[i], 5*95)
	}
	assert.Zero(t, s.Pick(1))
}
