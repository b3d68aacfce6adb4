// Chaos hurts a Redis Cluster behind a real samaritan process, under load, and checks that
// nothing is lost, doubled, reordered or given to the wrong client. It prints one line
// for each fault and ends with 1 when there was a violation. What Redis was seen to lose by
// itself is printed, too, and is none. For what a fault, the load and a violation are, see
// package samaritan/internal/chaos.
//
//	chaos -samaritan bin/samaritan -docs docs
//	chaos -samaritan bin/samaritan -faults 'failover|kill' -rounds 5 -seed 42
//	chaos -samaritan bin/samaritan -isolation -docs docs
//	chaos -restart -samaritan bin/samaritan -misbehave bin/misbehave
//	chaos -list
//
// With -isolation it does something else: it measures what the clients of two masters feel
// of what happens at the third. Of the other flags -faults chooses among its scenarios, and
// its windows are as many seconds long as -scale says.
//
// With -restart it does hot restarts: a chain of them under load, one with many idle
// connections, some with many services, and those that go wrong. Of the other flags -faults chooses among chain, idle, many
// and the names of the others, and -restarts is how long the chain is. See package
// samaritan/internal/chaos/restart.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"samaritan/internal/chaos"
)

// options is what the flags say.
type options struct {
	suite   chaos.Options
	faults  *regexp.Regexp
	docs    string
	list    bool
	rounds  int
	verbose bool

	isolation bool

	restart   bool
	restarts  int
	misbehave string
}

// errViolations says that the run was not clean.
var errViolations = errors.New("violations")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return
	case !errors.Is(err, errViolations):
		fmt.Fprintln(os.Stderr, "chaos:", err)
	}
	os.Exit(1)
}

// run is the program.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	o.suite.Logf = func(format string, args ...any) {
		if o.verbose {
			fmt.Fprintf(stderr, format+"\n", args...)
		}
	}
	if o.isolation {
		return isolate(ctx, o, stdout)
	}
	if o.restart {
		return restarts(ctx, o, stdout)
	}
	faults := chosen(o)
	if o.list {
		return list(stdout, faults)
	}
	if len(faults) == 0 {
		return fmt.Errorf("no fault matches %q", o.faults)
	}
	remove := func() error { return nil }
	if o.suite.Dir == "" {
		if o.suite.Dir, remove, err = chaos.TempDir(); err != nil {
			return err
		}
	}
	return errors.Join(hurt(ctx, o, faults, stdout), remove())
}

// parse reads the flags.
func parse(args []string, stderr io.Writer) (o options, err error) {
	fs := flag.NewFlagSet("chaos", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.suite.Samaritan, "samaritan", "bin/samaritan", "path of the samaritan binary")
	fs.Float64Var(&o.suite.Scale, "scale", 3, "factor of all durations; 1 is the short form, without the long faults unless -faults names them")
	fs.Uint64Var(&o.suite.Seed, "seed", 0, "seed of all random choices; 0 draws one")
	fs.IntVar(&o.suite.Clients, "clients", 12, "clients of the load, at least 6")
	fs.StringVar(&o.docs, "docs", "", "directory of the page reliability.md, whose table is replaced")
	fs.StringVar(&o.suite.Dir, "dir", "", "an empty directory for the daemon's config and log, which stay; a temporary one when empty")
	fs.BoolVar(&o.list, "list", false, "list the faults and end")
	fs.IntVar(&o.rounds, "rounds", 1, "how often each fault is done")
	fs.BoolVar(&o.isolation, "isolation", false, "measure what clients of other nodes feel, instead")
	fs.BoolVar(&o.restart, "restart", false, "do hot restarts, instead")
	fs.IntVar(&o.restarts, "restarts", chainRestarts, "how many restarts the chain has")
	fs.StringVar(&o.misbehave, "misbehave", "bin/misbehave", "path of the program that goes wrong")
	fs.BoolVar(&o.verbose, "v", false, "tell more")
	pattern := fs.String("faults", "", "regular expression of the faults to do; all when empty")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if o.suite.Seed == 0 {
		o.suite.Seed = rand.Uint64N(1 << 32)
	}
	o.faults, err = regexp.Compile(*pattern)
	return o, err
}

// chosen returns the faults to do: long ones in the long form, or when they are named.
func chosen(o options) []chaos.Fault {
	return slices.DeleteFunc(chaos.Faults(), func(f chaos.Fault) bool {
		short := o.faults.String() == "" && o.suite.Scale <= 1 && !o.list
		return f.Long && short || !o.faults.MatchString(f.Name)
	})
}

// list prints the faults.
func list(w io.Writer, faults []chaos.Fault) error {
	for _, f := range faults {
		mark := ""
		if f.Long {
			mark = " (long form only)"
		}
		if _, err := fmt.Fprintf(w, "%-28s %s%s\n", f.Name, f.Help, mark); err != nil {
			return err
		}
	}
	return nil
}

// hurt does all faults, prints the results and writes the docs.
func hurt(ctx context.Context, o options, faults []chaos.Fault, w io.Writer) (err error) {
	fmt.Fprintf(w, "seed %d, scale %g, %d clients, %d faults, %d rounds\n", o.suite.Seed, o.suite.Scale, o.suite.Clients, len(faults), o.rounds)
	s, err := chaos.Start(ctx, o.suite)
	if err != nil {
		return err
	}
	var rounds [][]chaos.Result
	fmt.Fprintln(w, chaos.Header)
	for range o.rounds {
		results, cut := round(ctx, s, faults, w)
		rounds = append(rounds, results)
		if cut != nil {
			return errors.Join(cut, s.Close())
		}
	}
	about := s.About()
	about.Rounds = o.rounds
	results := chaos.Worst(rounds...)
	err = errors.Join(s.Close(), verdict(w, about, results))
	if o.docs != "" {
		err = errors.Join(err, chaos.WriteDocs(o.docs, about, results))
	}
	return err
}

// round does all faults once. The error is that of the context.
func round(ctx context.Context, s *chaos.Suite, faults []chaos.Fault, w io.Writer) ([]chaos.Result, error) {
	var results []chaos.Result
	for _, f := range faults {
		r := s.Run(ctx, f)
		if err := context.Cause(ctx); err != nil {
			return results, err
		}
		fmt.Fprintln(w, r.Line())
		for _, l := range r.Own {
			fmt.Fprintf(w, "    lost by Redis itself: %s\n", l)
		}
		for _, v := range r.Violations {
			fmt.Fprintf(w, "    %s\n", v)
		}
		results = append(results, r)
	}
	return results, nil
}

// verdict prints the end, and returns errViolations when there are some.
func verdict(w io.Writer, a chaos.About, results []chaos.Result) error {
	bad := 0
	if lines := chaos.OwnLines(results); len(lines) > 0 {
		fmt.Fprintf(w, "\n%s\n", strings.Join(lines, "\n"))
	}
	for _, r := range results {
		if r.OK() {
			continue
		}
		bad++
		fmt.Fprintf(w, "\n%s: %d violations (repeat: -seed %d -scale %g -faults '^%s$')\n", r.Name, len(r.Violations), a.Seed, a.Scale, r.Name)
		for _, v := range r.Violations {
			fmt.Fprintf(w, "    %s\n", v)
		}
	}
	if bad > 0 {
		return fmt.Errorf("%w: %d of %d faults", errViolations, bad, len(results))
	}
	_, err := fmt.Fprintf(w, "\nclean: %d faults in %v, seed %d\n", len(results), a.Duration.Round(time.Second), a.Seed)
	return err
}

// isolationPairs is how many pairs of windows each scenario has.
const isolationPairs = 5

// isolate measures isolation, prints the results and writes the docs.
func isolate(ctx context.Context, o options, w io.Writer) (err error) {
	dir, remove, err := chaos.TempDir()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	header := chaos.IsolationHeader + "\n"
	m := chaos.IsolationOptions{
		Samaritan: o.suite.Samaritan, Dir: cmp.Or(o.suite.Dir, dir), Pairs: isolationPairs,
		Window: time.Duration(o.suite.Scale * float64(time.Second)), Want: o.faults.MatchString,
		Done: func(i *chaos.Isolation) {
			fmt.Fprint(w, header, i.Lines())
			header = ""
		},
	}
	started := time.Now()
	results, err := chaos.MeasureIsolation(ctx, m)
	if err != nil {
		return err
	}
	fmt.Fprint(w, "\n", chaos.WireLines(results))
	if o.docs == "" {
		return nil
	}
	return chaos.WriteIsolationDocs(o.docs, chaos.IsolationMarkdown(chaos.AboutIsolation(m, started), m, results))
}
