package trial

import (
	"math"
	"time"

	"samaritan/bench/hotkeys/internal/rival"
	"samaritan/bench/hotkeys/internal/traffic"
	"samaritan/hotkey"
)

// Growth is what the 8-bit counter of a key says after a number of hits, over many runs: as
// package hotkey has it, and by one random number per hit.
type Growth struct {
	Hits      int
	Whole     Moments // all hits in one interval
	Parts     Moments // in ten
	Reference Moments
}

// Moments describe a sample.
type Moments struct {
	Runs         int
	Mean, Spread float64 // Spread: standard deviation
	Low, High    float64 // of all runs
}

func moments(values []float64) Moments {
	m := Moments{Runs: len(values), Low: math.Inf(1)}
	for _, v := range values {
		m.Mean += v / float64(len(values))
		m.Low, m.High = min(m.Low, v), max(m.High, v)
	}
	for _, v := range values {
		m.Spread += (v - m.Mean) * (v - m.Mean) / float64(len(values)-1)
	}
	m.Spread = math.Sqrt(m.Spread)
	return m
}

// tolerance is by how many standard errors two means may differ: chance alone gets beyond
// that once in 15,000 times.
const tolerance = 4

// agree reports whether two samples can be of the same distribution, as far as mean and spread go.
func agree(a, b Moments) bool {
	na, nb := float64(a.Runs), float64(b.Runs)
	mean := math.Sqrt(a.Spread*a.Spread/na + b.Spread*b.Spread/nb)
	spread := math.Sqrt(a.Spread*a.Spread/(2*na) + b.Spread*b.Spread/(2*nb))
	const rounding = 0.01 // counters that do not spread at all
	return math.Abs(a.Mean-b.Mean) <= tolerance*mean+rounding &&
		math.Abs(a.Spread-b.Spread) <= 1.5*tolerance*spread+rounding
}

// Agrees reports whether both ways of counting are what a random number for each hit gives.
func (g Growth) Agrees() bool { return agree(g.Whole, g.Reference) && agree(g.Parts, g.Reference) }

// Growths measures with runs runs for each number of hits; the slow reference has fewer of the
// longest ones.
func Growths(runs int) []Growth {
	var all []Growth
	random := traffic.Random(1, forMixing)
	for _, hits := range []int{10, 100, 1000, 10_000, 100_000, 1_000_000} {
		n := min(runs, max(50, 300_000_000/hits))
		reference := make([]float64, n)
		for i := range reference {
			reference[i] = float64(rival.LogCounter(hits, random))
		}
		all = append(all, Growth{
			Hits: hits, Whole: moments(counters(hits, 1, runs)), Parts: moments(counters(hits, 10, runs)),
			Reference: moments(reference),
		})
	}
	return all
}

// atOnce is how many keys are counted together: few enough for each to have an entry of its own.
const atOnce = 200

// counters returns what a number of counters say after hits in so many intervals. What else there
// is to counting does not matter: each key is exact, or there is no use in going on.
func counters(hits, intervals, runs int) (values []float64) {
	keys := traffic.NewKeys(atOnce, 1)
	for len(values) < runs {
		collector := hotkey.NewCollector(hotkey.Options{Capacity: atOnce, Interval: time.Second, Window: 10 * time.Second})
		counter := hotkey.NewCounter(0)
		var report *hotkey.Report
		for i := range intervals {
			now := int64(i) * int64(time.Second)
			for key := range atOnce {
				name := keys.Name(key)
				counter.Hit(&hotkey.Hit{Key: name, Hash: hotkey.Hash(name), Weight: hits / intervals, Now: now})
			}
			collector.Add("", counter.Cut(nil, now+int64(time.Second)), now, wall(now))
			report = collector.Merge(wall(now))
		}
		for _, k := range report.Keys {
			if k.Count == uint64(hits) {
				values = append(values, float64(k.Heat))
			}
		}
	}
	return values[:runs]
}
