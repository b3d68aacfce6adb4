package page

import (
	"fmt"
	"slices"

	"samaritan/bench/internal/figures"
	"samaritan/bench/tcp/internal/stand"
	"samaritan/bench/tcp/internal/trial"
	"samaritan/internal/markdown"
)

// BulkTable says what many bytes take.
func BulkTable(all []trial.Cost) string {
	return costTable(all, "s", func(c float64) string { return fmt.Sprintf("%.3f", c) })
}

// TurnTable says what connections and round trips take.
func TurnTable(all []trial.Cost) string {
	return costTable(all, "µs", func(c float64) string { return figures.Digits(c * 1e6) })
}

func costTable(all []trial.Cost, unit string, format func(float64) string) string {
	t := &markdown.Table{Left: 1}
	head := []string{"load"}
	for _, k := range stand.Proxies {
		head = append(head, fmt.Sprintf("%s, %s", k, unit))
	}
	t.Add(append(head, "times", "19 of 20", "limit")...)
	for _, c := range all {
		row := []string{c.Load.Name}
		for _, k := range stand.Proxies {
			row = append(row, format(c.Median(k).CPU))
		}
		times, limit := c.Times(), ""
		if c.Load.Limit > 0 {
			limit = fmt.Sprintf("%.2f", c.Load.Limit)
		}
		t.Add(append(row, fmt.Sprintf("%.3f", times.Median), times.Range(), limit)...)
	}
	return t.String()
}

// everybody is who is in tables that have a column for the server itself.
var everybody = append(slices.Clone(stand.Proxies), stand.Direct)

// LatencyTable says what clients wait.
func LatencyTable(all []trial.Cost) string {
	t := &markdown.Table{Left: 1}
	head := []string{"load"}
	for _, k := range everybody {
		head = append(head, string(k)+", p50", "p99")
	}
	t.Add(head...)
	for _, c := range all {
		row := []string{c.Load.Name}
		for _, k := range everybody {
			s := c.Median(k)
			row = append(row, fmt.Sprintf("%.3f", s.P50), fmt.Sprintf("%.3f", s.P99))
		}
		t.Add(row...)
	}
	return t.String()
}

// RateTable says how much gets through.
func RateTable(all []trial.Cost) string {
	t := &markdown.Table{Left: 2}
	head := []string{"load", "unit"}
	for _, k := range everybody {
		head = append(head, string(k))
	}
	t.Add(head...)
	for _, c := range all {
		unit := "per second"
		if c.Load.Bulk() {
			unit = "GB per second"
		}
		row := []string{c.Load.Name, unit}
		for _, k := range everybody {
			row = append(row, figures.Digits(c.Median(k).Rate))
		}
		t.Add(row...)
	}
	return t.String()
}

// MemoryTable says what proxies take without load.
func MemoryTable(m *trial.Memory) string {
	t := &markdown.Table{Left: 1}
	t.Add("proxy", "at start, MiB", "idle connection, KiB")
	for _, k := range stand.Proxies {
		start, each := m.Median(k)
		t.Add(string(k), figures.Digits(start/(1<<20)), figures.Digits(each/(1<<10)))
	}
	return t.String()
}

// ApplyTable says how long services take to come up.
func ApplyTable(a *trial.Apply) string {
	t := &markdown.Table{Left: 1}
	t.Add("services", "endpoints of each", "listen, s", "from–to", "CPU, s", "visited, s", "from–to")
	between := func(all []float64) string { return fmt.Sprintf("%.2f–%.2f", slices.Min(all), slices.Max(all)) }
	t.Add(
		fmt.Sprint(a.Services), fmt.Sprint(a.Endpoints),
		fmt.Sprintf("%.3f", figures.Median(a.Listening)), between(a.Listening), fmt.Sprintf("%.3f", figures.Median(a.CPU)),
		fmt.Sprintf("%.3f", figures.Median(a.Visited)), between(a.Visited),
	)
	return t.String()
}

// StormTable says what changes of endpoints do to another service.
func StormTable(s *trial.Storm) string {
	t := &markdown.Table{Left: 1}
	t.Add("changes", "p50, ms", "p99, ms", "more, ms", "19 of 20", "times", "19 of 20", "CPU, % of one", "CPU of a change, µs")
	without, with := trial.Median(s.Without), trial.Median(s.With)
	more, times := s.More(), s.Times()
	t.Add("none", millis(without.P50), millis(without.P99), "", "", "", "", percent(without.CPU), "")
	t.Add(
		fmt.Sprintf("%d a minute", s.PerMinute), millis(with.P50), millis(with.P99),
		millis(more.Median), more.Range(), fmt.Sprintf("%.3f", times.Median), times.Range(), percent(with.CPU), figures.Digits(s.PerChange()*1e6),
	)
	return t.String()
}

func millis(ms float64) string { return fmt.Sprintf("%.3f", ms) }

func percent(share float64) string { return fmt.Sprintf("%.1f", 100*share) }
