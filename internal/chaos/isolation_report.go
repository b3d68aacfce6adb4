package chaos

import (
	"fmt"
	"strings"
	"time"
)

// Markers of the part of the page that WriteIsolationDocs writes.
const (
	isolationBegin = "<!-- isolation:begin -->"
	isolationEnd   = "<!-- isolation:end -->"
)

// IsolationHeader is the console's first line, above those of the results.
const IsolationHeader = "scenario               clients            throughput   p50 calm, hurt       p99 calm, hurt      ratio    p99.9 calm, hurt     max calm, hurt       gap calm, hurt      errors"

// Lines are the console's lines of a result: one for each group of clients, and one for
// the daemon and the machine.
func (i *Isolation) Lines() string {
	var b strings.Builder
	for _, g := range i.Groups {
		fmt.Fprintf(&b, "%-22s %-18s %9.3f   %-19s  %-19s %5.2f    %-19s  %-19s  %-19s %d", i.Name, g.Group, g.Throughput,
			both(g.Calm.P50, g.Hurt.P50), both(g.Calm.P99, g.Hurt.P99), g.P99Ratio, both(g.Calm.P999, g.Hurt.P999),
			both(g.Calm.Max, g.Hurt.Max), both(g.GapCalm, g.GapHurt), g.Errors)
		if g.Err != "" {
			fmt.Fprintf(&b, " (%s)", g.Err)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%-22s memory %d MiB calm, %d MiB at most; machine %s; daemon %.2f cores; pacer late by %s (p99); bulk %.0f MiB/s\n",
		i.Name, i.RSSCalm>>20, i.RSSMax>>20, i.machine(), i.Daemon, fine(i.Late), i.Bulk/(1<<20))
	return b.String()
}

// machine says how busy it was.
func (i *Isolation) machine() string {
	text := fmt.Sprintf("%.0f %% busy (%.0f %% calm)", 100*i.BusyHurt, 100*i.BusyCalm)
	if i.Saturated() {
		text += ", SATURATED: p99 is the machine's"
	}
	return text
}

// both writes two durations.
func both(calm, hurt time.Duration) string { return fine(calm) + ", " + fine(hurt) }

// fine writes a duration in milliseconds, with three digits while it is short.
func fine(d time.Duration) string {
	if d >= 10*time.Millisecond {
		return millis(d)
	}
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}

// wireOf is the result of the scenario to compare with, nil if it is not there.
func (i *Isolation) wireOf(results []Isolation) *Isolation {
	for j := range results {
		if i.Wire != "" && results[j].Name == i.Wire {
			return &results[j]
		}
	}
	return nil
}

// against is the ratio of p99 as a multiple of that of the scenario to compare with.
func (i *Isolation) against(g Group, results []Isolation) string {
	wire := i.wireOf(results)
	if wire == nil || wire.Groups[g].P99Ratio == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", i.Groups[g].P99Ratio/wire.Groups[g].P99Ratio)
}

// WireLines compare the scenarios with those that leave the daemon in peace.
func WireLines(results []Isolation) string {
	var b strings.Builder
	for n := range results {
		i := &results[n]
		if i.wireOf(results) == nil {
			continue
		}
		fmt.Fprintf(&b, "%-22s p99 against %s:", i.Name, i.Wire)
		for g := range groups {
			fmt.Fprintf(&b, "  %v %s", g, i.against(g, results))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// IsolationMarkdown is the part of the page between the markers.
func IsolationMarkdown(a About, o IsolationOptions, results []Isolation) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured %s in %v, %d pairs of windows of %v each: %s; %s; %s.\n\n",
		a.Started.UTC().Format("2006-01-02"), a.Duration.Round(time.Second), o.Pairs, o.Window, a.Version, a.Redis, a.Machine)
	b.WriteString("| Scenario | What happens | Clients of | Throughput | p50 calm, hurt | p99 calm, hurt | p99 ratio | Against the wire | p99.9 calm, hurt | Max | Longest gap | Errors | Memory | Machine |\n")
	b.WriteString("|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n")
	for n := range results {
		i := &results[n]
		name, help, memory, machine := i.Name, i.Help, fmt.Sprintf("%d MiB", i.RSSMax>>20), i.machine()
		for _, g := range i.Groups {
			fmt.Fprintf(&b, "| %s | %s | %s | %.3f | %s | %s | %.2f | %s | %s | %s | %s | %d | %s | %s |\n", name, cell(help), g.Group, g.Throughput,
				both(g.Calm.P50, g.Hurt.P50), both(g.Calm.P99, g.Hurt.P99), g.P99Ratio, i.against(g.Group, results),
				both(g.Calm.P999, g.Hurt.P999), fine(g.Hurt.Max), fine(g.GapHurt), g.Errors, memory, machine)
			name, help, memory, machine = "", "", "", ""
		}
	}
	return b.String()
}

// AboutIsolation returns what a report says of a measurement that began at started.
func AboutIsolation(o IsolationOptions, started time.Time) About {
	return newAbout(Options{Samaritan: o.Samaritan}, started)
}

// WriteIsolationDocs replaces what is between its markers of the page in dir.
func WriteIsolationDocs(dir, text string) error {
	return writePage(dir, isolationBegin, isolationEnd, text)
}
