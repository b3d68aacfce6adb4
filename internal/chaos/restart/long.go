package restart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"samaritan/internal/testredis"
)

// What the long form is measured against.
const (
	worstBound = 50 * time.Millisecond  // of a request during restarts
	idleBound  = 2 * time.Second        // until idle connections have moved
	manyBound  = 250 * time.Millisecond // of a newcomer while many services are handed over
)

// longAtATime is how many scenarios run at a time.
const longAtATime = 4

// LongOptions say what the long form does.
type LongOptions struct {
	Programs Programs
	Dir      string // an empty directory
	Restarts int    // of the chain
	Clients  int    // of the chain
	Idle     int    // connections that are idle
	Services int    // when they are many
	Seed     uint64
	Want     func(name string) bool // which of "chain", "idle", "many" and the scenarios
	Logf     func(format string, args ...any)
}

// ErrViolations says that something was not as it has to be.
var ErrViolations = errors.New("violations")

// long is a run of RunLong.
type long struct {
	LongOptions
	reaper *Reaper
	nodes  []string
	w      io.Writer
	rows   [][3]string // what, figure, verdict
	failed []string
	slow   int // times above their bound
}

// RunLong does everything, prints it and ends with a table. It returns ErrViolations when
// something was wrong. The bounds of time, which are the machine's too, are a verdict in
// the table; ten times as much is wrong on any machine.
func RunLong(ctx context.Context, o LongOptions, w io.Writer) (err error) {
	cluster, err := testredis.Start(ctx, testredis.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()
	l := &long{LongOptions: o, nodes: cluster.Addrs(), w: w}
	if l.reaper, err = NewReaper(); err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{{"chain", l.chain}, {"idle", l.idle}, {"many", l.many}, {"", l.scenarios}} {
		if step.name != "" && !o.Want(step.name) {
			continue
		}
		if err := step.do(ctx); err != nil {
			return err
		}
	}
	return l.end()
}

// dir makes one for a step.
func (l *long) dir(name string) (string, error) {
	dir := filepath.Join(l.Dir, name)
	return dir, os.Mkdir(dir, 0o700)
}

// row adds a line to the table at the end.
func (l *long) row(what, figure, verdict string) {
	l.rows = append(l.rows, [3]string{what, figure, verdict})
	fmt.Fprintf(l.w, "%-52s %-34s %s\n", what, figure, verdict)
}

// fail notes what is wrong.
func (l *long) fail(what string, problems []string) {
	for _, p := range problems {
		l.failed = append(l.failed, what+": "+p)
		fmt.Fprintf(l.w, "    %s\n", p)
	}
}

// bound is the verdict on a time.
func (l *long) bound(what string, took, limit time.Duration) string {
	if took < limit {
		return fmt.Sprintf("PASS (under %v)", limit)
	}
	l.slow++
	if took >= 10*limit {
		l.fail(what, []string{fmt.Sprintf("took %v, ten times its bound of %v", took, limit)})
	}
	return fmt.Sprintf("FAIL (not under %v)", limit)
}

func verdict(problems []string) string {
	if len(problems) > 0 {
		return fmt.Sprintf("%d VIOLATIONS", len(problems))
	}
	return "ok"
}

func (l *long) chain(ctx context.Context) error {
	dir, err := l.dir("chain")
	if err != nil {
		return err
	}
	r, err := RunChain(ctx, ChainOptions{
		Binary: l.Programs.Samaritan, Dir: dir, Reaper: l.reaper, Nodes: l.nodes,
		Restarts: l.Restarts, Clients: l.Clients, Seed: l.Seed, Logf: l.Logf,
		Pauses: [2]time.Duration{100 * time.Millisecond, 300 * time.Millisecond}, Calm: 10 * time.Second,
	})
	if err != nil {
		return err
	}
	if r.Restarts < l.Restarts {
		r.Violations = append(r.Violations, fmt.Sprintf("%d restarts, not %d", r.Restarts, l.Restarts))
	}
	l.row("chain: restarts, clients", fmt.Sprintf("%d, %d", r.Restarts, l.Clients), verdict(r.Violations))
	l.row("chain: requests, visits of newcomers, scrapes", fmt.Sprintf("%d, %d, %d", r.Requests, r.Visits, r.Scrapes), "")
	l.row("chain: signal until the new one serves, median, worst", spread(r.Handovers), "")
	l.row("chain: request in the calm, p50 p99 p99.9 worst", r.Calm.text(), "")
	l.row("chain: request during restarts, the same", r.During.text(), l.bound("request during restarts", r.During.Worst, worstBound))
	l.row("chain: newcomer in the calm, the same", r.DoorsCalm.text(), "")
	l.row("chain: newcomer during restarts, the same", r.Doors.text(), l.bound("newcomer during restarts", r.Doors.Worst, worstBound))
	l.row("chain: worst newcomer of a restart, median, worst", spread(r.Doors.Worsts), "")
	l.row("chain: worst of 250 ms of calm, median, worst", spread(r.Calm.Worsts), "")
	l.row("chain: worst request of a restart, median, worst", spread(r.During.Worsts), "")
	l.usages(r.Usages)
	l.fail("chain", r.Violations)
	return nil
}

// usages shows the first and the last one.
func (l *long) usages(all []Usage) {
	if len(all) == 0 {
		return
	}
	a, b := all[0], all[len(all)-1]
	l.row("chain: descriptors, threads, goroutines; first, last",
		fmt.Sprintf("%d %d %d, %d %d %d", a.FDs, a.Threads, a.Goroutines, b.FDs, b.Threads, b.Goroutines), "")
	l.row("chain: resident memory, first, last", fmt.Sprintf("%d MiB, %d MiB", a.RSS>>20, b.RSS>>20), "")
}

// text is the latencies in milliseconds.
func (l Latency) text() string {
	return fmt.Sprintf("%s %s %s %s ms", millis(l.P50), millis(l.P99), millis(l.P999), millis(l.Worst))
}

func millis(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 1, 64)
}

// spread is the median and the largest.
func spread(all []time.Duration) string {
	if len(all) == 0 {
		return "-"
	}
	all = slices.Clone(all)
	slices.Sort(all)
	return fmt.Sprintf("%s %s ms", millis(all[len(all)/2]), millis(all[len(all)-1]))
}

func (l *long) idle(ctx context.Context) error {
	dir, err := l.dir("idle")
	if err != nil {
		return err
	}
	r, err := RunIdle(ctx, IdleOptions{Programs: l.Programs, Dir: dir, Reaper: l.reaper, Nodes: l.nodes, Conns: l.Idle, Logf: l.Logf})
	if err != nil {
		l.row("idle: connections", strconv.Itoa(l.Idle), "1 VIOLATION")
		l.fail("idle", []string{err.Error()})
		return ctx.Err()
	}
	l.row("idle: connections", strconv.Itoa(r.Conns), "ok")
	l.row("idle: signal until all have moved; of it moving", fmt.Sprintf("%s %s ms", millis(r.Moved), millis(r.Moving)), l.bound("idle connections", r.Moved, idleBound))
	l.row("idle: resident memory afterwards", fmt.Sprintf("%d MiB", r.Usage.RSS>>20), "")
	return nil
}

func (l *long) many(ctx context.Context) error {
	dir, err := l.dir("many")
	if err != nil {
		return err
	}
	const restarts = 5
	r, err := RunMany(ctx, ManyOptions{
		Programs: l.Programs, Dir: dir, Reaper: l.reaper, Nodes: l.nodes,
		Services: l.Services, Restarts: restarts, Calm: 3 * time.Second, Logf: l.Logf,
	})
	if err != nil {
		l.row("many: services", strconv.Itoa(l.Services), "1 VIOLATION")
		l.fail("many", []string{err.Error()})
		return ctx.Err()
	}
	l.row("many: services, restarts, visits of newcomers", fmt.Sprintf("%d, %d, %d", r.Services, restarts, r.Calm.Count+r.During.Count), "ok")
	l.row("many: signal until the new one serves, median, worst", spread(r.Serving), "")
	l.row("many: newcomer in the calm, p50 p99 p99.9 worst", r.Calm.text(), "")
	l.row("many: newcomer during restarts, the same", r.During.text(), l.bound("newcomer with many services", r.During.Worst, manyBound))
	l.row("many: resident memory, descriptors, threads", fmt.Sprintf("%d MiB, %d, %d", r.Usage.RSS>>20, r.Usage.FDs, r.Usage.Threads), "")
	return nil
}

// scenarios runs several at a time, and tells of them in order.
func (l *long) scenarios(ctx context.Context) error {
	dir, err := l.dir("scenarios")
	if err != nil {
		return err
	}
	stand := &Stand{Programs: l.Programs, Dir: dir, Reaper: l.reaper, Nodes: l.nodes}
	all := slices.DeleteFunc(Scenarios(), func(s Scenario) bool { return !l.Want(s.Name) })
	results := make([]chan result, len(all))
	free := make(chan struct{}, longAtATime)
	var running sync.WaitGroup
	defer running.Wait()
	for i, s := range all {
		results[i] = make(chan result, 1)
		running.Go(func() {
			free <- struct{}{}
			start := time.Now()
			err := s.Run(ctx, stand)
			<-free
			results[i] <- result{time.Since(start), err}
		})
	}
	for i, s := range all {
		l.tell(s.Name, <-results[i])
	}
	return ctx.Err()
}

// result is that of a scenario.
type result struct {
	took time.Duration
	err  error
}

func (l *long) tell(name string, r result) {
	took := r.took.Round(100 * time.Millisecond).String()
	switch {
	case errors.Is(r.err, errNoProgram):
		l.row(name, "", "skipped: "+r.err.Error())
	case r.err != nil:
		l.row(name, took, "VIOLATION")
		l.fail(name, []string{r.err.Error()})
	default:
		l.row(name, took, "ok")
	}
}

// end prints the table.
func (l *long) end() error {
	fmt.Fprintf(l.w, "\n| What | Figure | Verdict |\n|---|--:|---|\n")
	for _, r := range l.rows {
		fmt.Fprintf(l.w, "| %s | %s | %s |\n", r[0], r[1], r[2])
	}
	if len(l.failed) == 0 {
		fmt.Fprintf(l.w, "\nclean, %d times above their bound\n", l.slow)
		return nil
	}
	return fmt.Errorf("%w: %d", ErrViolations, len(l.failed))
}
