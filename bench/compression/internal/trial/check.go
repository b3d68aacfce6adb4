package trial

import "fmt"

// minRatio is how many times smaller JSON of 16 KiB is at least.
const minRatio = 2

// Verdict is what became of a bound.
type Verdict string

// All verdicts.
const (
	Pass     Verdict = "PASS"
	Fail     Verdict = "FAIL"
	Unsure   Verdict = "not sure"         // the median exceeds the bound, and may do so by chance
	TooShort Verdict = "too short to say" // after a quick run
)

// Check is one bound and what was measured.
type Check struct {
	Name    string
	Bound   string
	Value   string
	Verdict Verdict
}

// Checks compares all results with their bounds. Those of time are not judged after a quick
// run.
func (r *Results) Checks() []Check {
	all := r.ratioChecks()
	for _, c := range append(r.Costs[:len(r.Costs):len(r.Costs)], r.Untouched...) {
		if c.Load.Limit == 0 {
			continue
		}
		times := c.Times(c.Load.Judged)
		all = append(all, Check{
			fmt.Sprintf("CPU time, %s: %s", c.Load.Judged, c.Load), fmt.Sprintf("<= %.2f times off", c.Load.Limit),
			fmt.Sprintf("%.3f (%.2f–%.2f)", times.Median, times.Low, times.High), times.within(c.Load.Limit, r.Quick),
		})
	}
	return all
}

// within judges a limit.
func (m Multiple) within(limit float64, quick bool) Verdict {
	switch {
	case m.Median == 0: // Nothing was measured.
		return Fail
	case quick:
		return TooShort
	case m.Median <= limit:
		return Pass
	case m.Low <= limit:
		return Unsure
	}
	return Fail
}

// ratioChecks see to it that values are compressed at all.
func (r *Results) ratioChecks() (all []Check) {
	for _, ratio := range r.Ratios {
		if ratio.Kind != "json" || ratio.Size != 16<<10 {
			continue
		}
		for _, c := range []struct {
			proxy string
			times float64
		}{{Snappy, ratio.Snappy}, {Zstd, ratio.Zstd}} {
			all = append(all, Check{
				c.proxy + ": 16 KiB json is smaller", fmt.Sprintf(">= %d times", minRatio), fmt.Sprintf("%.2f", c.times), verdict(c.times >= minRatio),
			})
		}
	}
	return all
}

func verdict(ok bool) Verdict {
	if ok {
		return Pass
	}
	return Fail
}

// Summary counts bounds by what became of them. Those that were not judged are in none.
type Summary struct{ Kept, Missed, Unsure int }

// Summarize counts verdicts.
func Summarize(checks []Check) (s Summary) {
	for _, c := range checks {
		switch c.Verdict {
		case Pass:
			s.Kept++
		case Fail:
			s.Missed++
		case Unsure:
			s.Unsure++
		}
	}
	return s
}

// String says it in words.
func (s Summary) String() string {
	text := fmt.Sprintf("%d of %d bounds kept", s.Kept, s.Kept+s.Missed+s.Unsure)
	if s.Unsure > 0 {
		text += fmt.Sprintf(", %d not sure", s.Unsure)
	}
	return text
}
