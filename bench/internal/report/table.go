package report

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// table is a Markdown table whose source is aligned too, so that it reads well
// in a terminal.
type table struct {
	left int // columns aligned to the left; the others go to the right
	rows [][]string
}

// add appends a row. The first one is the head.
func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// String renders the table, each line with a newline.
func (t *table) String() string {
	widths := t.widths()
	var b strings.Builder
	for i, row := range t.rows {
		t.writeRow(&b, row, widths)
		if i == 0 {
			t.writeRule(&b, widths)
		}
	}
	return b.String()
}

// widths returns the width of each column in characters.
func (t *table) widths() []int {
	widths := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), 3)
		}
	}
	return widths
}

func (t *table) writeRow(b *strings.Builder, row []string, widths []int) {
	for i, cell := range row {
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if i < t.left {
			fmt.Fprintf(b, "| %s%s ", cell, pad)
		} else {
			fmt.Fprintf(b, "| %s%s ", pad, cell)
		}
	}
	b.WriteString("|\n")
}

// writeRule writes the line below the head.
func (t *table) writeRule(b *strings.Builder, widths []int) {
	for i, width := range widths {
		dashes := strings.Repeat("-", width)
		if i < t.left {
			fmt.Fprintf(b, "|:%s-", dashes)
		} else {
			fmt.Fprintf(b, "|-%s:", dashes)
		}
	}
	b.WriteString("|\n")
}

// targets is the order of targets in tables.
var targets = []string{Subject, Without, Peer, Reference}

// LoadTable renders what each target did in each scenario.
func (r Report) LoadTable() string {
	t := &table{left: 2}
	t.add("scenario", "target", "requests/s", "CPU µs/req", "user", "system", "p50 ms", "p99 ms", "RSS MiB", "ratio", "rounds from–to", "budget", "")
	for _, s := range r.Scenarios {
		label := s.Title
		for _, target := range targets {
			run, ok := s.Median(target)
			if !ok {
				continue
			}
			row := []string{
				label, target, fmt.Sprintf("%.0f", run.Rate), digits(run.CPU), digits(run.User), digits(run.System),
				fmt.Sprintf("%.2f", run.P50), fmt.Sprintf("%.2f", run.P99), fmt.Sprintf("%.1f", run.RSS/(1<<20)),
			}
			t.add(append(row, s.verdict(target)...)...)
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
	t := &table{left: 1}
	t.add("figure", Subject, Peer, "budget", "")
	for _, l := range r.Limits {
		row := []string{fmt.Sprintf("%s, %s", l.Name, l.Unit), "", "", fmt.Sprintf("%g", l.Budget), ""}
		if f, ok := r.Footprints[Subject]; ok {
			row[1], row[4] = digits(l.figure(f)), mark(l.figure(f) <= l.Budget)
		}
		if f, ok := r.Footprints[Peer]; ok {
			row[2] = digits(l.figure(f))
		}
		t.add(row...)
	}
	return t.String()
}

func mark(within bool) string {
	if within {
		return "ok"
	}
	return "over budget"
}

// digits formats with about three significant digits.
func digits(v float64) string {
	switch {
	case v >= 99.95:
		return fmt.Sprintf("%.0f", v)
	case v >= 9.995:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
