package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"samaritan/bench/internal/command"
	"samaritan/bench/internal/report"
)

// options say what to measure and where to write it. They do not change after
// parseOptions.
type options struct {
	proxy     string // path of the binary under test
	proxyArgs []string
	standIn   bool // a second twemproxy plays Samaritan
	targets   []string
	scenarios []scenario
	rounds    int
	duration  time.Duration // of each run
	footprint bool
	idle      int // connections
	starts    int // of which the median counts
	pin       bool
	check     bool
	profile   string // directory
	docs      string // directory; empty: none
	json      string // file; empty: none
}

// has reports whether a target takes part.
func (o options) has(target string) bool { return slices.Contains(o.targets, target) }

// allTargets take part by default, moreTargets on request.
var (
	allTargets  = []string{report.Subject, report.Peer, report.Reference}
	moreTargets = []string{report.Without}
)

// flags are the values as they come from the command line.
type flags struct {
	options
	proxyArgs string
	targets   string
	scenarios []string
	seconds   float64
	short     bool
}

// parseOptions parses and checks the command line. Help and errors of use go
// to output.
func parseOptions(args []string, output io.Writer) (options, error) {
	var f flags
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.register(fs)
	if err := command.Parse(fs, args, output); err != nil {
		return options{}, err
	}
	set := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { set[f.Name] = true })
	return f.resolve(set)
}

func (f *flags) register(fs *flag.FlagSet) {
	fs.StringVar(&f.proxy, "proxy", "bin/samaritan", "`path` of the proxy under test")
	fs.StringVar(&f.proxyArgs, "proxy-args", "", "more `arguments` for it, such as '-workers 1'")
	fs.BoolVar(&f.standIn, "stand-in", false, "let a second twemproxy play the proxy under test: the ratios show the noise")
	fs.StringVar(&f.targets, "targets", strings.Join(allTargets, ","), "what to measure, comma-separated `names`; "+report.Without+" is samaritan with hot keys switched off")
	fs.Func("scenario", "measure only scenarios whose name matches the `regexp`; may be repeated (default all: "+strings.Join(names(), " ")+")", func(s string) error {
		f.scenarios = append(f.scenarios, s)
		return nil
	})
	fs.IntVar(&f.rounds, "rounds", 5, "rounds of each scenario")
	fs.Float64Var(&f.seconds, "seconds", 3, "how long each target runs in a round")
	fs.BoolVar(&f.short, "short", false, "a quick look: 2 rounds of 1.2 s, 3 starts; writes no documents")
	fs.BoolVar(&f.footprint, "memory", true, "measure memory and start, too")
	fs.IntVar(&f.idle, "idle", 10_000, "idle `connections` for the measurement of memory")
	fs.IntVar(&f.starts, "starts", 5, "starts of which the median is taken")
	fs.BoolVar(&f.pin, "pin", false, "proxies on the first CPU, servers and load on the others: steadier figures on a busy machine, but a proxy with one CPU")
	fs.BoolVar(&f.check, "check", false, "exit with 1 when a budget is exceeded")
	fs.StringVar(&f.profile, "profile", "", "write CPU profiles of the proxy under test to this `directory`, from runs of their own")
	fs.StringVar(&f.docs, "docs", "docs", "write benchmark.md and benchmark.svg to this `directory`; by default only after a run of everything")
	fs.StringVar(&f.json, "json", "", "write all figures of all rounds to this `file`")
}

// names returns the names of all scenarios.
func names() []string {
	var all []string
	for _, sc := range scenarios() {
		all = append(all, sc.name)
	}
	return all
}

// resolve turns flags into options; set has the names of those that were given.
func (f *flags) resolve(set map[string]bool) (options, error) {
	if f.short {
		f.shorten(set)
	}
	f.options.proxyArgs = strings.Fields(f.proxyArgs)
	f.duration = time.Duration(f.seconds * float64(time.Second))
	err := errors.Join(f.resolveTargets(), f.resolveScenarios(), f.checkNumbers())
	if f.check && !(f.has(report.Subject) && f.has(report.Peer)) {
		err = errors.Join(err, errCheck)
	}
	whole := len(f.options.scenarios) == len(names()) && len(f.options.targets) == len(allTargets) &&
		f.footprint && !f.short && !f.standIn
	if !set["docs"] && !whole {
		f.docs = ""
	}
	return f.options, err
}

var errCheck = errors.New("-check needs the targets samaritan and twemproxy: budgets are ratios of the two")

// shorten lowers what was not given.
func (f *flags) shorten(set map[string]bool) {
	if !set["rounds"] {
		f.rounds = 2
	}
	if !set["seconds"] {
		f.seconds = 1.2
	}
	if !set["starts"] {
		f.starts = 3
	}
}

func (f *flags) checkNumbers() error {
	switch {
	case f.rounds < 1 || f.rounds > 1000:
		return fmt.Errorf("-rounds %d: want 1 to 1000", f.rounds)
	case !(f.seconds >= 0.1 && f.seconds <= 600):
		return fmt.Errorf("-seconds %g: want 0.1 to 600", f.seconds)
	case f.starts < 1 || f.starts > 1000:
		return fmt.Errorf("-starts %d: want 1 to 1000", f.starts)
	case f.idle < 1 || f.idle > 25_000: // One address has 28,000 ports for them.
		return fmt.Errorf("-idle %d: want 1 to 25000", f.idle)
	}
	return nil
}

func (f *flags) resolveTargets() error {
	for name := range strings.SplitSeq(f.targets, ",") {
		known := slices.Concat(allTargets, moreTargets)
		if !slices.Contains(known, name) {
			return fmt.Errorf("-targets: unknown target %q: want some of %s", name, strings.Join(known, ","))
		}
		if !f.has(name) {
			f.options.targets = append(f.options.targets, name)
		}
	}
	return nil
}

// resolveScenarios keeps the scenarios whose whole name matches one of the
// expressions.
func (f *flags) resolveScenarios() error {
	if len(f.scenarios) == 0 {
		f.options.scenarios = scenarios()
		return nil
	}
	re, err := regexp.Compile("^(?:" + strings.Join(f.scenarios, "|") + ")$")
	if err != nil {
		return fmt.Errorf("-scenario: %w", err)
	}
	for _, sc := range scenarios() {
		if re.MatchString(sc.name) {
			f.options.scenarios = append(f.options.scenarios, sc)
		}
	}
	if len(f.options.scenarios) == 0 {
		return fmt.Errorf("-scenario: none matches %s: there are %s", re, strings.Join(names(), " "))
	}
	return nil
}
