package trial

import (
	"fmt"

	"samaritan/bench/internal/outcome"
)

// minRatio is how many times smaller JSON of 16 KiB is at least.
const minRatio = 2

// Checks compares all results with their bounds. Those of time are not judged after a quick
// run.
func (r *Results) Checks() []outcome.Check {
	all := r.ratioChecks()
	for _, c := range append(r.Costs[:len(r.Costs):len(r.Costs)], r.Untouched...) {
		if c.Load.Limit == 0 {
			continue
		}
		times := c.Times(c.Load.Judged)
		all = append(all, outcome.Check{
			Name:    fmt.Sprintf("CPU time, %s: %s", c.Load.Judged, c.Load),
			Bound:   fmt.Sprintf("<= %.2f times off", c.Load.Limit),
			Value:   times.String(),
			Verdict: times.Within(c.Load.Limit, r.Quick),
		})
	}
	return all
}

// ratioChecks see to it that values are compressed at all.
func (r *Results) ratioChecks() (all []outcome.Check) {
	for _, ratio := range r.Ratios {
		if ratio.Kind != "json" || ratio.Size != 16<<10 {
			continue
		}
		for _, c := range []struct {
			proxy string
			times float64
		}{{Snappy, ratio.Snappy}, {Zstd, ratio.Zstd}} {
			all = append(all, outcome.Check{
				Name:    c.proxy + ": 16 KiB json is smaller",
				Bound:   fmt.Sprintf(">= %d times", minRatio),
				Value:   fmt.Sprintf("%.2f", c.times),
				Verdict: outcome.Judge(c.times >= minRatio),
			})
		}
	}
	return all
}
