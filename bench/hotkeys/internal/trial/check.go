package trial

import (
	"fmt"
	"math"
	"time"

	"samaritan/bench/internal/outcome"
)

// Bounds that package hotkey has to keep.
const (
	minPrecision   = 0.98
	maxDisplaced   = 1
	maxQPSError    = 0.05
	minWithin      = 0.90 // of sampled counts; of others all
	maxHitsError   = 0.01 // of sampled counts; of others none
	maxBurstError  = 0.10
	maxNanoseconds = 20 // for a hit, at fastRate
	fastRate       = 500_000
	maxMemory      = 1 << 20
)

// Results are those of all trials. Cost is nil when nothing was timed.
type Results struct {
	Accuracy []Accuracy
	Bursts   []Burst
	Decay    Decay
	Growths  []Growth
	Contests []Contest
	Cost     *Cost
	Took     time.Duration
}

// Checks compares all results with their bounds.
func (r *Results) Checks() []outcome.Check {
	var all []outcome.Check
	for i := range r.Accuracy {
		all = append(all, r.Accuracy[i].checks()...)
	}
	all = append(all, burstChecks(r.Bursts)...)
	all = append(all, r.Decay.checks()...)
	for _, g := range r.Growths {
		all = append(all, outcome.Check{
			Name:    fmt.Sprintf("8-bit counter, %s hits", thousands(float64(g.Hits))),
			Bound:   "as by one random number a hit",
			Value:   fmt.Sprintf("%.2f ± %.2f, against %.2f ± %.2f", g.Whole.Mean, g.Whole.Spread, g.Reference.Mean, g.Reference.Spread),
			Verdict: outcome.Judge(g.Agrees()),
		})
	}
	for _, c := range r.Contests {
		e := c.Entrants[0]
		all = append(all, atLeast("comparison, "+c.Stream+": precision", e.Precision, minPrecision))
		if c.Pressure {
			all = append(all, atMost("comparison, "+c.Stream+": memory", "%.0f bytes", float64(e.Bytes), maxMemory))
		}
	}
	if r.Cost != nil {
		all = append(all, r.Cost.checks()...)
	}
	return all
}

func atLeast(name string, value, bound float64) outcome.Check {
	return outcome.Check{Name: name, Bound: fmt.Sprintf(">= %.2f", bound), Value: fmt.Sprintf("%.3f", value), Verdict: outcome.Judge(value >= bound-1e-9)}
}

func atMost(name, format string, value, bound float64) outcome.Check {
	return outcome.Check{Name: name, Bound: "<= " + fmt.Sprintf(format, bound), Value: fmt.Sprintf(format, value), Verdict: outcome.Judge(value <= bound)}
}

// Named figures of a score.
func precisionOf(s Score) float64 { return s.Precision }
func displacedOf(s Score) float64 { return float64(s.Displaced) }
func qpsErrorOf(s Score) float64  { return s.QPSError }
func withinOf(s Score) float64    { return s.Within }
func hitsErrorOf(s Score) float64 { return s.HitsError }

func (a *Accuracy) checks() []outcome.Check {
	name := a.Load.String() + ": "
	mid, worst, _ := Figure(a.Scores, precisionOf)
	displaced, _, worstDisplaced := Figure(a.Scores, displacedOf)
	qps, _, _ := Figure(a.Scores, qpsErrorOf)
	_, within, _ := Figure(a.Scores, withinOf)
	_, _, hits := Figure(a.Scores, hitsErrorOf)
	if a.Load.Sampled() {
		ideal, _, _ := Figure(a.Ideal, precisionOf)
		idealDisplaced, _, _ := Figure(a.Ideal, displacedOf)
		checks := []outcome.Check{
			atLeast(name+"precision at 50, as exact counts of the sample (less 0.01)", mid, ideal-0.01),
			atLeast(name+"counts within their bounds, all seeds", Mean(a.Scores, withinOf), minWithin),
			atMost(name+"error of the hits of all keys", "%.3f", hits, maxHitsError),
		}
		if a.Load.Exacting() {
			checks = append(checks, atLeast(name+"precision at 50, median", mid, minPrecision))
			displaced, idealDisplaced = worstDisplaced, 0
		}
		if a.Load.Late {
			return checks
		}
		return append(
			checks, atMost(name+"places out of order, top 10", "%.1f", displaced, math.Max(maxDisplaced, idealDisplaced)),
			atMost(name+"error of qps, top 10", "%.3f", qps, maxQPSError),
		)
	}
	checks := []outcome.Check{
		atLeast(name+"precision at 50, median", mid, minPrecision), atLeast(name+"precision at 50, worst", worst, minPrecision),
		atLeast(name+"counts within their bounds", within, 1), atMost(name+"error of the hits of all keys", "%.3f", hits, 0),
	}
	if a.Load.Late { // keys that are all the same have no order
		return checks
	}
	return append(
		checks, atMost(name+"places out of order, top 10, worst", "%.0f", worstDisplaced, maxDisplaced),
		atMost(name+"error of qps, top 10", "%.3f", qps, maxQPSError),
	)
}

func burstChecks(bursts []Burst) []outcome.Check {
	late, wrong, loose := 0, 0.0, 0
	for i := range bursts {
		for _, s := range bursts[i].Seen {
			if s.Listed == 0 || s.Listed > s.Due {
				late++
			}
			wrong = max(wrong, s.Off())
			if !s.Within {
				loose++
			}
		}
	}
	if len(bursts) == 0 {
		return nil
	}
	return []outcome.Check{
		atMost("bursts: listed later than they belong to the true 50", "%.0f", float64(late), 0),
		atMost("bursts: error of the count, worst", "%.3f", wrong, maxBurstError),
		atMost("bursts: counts outside of their bounds", "%.0f", float64(loose), 0),
	}
}

// Off is the relative error of the count.
func (s BurstSeen) Off() float64 { return relative(s.Count, s.True) }

func (d *Decay) checks() []outcome.Check {
	return []outcome.Check{
		atMost("decay: readings other than halved for each idle minute", "%.0f", float64(d.Wrong), 0),
		atMost("decay: keys left at the end", "%.0f", float64(d.Left), 0),
	}
}

func (c *Cost) checks() []outcome.Check {
	checks := []outcome.Check{
		atMost("cost: memory of a counter", "%.0f bytes", float64(c.Counter), maxMemory),
		atMost("cost: allocations per hit", "%g", c.Allocations, 0),
	}
	for _, r := range c.Rates {
		if r.PerSecond == fastRate {
			checks = append(checks, atMost("cost: a hit at 500,000/s, one by one", "%.1f ns", r.Single.PerHit, maxNanoseconds))
		}
	}
	return checks
}
