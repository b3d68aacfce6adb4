package hotkey

import (
	"math"
	"math/rand/v2"
	"time"
)

const (
	// fullRate is up to how many keys a second all are looked at. It is as many that are
	// looked at up to three times that rate. When there are more, requests come in pipelines
	// and cost little each, so the number shrinks with the square of the rate.
	fullRate = 55_000
	// leastRate is how many keys a second are looked at in any case.
	leastRate = 15_000
)

// Sampler chooses the requests whose keys are counted. One serves all counters of a
// goroutine, as it is the goroutine's time that it saves. Which requests are chosen is
// left to chance (geometric skipping), so that no pattern of requests escapes.
type Sampler struct {
	skip   int // requests to be left out before the next
	weight int
	scale  float64 // turns an exponential variate into a number of requests to leave out
	keys   int     // since paced
	paced  int64
	limit  int     // keys a second, 0: see weightFor
	rate   float64 // keys a second, as paced
	others float64 // the same of other samplers
	random *rand.Rand
}

// NewSampler makes a sampler that takes everything. now is a time in nanoseconds on any
// clock that does not jump, as in Pace.
func NewSampler(now int64) *Sampler {
	return &Sampler{weight: 1, paced: now, random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))}
}

// NewLimitedSampler is NewSampler for a sample of about limit keys a second at most.
func NewLimitedSampler(now int64, limit int) *Sampler {
	s := NewSampler(now)
	s.limit = limit
	return s
}

// Take tells whether the keys of a request are to be counted, and by how many hits each:
// 0 leaves them out. keys is how many there are.
func (s *Sampler) Take(keys int) (weight int) {
	s.keys += keys
	if s.skip--; s.skip >= 0 {
		return 0
	}
	return s.taken()
}

// taken draws which request is the next, and is apart from Take so that this can be inlined.
func (s *Sampler) taken() int {
	s.skip = 0
	if s.weight > 1 {
		s.draw()
	}
	return s.weight
}

// Weight is by how much each hit that is taken counts: one of Weight is taken.
func (s *Sampler) Weight() int { return s.weight }

// Rate is how many keys a second there were when Pace last looked.
func (s *Sampler) Rate() float64 { return s.rate }

// SetOthers says how many keys a second other samplers have that work for the same report.
// Together they look at as many as one alone would.
func (s *Sampler) SetOthers(rate float64) { s.others = max(0, rate) }

// Pick chooses one of n by chance, for what only one of several keys can have.
func (s *Sampler) Pick(n int) int { return int(s.random.Uint32N(uint32(n))) }

// weightFor returns how many requests one stands for, at a rate of keys per second.
func (s *Sampler) weightFor(rate float64) int {
	if s.limit > 0 {
		return int(math.Ceil(rate / float64(s.limit)))
	}
	load := rate / fullRate
	return int(math.Ceil(max(load, min(load*load*load/9, rate/leastRate))))
}

// draw takes a logarithm and not an exponential variate by table, which would not be in
// the processor's cache.
func (s *Sampler) draw() { s.skip = int(-math.Log(1-s.random.Float64()) * s.scale) }

const (
	// paceEvery is the shortest time over which a rate is measured.
	paceEvery = 10 * time.Millisecond
	// paceKeys is how many keys are taken as a sign of a higher rate.
	paceKeys = fullRate / 10
)

// Due tells whether there have been so many keys since the last call of Pace that the
// next should not wait.
func (s *Sampler) Due(now int64) bool { return s.keys >= paceKeys && now-s.paced >= int64(paceEvery) }

// Pace adapts the sample to the rate since the last time. It is to be called some ten
// times a second while there are requests, and when Due says so; calls in quick
// succession do nothing.
func (s *Sampler) Pace(now int64) {
	took := now - s.paced
	if took < int64(paceEvery) {
		return
	}
	s.rate = float64(s.keys) * float64(time.Second) / float64(took)
	s.paced, s.keys = now, 0
	weight := max(1, s.weightFor(s.rate+s.others))
	if weight == s.weight {
		return
	}
	s.weight = weight
	s.skip = 0
	if weight > 1 {
		s.scale = -1 / math.Log1p(-1/float64(weight))
		s.draw()
	}
}
