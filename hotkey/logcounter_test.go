package hotkey

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// growOneByOne is the definition: a random number for each hit.
func growOneByOne(value uint8, hits uint64, random *rand.Rand) uint8 {
	for range hits {
		if value < math.MaxUint8 && random.Float64() < 1/(float64(value)*10+1) {
			value++
		}
	}
	return value
}

// moments of what a counter becomes.
func moments(fn func(uint8, uint64, *rand.Rand) uint8, from uint8, hits uint64, trials int, random *rand.Rand) (mean, variance float64) {
	var sum, squares float64
	for range trials {
		v := float64(fn(from, hits, random))
		sum += v
		squares += v * v
	}
	mean = sum / float64(trials)
	return mean, squares/float64(trials) - mean*mean
}

func TestLogCounterGrowsAsWithARandomNumberForEachHit(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 12))
	for _, tt := range []struct {
		from   uint8
		hits   uint64
		trials int
	}{
		{0, 0, 100},
		{0, 1, 100},
		{0, 2, 20_000},
		{0, 10, 20_000},
		{0, 100, 10_000},
		{0, 3000, 2000},
		{1, 1, 20_000},
		{5, 1, 50_000},
		{5, 100, 10_000},
		{100, 1000, 2000},
		{254, 1000, 2000},
		{254, 20_000, 300},
		{255, 10, 100},
	} {
		m1, v1 := moments(growOneByOne, tt.from, tt.hits, tt.trials, random)
		m2, v2 := moments(grow, tt.from, tt.hits, tt.trials, random)
		n := float64(tt.trials)
		assert.InDelta(t, m1, m2, 5*math.Sqrt((v1+v2)/n)+1e-9, "mean from %d with %d hits", tt.from, tt.hits)
		assert.InDelta(t, v1, v2, 5*(v1+v2+0.02)*math.Sqrt(2/n)+0.02, "variance from %d with %d hits", tt.from, tt.hits)
	}
}

// The figures of Redis' documentation for a factor of 10, which are rounded means.
func TestLogCounterHasRedisMeans(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for hits, want := range map[uint64]float64{100: 4.5, 1000: 14.2, 100_000: 141.4} {
		mean, _ := moments(grow, 0, hits, 500, random)
		assert.InEpsilon(t, want, mean, 0.1, "%d hits: about the root of a fifth of them", hits)
	}
}

func TestLogCounterStaysAtItsEnd(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	assert.EqualValues(t, 255, grow(0, 1<<40, random))
	assert.EqualValues(t, 255, grow(255, math.MaxUint64, random))
	assert.EqualValues(t, 255, grow(254, math.MaxUint64, random))
	assert.EqualValues(t, 1, grow(0, 1, random), "the first hit always counts")
	for v := range 256 {
		assert.EqualValues(t, v, grow(uint8(v), 0, random))
	}
}

func TestIdleMinutes(t *testing.T) {
	at := time.Unix(1000, 0)
	for d, want := range map[time.Duration]int{
		-time.Hour: 0, 0: 0, time.Minute - 1: 0, time.Minute: 1, 119 * time.Second: 1, 8 * time.Minute: 8, 24 * time.Hour: 1440,
	} {
		assert.Equal(t, want, idleMinutes(at, at.Add(d)), d)
	}
}
