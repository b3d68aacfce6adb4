package page

import (
	"fmt"
	"math"
	"slices"

	"samaritan/bench/compression/internal/trial"
	"samaritan/internal/markdown"
)

// RatioTable has a line for each kind of value.
func RatioTable(all []trial.Ratio) string {
	t := &markdown.Table{Left: 1}
	head := []string{"values"}
	for _, size := range trial.RatioSizes {
		head = append(head, "snappy, "+trial.Bytes(size), "zstd")
	}
	t.Add(head...)
	for some := range slices.Chunk(all, len(trial.RatioSizes)) {
		row := []string{some[0].Kind}
		for _, r := range some {
			row = append(row, fmt.Sprintf("%.2f", r.Snappy), fmt.Sprintf("%.2f", r.Zstd))
		}
		t.Add(row...)
	}
	return t.String()
}

// MemoryTable says what values take in the nodes.
func MemoryTable(all []trial.Store) string {
	t := &markdown.Table{Left: 1}
	t.Add("values", "off, MiB", "snappy, MiB", "less", "zstd, MiB", "less")
	for _, s := range all {
		before := float64(s.Kept[trial.Off].Memory)
		row := []string{values(s), mib(before)}
		for _, proxy := range []string{trial.Snappy, trial.Zstd} {
			after := float64(s.Kept[proxy].Memory)
			row = append(row, mib(after), less(before, after))
		}
		t.Add(row...)
	}
	return t.String()
}

// WireTable says what goes between proxy and nodes.
func WireTable(all []trial.Store) string {
	t := &markdown.Table{Left: 1}
	t.Add("values", "SET, off", "snappy", "less", "zstd", "less", "GET, off", "snappy", "less", "zstd", "less")
	for _, s := range all {
		row := []string{values(s)}
		for _, bytes := range []func(trial.Taken) float64{
			func(t trial.Taken) float64 { return t.Sent },
			func(t trial.Taken) float64 { return t.Received },
		} {
			before := bytes(s.Kept[trial.Off])
			row = append(row, fmt.Sprintf("%.0f", before))
			for _, proxy := range []string{trial.Snappy, trial.Zstd} {
				after := bytes(s.Kept[proxy])
				row = append(row, fmt.Sprintf("%.0f", after), less(before, after))
			}
		}
		t.Add(row...)
	}
	return t.String()
}

func values(s trial.Store) string {
	return fmt.Sprintf("%d of %s %s", s.Count, trial.Bytes(s.Size), s.Kind)
}

func mib(bytes float64) string { return fmt.Sprintf("%.1f", bytes/(1<<20)) }

// less is by how much something is smaller than before.
func less(before, after float64) string {
	if before <= 0 {
		return ""
	}
	percent := math.Round(100 * (1 - after/before))
	return fmt.Sprintf("%.0f %%", percent+0) // without the sign of -0
}

// CostTable says what requests take with the proxies named, compared with the one that is off.
func CostTable(all []trial.Cost, proxies ...string) string {
	t := &markdown.Table{Left: 2}
	head := []string{"requests", "values", "off, µs"}
	for _, proxy := range proxies {
		head = append(head, proxy+", µs", "times off", "19 of 20")
	}
	t.Add(append(head, "limit")...)
	for _, c := range all {
		row := []string{c.Load.Name, trial.Bytes(c.Load.Size) + " " + c.Load.Kind, micros(c.Micros(trial.Off))}
		for _, proxy := range proxies {
			times := c.Times(proxy)
			row = append(row, micros(c.Micros(proxy)), fmt.Sprintf("%.3f", times.Median), times.Range())
		}
		limit := ""
		if c.Load.Limit > 0 {
			limit = fmt.Sprintf("%.2f, %s", c.Load.Limit, c.Load.Judged)
		}
		t.Add(append(row, limit)...)
	}
	return t.String()
}

func micros(us float64) string {
	if us < 10 {
		return fmt.Sprintf("%.2f", us)
	}
	return fmt.Sprintf("%.1f", us)
}

// LatencyTable says what clients wait.
func LatencyTable(all []trial.Latency) string {
	t := &markdown.Table{Left: 1}
	t.Add("connections", "off, p50 ms", "p99", "snappy, p50 ms", "p99", "zstd, p50 ms", "p99")
	for _, l := range all {
		row := []string{fmt.Sprint(l.Connections)}
		for _, proxy := range []string{trial.Off, trial.Snappy, trial.Zstd} {
			p50, p99 := l.Millis(proxy)
			row = append(row, fmt.Sprintf("%.3f", p50), fmt.Sprintf("%.3f", p99))
		}
		t.Add(row...)
	}
	return t.String()
}
