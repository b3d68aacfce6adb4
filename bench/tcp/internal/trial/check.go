package trial

import (
	"fmt"
	"slices"

	"samaritan/bench/internal/figures"
	"samaritan/bench/internal/outcome"
)

// Checks compares all results with their bounds. What is timed is not judged after a quick run.
func (r *Results) Checks() (all []outcome.Check) {
	for _, c := range r.Costs {
		if c.Load.Limit == 0 {
			continue
		}
		times := c.Times()
		all = append(all, outcome.Check{
			Name:    "CPU time, " + c.Load.Name,
			Bound:   fmt.Sprintf("<= %.2f times %s", c.Load.Limit, c.Peer()),
			Value:   times.String(),
			Verdict: times.Within(c.Load.Limit, r.Options.Quick),
		})
	}
	if r.Apply != nil {
		all = append(all, r.Apply.check(r.Options.Quick))
	}
	if r.Storm != nil {
		all = append(all, r.Storm.check(r.Options.Quick))
	}
	return all
}

func (a *Apply) check(quick bool) outcome.Check {
	took := figures.Median(a.Listening)
	verdict := outcome.Judge(took < limitApply.Seconds())
	if quick {
		verdict = outcome.TooShort
	}
	return outcome.Check{
		Name:    fmt.Sprintf("%d services with %d endpoints each listen", a.Services, a.Endpoints),
		Bound:   fmt.Sprintf("< %v", limitApply),
		Value:   fmt.Sprintf("%.2f s (%.2f–%.2f)", took, slices.Min(a.Listening), slices.Max(a.Listening)),
		Verdict: verdict,
	}
}

func (s *Storm) check(quick bool) outcome.Check {
	more := s.More()
	return outcome.Check{
		Name:    fmt.Sprintf("p99 of another service during %d changes of endpoints a minute", s.PerMinute),
		Bound:   fmt.Sprintf("<= %g ms more", limitStorm),
		Value:   more.String(),
		Verdict: more.Within(limitStorm, quick),
	}
}
