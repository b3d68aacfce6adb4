package trial

import (
	"fmt"
	"slices"
	"time"

	"samaritan/bench/hotkeys/internal/traffic"
	"samaritan/bench/internal/figures"
	"samaritan/hotkey"
)

// Population is how many keys there are.
const Population = 1_000_000

// settled is when reports are scored: the window has slid on once.
const settled = Window + Interval

// Load is a stream of hits.
type Load struct {
	Exponent  float64 // of the Zipf distribution
	PerSecond float64
	// Late puts 50 more keys on top, each with 0.1 % of the hits, that begin in the middle of the last interval.
	Late bool
	// Loops is over how many loops the hits are spread; 0 is one.
	Loops int
	// Moves moves all keys to another node in the middle of the last interval.
	Moves bool
}

func (l Load) String() string {
	if l.Late {
		return fmt.Sprintf("uniform, 50 late keys, %s/s", thousands(l.PerSecond))
	}
	name := fmt.Sprintf("s = %g, %s/s", l.Exponent, thousands(l.PerSecond))
	if l.Loops > 1 {
		name += fmt.Sprintf(", %d loops", l.Loops)
	}
	if l.Moves {
		name += ", slots move"
	}
	return name
}

// Sampled reports whether only a part of the hits is looked at.
func (l Load) Sampled() bool { return l.PerSecond >= 55_000 }

// Exacting reports whether the list is held to the truth, and not to what chance leaves
// of it in a small sample.
func (l Load) Exacting() bool { return l.PerSecond <= 100_000 }

// Loads are those that have bounds.
var Loads = []Load{
	{Exponent: 0.8, PerSecond: 10_000},
	{Exponent: 0.99, PerSecond: 10_000},
	{Exponent: 0.99, PerSecond: 100_000},
	{Exponent: 1.2, PerSecond: 10_000},
	{Exponent: 1.2, PerSecond: 100_000},
	{Exponent: 0.99, PerSecond: 10_000, Loops: 2},
	{Exponent: 0.99, PerSecond: 10_000, Moves: true},
	{PerSecond: 50_000, Late: true},
	{Exponent: 0.99, PerSecond: 500_000},
}

// Accuracy is how right the reports about a load are, over several seeds.
type Accuracy struct {
	Load   Load
	Scores []Score  // by seed
	Ideal  []Score  // sampled loads: what exact counts of the same sample make of it
	Spread []Spread // of the first seed, hottest first
}

// Spread is how far a listed key's count is off, and may be.
type Spread struct {
	True, Count, Error, SamplingError uint64
}

// World is what the trials share and takes long to make. It is not changed.
type World struct {
	keys   *traffic.Keys // Population, and Capacity more for bursts
	tables map[float64]*traffic.Table
}

// NewWorld makes the keys.
func NewWorld() *World {
	return &World{keys: traffic.NewKeys(Population+Capacity, Nodes), tables: make(map[float64]*traffic.Table)}
}

// zipf makes a source of the first Population keys.
func (w *World) zipf(s float64, seed uint64) traffic.Source {
	if w.tables[s] == nil {
		w.tables[s] = traffic.ZipfTable(Population, s)
	}
	return w.tables[s].Source(traffic.Random(seed, forKeys))
}

// purposes of random numbers.
const (
	forKeys = iota
	forTimes
	forBursts
	forMixing
)

// source makes the stream of a load.
func (w *World) source(l Load, seed uint64) traffic.Source {
	base := w.zipf(l.Exponent, seed)
	if !l.Late {
		return base
	}
	return &traffic.Mix{
		A:     &traffic.Uniform{First: Population, N: Capacity, Random: traffic.Random(seed, forBursts)},
		B:     base,
		Share: Capacity * 0.001, From: int64(settled - Interval/2), Random: traffic.Random(seed, forMixing),
	}
}

// Accuracy runs a load with seeds 1 to seeds.
func (w *World) Accuracy(l Load, seeds int) Accuracy {
	a := Accuracy{Load: l}
	for seed := uint64(1); seed <= uint64(seeds); seed++ {
		w.settle(&a, seed)
	}
	return a
}

// settle runs a load until its report is to be scored.
func (w *World) settle(a *Accuracy, seed uint64) {
	var r *Rig
	r = newRig(w.keys, func(report *hotkey.Report) {
		if r.now != int64(settled) {
			return
		}
		a.Scores = append(a.Scores, score(report, r.truth, w.keys, Capacity))
		if r.sample != nil {
			a.Ideal = append(a.Ideal, idealScore(r, report.Interval))
		}
		if seed == 1 {
			a.Spread = spread(report, r)
		}
	})
	r.withLoops(max(1, a.Load.Loops))
	if a.Load.Moves {
		r.moveAt = int64(settled - Interval/2)
	}
	if a.Load.Sampled() {
		r.withSample()
	}
	arrivals := traffic.NewArrivals(a.Load.PerSecond, traffic.Random(seed, forTimes))
	r.run(w.source(a.Load, seed), arrivals, settled)
}

func spread(report *hotkey.Report, r *Rig) (all []Spread) {
	for _, k := range listing(report, r.keys) {
		all = append(all, Spread{r.truth.total(k.number), k.Count, k.Error, k.SamplingError})
	}
	return all
}

// idealScore is the score of a report that is made of the exact counts of the sample.
func idealScore(r *Rig, interval time.Duration) Score {
	report := &hotkey.Report{Interval: interval}
	for _, t := range r.sample.top(Capacity) {
		report.Keys = append(report.Keys, hotkey.Key{
			Name: r.keys.Name(t.key), Count: t.count, QPS: float64(r.sample.last(t.key)) / interval.Seconds(),
		})
	}
	return score(report, r.truth, r.keys, Capacity)
}

// Figure returns a figure's median over the seeds, and the least and the most.
func Figure(scores []Score, of func(Score) float64) (mid, least, most float64) {
	all := figures.Each(scores, of)
	return figures.Median(all), slices.Min(all), slices.Max(all)
}

// Mean returns a figure's mean over the seeds.
func Mean(scores []Score, of func(Score) float64) (mean float64) {
	for _, v := range figures.Each(scores, of) {
		mean += v / float64(len(scores))
	}
	return mean
}

// thousands writes a whole number with commas.
func thousands(v float64) string {
	digits := fmt.Sprintf("%.0f", v)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
