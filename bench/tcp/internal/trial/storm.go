package trial

import (
	"time"

	"samaritan/bench/internal/figures"
	"samaritan/bench/internal/pairs"
	"samaritan/bench/tcp/internal/load"
)

// limitStorm is how many milliseconds the p99 of a service may grow by while others change: what any pause of the daemon
// may cost. As a multiple it would say more of how idle the machine is.
const limitStorm = 1.0

// calm are clients that leave the processor some rest, so that it is seen what disturbs them.
var calm = load.Options{Kind: load.PingPong, Connections: 50, Every: 25 * time.Millisecond}

// Storm is what clients of one service wait, and what the daemon takes, while the endpoints of other services
// change, and while they do not, in slices that take turns.
type Storm struct {
	Services  int // that change
	PerMinute int // changes
	With      []StormSlice
	Without   []StormSlice
}

// StormSlice is one of them.
type StormSlice struct {
	P50, P99 float64 // ms
	CPU      float64 // seconds of the daemon's process in a second
}

// Times compares the p99 with changes and without.
func (s *Storm) Times() pairs.Comparison { return pairs.Divide(s.p99s()) }

// More is by how many milliseconds the p99 with changes exceeds that without.
func (s *Storm) More() pairs.Comparison { return pairs.Subtract(s.p99s()) }

func (s *Storm) p99s() (with, without []float64) {
	p99 := func(s StormSlice) float64 { return s.P99 }
	return figures.Each(s.With, p99), figures.Each(s.Without, p99)
}

// PerChange is the CPU time that the daemon takes for one change, in seconds.
func (s *Storm) PerChange() float64 {
	with, without := Median(s.With), Median(s.Without)
	return max(0, with.CPU-without.CPU) * 60 / float64(s.PerMinute)
}

// Median are the medians of slices, each figure for itself.
func Median(all []StormSlice) StormSlice {
	of := func(field func(StormSlice) float64) float64 { return figures.Median(figures.Each(all, field)) }
	return StormSlice{
		P50: of(func(s StormSlice) float64 { return s.P50 }),
		P99: of(func(s StormSlice) float64 { return s.P99 }),
		CPU: of(func(s StormSlice) float64 { return s.CPU }),
	}
}
