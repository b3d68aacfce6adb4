package chaos

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Markers of the part of the page that WriteDocs writes.
const (
	docsBegin = "<!-- chaos:begin -->"
	docsEnd   = "<!-- chaos:end -->"
)

// About is what a report says of the run itself.
type About struct {
	Started  time.Time
	Duration time.Duration
	Version  string // of the daemon
	Redis    string
	Machine  string
	Seed     uint64
	Scale    float64
	Clients  int
	Rounds   int // how often each fault was done; the worst of each is in the table
}

func newAbout(o Options, started time.Time) About {
	return About{
		Started: started, Duration: time.Since(started), Version: firstLine(o.Samaritan, "-version"),
		Redis: redisVersion(), Machine: machine(), Seed: o.Seed, Scale: o.Scale, Clients: o.Clients, Rounds: 1,
	}
}

// firstLine returns the first line of a program's output, or what is wrong.
func firstLine(program string, args ...string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, args...).Output()
	if err != nil {
		return "unknown: " + err.Error()
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}

// redisVersion asks the redis-server in PATH.
func redisVersion() string {
	for _, word := range strings.Fields(firstLine("redis-server", "--version")) {
		if v, ok := strings.CutPrefix(word, "v="); ok {
			return "Redis " + v
		}
	}
	return "Redis of unknown version"
}

// machine describes where the suite runs.
func machine() string {
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return err.Error()
	}
	model := runtime.GOARCH
	cpuinfo, _ := os.ReadFile("/proc/cpuinfo") // without it there is no model
	for line := range strings.Lines(string(cpuinfo)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	return fmt.Sprintf("%d cores, %s; Linux %s", runtime.NumCPU(), model, unix.ByteSliceToString(uts.Release[:]))
}

// Header is the console's first line, above those of the results.
const Header = "fault                         requests   errors  gap touched  untouched    p99  recovery  lost  verdict"

// Line is the console's line of a result.
func (r *Result) Line() string {
	line := fmt.Sprintf("%-28s %9d %8d %12s %10s %6s %9s %5s  %s", r.Name, r.Requests, r.Errors,
		r.gapTouched(), r.gapUntouched(), r.p99(), millis(r.Recovery), r.lost(), r.verdict())
	if len(r.Kinds) > 0 {
		line += fmt.Sprintf(" (%d %s)", r.Kinds[0].Count, r.Kinds[0].Name)
	}
	return line
}

func (r *Result) verdict() string {
	verdict := "ok"
	if !r.OK() {
		verdict = fmt.Sprintf("%d VIOLATIONS", len(r.Violations))
	}
	if r.OwnRounds > 0 {
		verdict += fmt.Sprintf("; rounds lost by Redis itself: %d", r.OwnRounds)
	}
	return verdict
}

// OwnLines tells what Redis itself has lost, of all results, one line for each slot.
func OwnLines(results []Result) (lines []string) {
	for _, r := range results {
		for _, l := range r.Own {
			lines = append(lines, r.Name+": lost by Redis itself: "+l.String())
		}
	}
	return lines
}

func (r *Result) gapTouched() string   { return millisOf(r.Touched, r.GapTouched) }
func (r *Result) gapUntouched() string { return millisOf(r.Untouched, r.GapUntouched) }
func (r *Result) p99() string          { return millisOf(r.Untouched, r.P99Untouched) }

// latency is both percentiles.
func (r *Result) latency() string {
	if r.Untouched == 0 {
		return "-"
	}
	return millis(r.P50Untouched) + " / " + millis(r.P99Untouched)
}

// lost is a dash when nothing was.
func (r *Result) lost() string {
	if r.Lost == 0 {
		return "-"
	}
	return fmt.Sprint(r.Lost)
}

// millisOf is a dash when there are no shards of that sort.
func millisOf(shards int, d time.Duration) string {
	if shards == 0 {
		return "-"
	}
	return millis(d)
}

// millis writes a duration in milliseconds, with two digits at least.
func millis(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	if ms < 10 {
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}

// Markdown is the part of the page between the markers.
func Markdown(a About, results []Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured %s in %v, %d rounds of each fault: %s; %s; %s; %d clients and %d probers, scale %g, seed %d.\n\n",
		a.Started.UTC().Format("2006-01-02"), a.Duration.Round(time.Second), a.Rounds, a.Version, a.Redis, a.Machine,
		a.Clients, Shards, a.Scale, a.Seed)
	b.WriteString("| Fault | What happens | Requests | Errors | Most frequent error | Longest gap, touched | Longest gap, others | p50 / p99, others | Recovery | Lost by the cluster | Verdict |\n")
	b.WriteString("|---|---|--:|--:|---|--:|--:|--:|--:|--:|---|\n")
	for i := range results {
		r := &results[i]
		kind := ""
		if len(r.Kinds) > 0 {
			kind = "`" + strings.ReplaceAll(r.Kinds[0].Name, "`", "'") + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %s | %s | %s | %s | %s | %s | %s |\n", r.Name, cell(r.Help), r.Requests, r.Errors, cell(kind),
			r.gapTouched(), r.gapUntouched(), r.latency(), millis(r.Recovery), r.lost(), r.verdict())
	}
	if lines := OwnLines(results); len(lines) > 0 {
		b.WriteString("\n- " + strings.Join(lines, "\n- ") + "\n")
	}
	return b.String()
}

// cell makes a text fit in a table.
func cell(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "|", `\|`), "\n", " ")
}

// WriteDocs replaces what is between its markers of the page in dir.
func WriteDocs(dir string, a About, results []Result) error {
	return writePage(dir, docsBegin, docsEnd, Markdown(a, results))
}

// Worst puts the results of several rounds together: of each fault the largest
// figures, the sums of the counts, all violations and all that Redis itself has lost. The
// order is that of the first round.
func Worst(rounds ...[]Result) []Result {
	var all []Result
	at := map[string]int{}
	for _, results := range rounds {
		for _, r := range results {
			i, ok := at[r.Name]
			if !ok {
				at[r.Name] = len(all)
				all = append(all, r)
				continue
			}
			all[i].worsen(r)
		}
	}
	return all
}

// worsen takes a result of the same fault in.
func (r *Result) worsen(o Result) {
	if o.Errors > r.Errors {
		r.Kinds = o.Kinds
	}
	r.Duration += o.Duration
	r.Requests += o.Requests
	r.Errors += o.Errors
	r.Stray += o.Stray
	r.Lost += o.Lost
	r.Own, r.OwnRounds = append(r.Own, o.Own...), r.OwnRounds+o.OwnRounds
	r.Touched, r.Untouched = max(r.Touched, o.Touched), max(r.Untouched, o.Untouched)
	r.GapTouched, r.GapUntouched = max(r.GapTouched, o.GapTouched), max(r.GapUntouched, o.GapUntouched)
	r.P50Untouched, r.P99Untouched = max(r.P50Untouched, o.P50Untouched), max(r.P99Untouched, o.P99Untouched)
	r.Recovery = max(r.Recovery, o.Recovery)
	r.Violations = append(r.Violations, o.Violations...)
}
