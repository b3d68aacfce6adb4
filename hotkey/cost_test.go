package hotkey

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// zipfKeys is a stream of keys: the i-th most frequent of n comes with probability
// proportional to 1/i^s.
func zipfKeys(n int, s float64, length int, seed uint64) [][]byte {
	z := rand.NewZipf(rand.New(rand.NewPCG(seed, 1)), s, 1, uint64(n-1))
	stream := make([][]byte, length)
	for i := range stream {
		stream[i] = []byte("user:profile:" + strconv.FormatUint(z.Uint64(), 10))
	}
	return stream
}

// drive counts a stream as a loop of the proxy does, at that many hits a second.
func drive(counters []*Counter, s *Sampler, stream [][]byte, perSecond, hits int) {
	now, step := int64(0), int64(time.Second)/int64(perSecond)
	for i := range hits {
		key := stream[i%len(stream)]
		now += step
		if i&1023 == 0 {
			s.Pace(now)
		}
		c := counters[i%len(counters)]
		if w := s.Take(1); w > 0 {
			c.Hit(&Hit{Key: key, Hash: Hash(key), Weight: w, Now: now, Slot: uint16(i), Command: 7, Client: 1, Bytes: 40})
		}
	}
}

func BenchmarkHit(b *testing.B) {
	stream := zipfKeys(1_000_000, 1.01, 1<<20, 1)
	for _, rate := range []int{10_000, 100_000, 190_000, 500_000, 2_000_000} {
		b.Run(strconv.Itoa(rate)+"/s", func(b *testing.B) {
			counters := []*Counter{NewCounter(0), NewCounter(0), NewCounter(0)}
			s := NewSampler(0)
			drive(counters, s, stream, rate, rate/5)
			b.ReportAllocs()
			b.ResetTimer()
			drive(counters, s, stream, rate, b.N)
		})
	}
}

func BenchmarkHitUniform(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	stream := make([][]byte, 1<<17)
	for i := range stream {
		stream[i] = []byte("key:" + strconv.Itoa(r.IntN(100_000)))
	}
	for _, rate := range []int{10_000, 500_000} {
		b.Run(strconv.Itoa(rate)+"/s", func(b *testing.B) {
			counters := []*Counter{NewCounter(0), NewCounter(0), NewCounter(0)}
			s := NewSampler(0)
			drive(counters, s, stream, rate, rate/5)
			b.ResetTimer()
			drive(counters, s, stream, rate, b.N)
		})
	}
}

func TestHitAllocatesNothing(t *testing.T) {
	stream := zipfKeys(100_000, 1.01, 1<<16, 1)
	counters := []*Counter{NewCounter(0)}
	s := NewSampler(0)
	var spare *Counts
	assert.Zero(t, testing.AllocsPerRun(10, func() {
		drive(counters, s, stream, 500_000, 50_000)
		spare = counters[0].Cut(spare, 0)
	}))
}
