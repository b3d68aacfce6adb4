package report

import (
	"fmt"

	"samaritan/bench/internal/figures"
	"samaritan/internal/markdown"
)

// targets is the order of targets in tables.
var targets = []string{Subject, Without, Peer, Reference}

// LoadTable renders what each target did in each scenario.
func (r Report) LoadTable() string {
	t := &markdown.Table{Left: 2}
	t.Add("scenario", "target", "requests/s", "CPU µs/req", "user", "system", "p50 ms", "p99 ms", "RSS MiB", "ratio", "rounds from–to", "budget", "")
	for _, s := range r.Scenarios {
		label := s.Title
		for _, target := range targets {
			run, ok := s.Median(target)
			if !ok {
				continue
			}
			row := []string{
				label, target, fmt.Sprintf("%.0f", run.Rate), figures.Digits(run.CPU), figures.Digits(run.User), figures.Digits(run.System),
				fmt.Sprintf("%.2f", run.P50), fmt.Sprintf("%.2f", run.P99), fmt.Sprintf("%.1f", run.RSS/(1<<20)),
			}
			t.Add(append(row, s.verdict(target)...)...)
			label = "" // Once is enough.
		}
	}
	return t.String()
}

// verdict returns the cells that compare Subject with its budget; they are
// empty for all others.
func (s Scenario) verdict(target string) []string {
	if r, ok := s.ratio(Without, Subject); ok && target == Without {
		return []string{fmt.Sprintf("%.3f of %s", r.Median, Subject), fmt.Sprintf("%.3f–%.3f", r.Low, r.High), "", ""}
	}
	ratio, ok := s.Ratio()
	if target != Subject || !ok {
		return []string{"", "", "", ""}
	}
	return []string{
		fmt.Sprintf("%.2f", ratio.Median), fmt.Sprintf("%.2f–%.2f", ratio.Low, ratio.High),
		fmt.Sprintf("%.2f", s.Budget), mark(ratio.Median <= s.Budget),
	}
}

// FootprintTable renders memory and start, "" when they were not measured.
func (r Report) FootprintTable() string {
	if len(r.Footprints) == 0 {
		return ""
	}
	t := &markdown.Table{Left: 1}
	t.Add("figure", Subject, Peer, "budget", "")
	for _, l := range r.Limits {
		row := []string{fmt.Sprintf("%s, %s", l.Name, l.Unit), "", "", fmt.Sprintf("%g", l.Budget), ""}
		if f, ok := r.Footprints[Subject]; ok {
			row[1], row[4] = figures.Digits(l.figure(f)), mark(l.figure(f) <= l.Budget)
		}
		if f, ok := r.Footprints[Peer]; ok {
			row[2] = figures.Digits(l.figure(f))
		}
		t.Add(row...)
	}
	return t.String()
}

func mark(within bool) string {
	if within {
		return "ok"
	}
	return "over budget"
}
