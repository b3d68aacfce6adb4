package traffic

import (
	"math"
	"math/rand/v2"
)

// Source draws the number of the key that is hit at a time, in nanoseconds.
type Source interface{ Draw(now int64) int }

// Random makes the generator of a seed. purpose tells streams of one seed apart.
func Random(seed, purpose uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, purpose)) }

// Uniform draws keys First to First+N-1 with the same probability.
type Uniform struct {
	First, N int
	Random   *rand.Rand
}

// Draw implements [Source].
func (u *Uniform) Draw(int64) int { return u.First + u.Random.IntN(u.N) }

// Mix draws from A with probability Share, else from B; before From always from B.
type Mix struct {
	A, B   Source
	Share  float64
	From   int64 // nanoseconds
	Random *rand.Rand
}

// Draw implements [Source].
func (m *Mix) Draw(now int64) int {
	if now >= m.From && m.Random.Float64() < m.Share {
		return m.A.Draw(now)
	}
	return m.B.Draw(now)
}

// Burst gives Key a share of the traffic from From until To, and leaves the rest to Base.
type Burst struct {
	Base     Source
	Key      int
	Share    float64
	From, To int64 // nanoseconds
	Random   *rand.Rand
}

// Draw implements [Source].
func (b *Burst) Draw(now int64) int {
	if now >= b.From && now < b.To && b.Random.Float64() < b.Share {
		return b.Key
	}
	return b.Base.Draw(now)
}

// Arrivals is a Poisson process: hits come independently of each other.
type Arrivals struct {
	mean   float64 // nanoseconds between two hits
	at     float64
	random *rand.Rand
}

// NewArrivals makes a process that begins at time 0. perSecond is its rate.
func NewArrivals(perSecond float64, random *rand.Rand) *Arrivals {
	return &Arrivals{mean: 1e9 / perSecond, random: random}
}

// Next returns when the next hit comes, in nanoseconds.
func (a *Arrivals) Next() int64 {
	a.at += a.random.ExpFloat64() * a.mean
	return int64(math.Ceil(a.at))
}
