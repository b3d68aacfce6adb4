package page

import (
	"fmt"
	"time"

	"samaritan/bench/hotkeys/internal/trial"
	"samaritan/internal/markdown"
)

func percent(share float64) string {
	if share == 1 || share == 0 {
		return fmt.Sprintf("%.0f %%", 100*share)
	}
	return fmt.Sprintf("%.1f %%", 100*share)
}

// AccuracyTable says how right reports are.
func AccuracyTable(all []trial.Accuracy) string {
	t := &markdown.Table{Left: 1}
	t.Add("traffic", "looked at", "precision at 50", "worst", "places off, top 10", "qps off, top 10", "count off", "bound", "within bounds")
	for _, a := range all {
		row := accuracyRow(a.Load.String(), a.Scores)
		if a.Load.Late {
			row[4] = "" // They have no order.
		}
		t.Add(row...)
		if a.Ideal != nil {
			row := accuracyRow("the same sample, counted exactly", a.Ideal)
			row[1], row[7], row[8] = "", "", ""
			t.Add(row...)
		}
	}
	return t.String()
}

func accuracyRow(name string, scores []trial.Score) []string {
	precision, worst, _ := trial.Figure(scores, func(s trial.Score) float64 { return s.Precision })
	_, _, displaced := trial.Figure(scores, func(s trial.Score) float64 { return float64(s.Displaced) })
	qps, _, _ := trial.Figure(scores, func(s trial.Score) float64 { return s.QPSError })
	count, _, _ := trial.Figure(scores, func(s trial.Score) float64 { return s.CountError })
	bound, _, _ := trial.Figure(scores, func(s trial.Score) float64 { return s.Bound })
	within := trial.Mean(scores, func(s trial.Score) float64 { return s.Within })
	sample, _, _ := trial.Figure(scores, func(s trial.Score) float64 { return s.SampleRate })
	return []string{
		name, percent(sample), fmt.Sprintf("%.2f", precision), fmt.Sprintf("%.2f", worst), fmt.Sprintf("%.0f", displaced),
		percent(qps), percent(count), percent(bound), percent(within),
	}
}

// BurstTable says how soon a new key is listed.
func BurstTable(all []trial.Burst) string {
	t := &markdown.Table{Left: 1}
	t.Add("key", "begins", "lasts", "among the true 50", "listed", "after", "count off, worst")
	for i := range all {
		b := &all[i]
		due, listed, after, off := 0, 0, time.Duration(0), 0.0
		for _, s := range b.Seen {
			due, listed, after, off = max(due, s.Due), max(listed, s.Listed), max(after, s.After), max(off, s.Off())
		}
		lasts := "on"
		if b.Lasts > 0 {
			lasts = b.Lasts.String()
		}
		name := fmt.Sprintf("%g %% of %.0f/s", 100*b.Share, b.Load.PerSecond)
		if b.Warm {
			name += ", the 400th before"
		}
		t.Add(name, b.Offset.String()+" into an interval", lasts,
			ordinal(due)+" merge", ordinal(listed)+" merge", after.String(), percent(off))
	}
	return t.String()
}

func ordinal(n int) string {
	switch n {
	case 0:
		return "no"
	case 1:
		return "1st"
	case 2:
		return "2nd"
	case 3:
		return "3rd"
	}
	return fmt.Sprintf("%dth", n)
}

// GrowthTable compares the 8-bit counter with its definition.
func GrowthTable(all []trial.Growth) string {
	t := &markdown.Table{}
	t.Add("hits", "counter", "spread", "in ten intervals", "spread", "a random number per hit", "spread")
	for _, g := range all {
		row := []string{fmt.Sprint(g.Hits)}
		for _, m := range []trial.Moments{g.Whole, g.Parts, g.Reference} {
			row = append(row, fmt.Sprintf("%.2f", m.Mean), fmt.Sprintf("%.2f", m.Spread))
		}
		t.Add(row...)
	}
	return t.String()
}

// ContestTable compares algorithms. Without times their column is empty.
func ContestTable(all []trial.Contest, timed bool) string {
	t := &markdown.Table{Left: 2}
	t.Add("stream", "algorithm", "precision at 50", "recall of top 10", "count off", "ns per hit", "KiB")
	for _, c := range all {
		label := fmt.Sprintf("%s; %.1f M hits", c.Stream, float64(c.Hits)/1e6)
		for _, e := range c.Entrants {
			ns := ""
			if timed {
				ns = fmt.Sprintf("%.0f", e.PerHit)
			}
			t.Add(label, e.Name, fmt.Sprintf("%.2f", e.Precision), fmt.Sprintf("%.1f", e.Recall), fmt.Sprintf("%.2f %%", 100*e.CountError), ns,
				fmt.Sprintf("%d", e.Bytes>>10))
			label = "" // Once is enough.
		}
	}
	return t.String()
}

// CostTable says what a hit takes.
func CostTable(c *trial.Cost) string {
	t := &markdown.Table{}
	t.Add("hits/s", "looked at", "ns per hit", "rounds from–to", "in batches", "rounds from–to", "share of a core")
	for _, r := range c.Rates {
		row := []string{fmt.Sprint(r.PerSecond), percent(r.Sample)}
		for _, s := range []trial.Timing{r.Single, r.Batched} {
			row = append(row, fmt.Sprintf("%.1f", s.PerHit), fmt.Sprintf("%.1f–%.1f", s.Low, s.High))
		}
		t.Add(append(row, fmt.Sprintf("%.2f %%", 100*r.Busy()))...)
	}
	return t.String()
}

// MergeTable says what the end of an interval takes.
func MergeTable(c *trial.Cost) string {
	t := &markdown.Table{}
	t.Add("nodes", "counters added, ms", "merged, ms", "allocated, KiB", "counters, KiB")
	for _, m := range c.Merges {
		t.Add(fmt.Sprint(m.Nodes), millis(m.Add), millis(m.Merge), fmt.Sprint(m.Allocated>>10), fmt.Sprint(m.Nodes*c.Counter>>10))
	}
	return t.String()
}

func millis(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond)) }
