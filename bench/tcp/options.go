package main

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"

	"samaritan/bench/internal/command"
	"samaritan/bench/tcp/internal/stand"
	"samaritan/bench/tcp/internal/trial"
)

// flags are the values as they come from the command line.
type flags struct {
	stand  stand.Options
	docs   string
	quick  bool
	rounds int
	only   *regexp.Regexp
}

// parse parses and checks the command line. Help and errors of use go to progress, as does the log later.
func parse(args []string, progress io.Writer) (o trial.Options, docs string, err error) {
	var f flags
	fs := flag.NewFlagSet("bench-tcp", flag.ContinueOnError)
	f.register(fs)
	if err := command.Parse(fs, args, progress); err != nil {
		return o, "", err
	}
	if f.rounds < 0 {
		return o, "", fmt.Errorf("-rounds %d: must not be negative", f.rounds)
	}
	if f.only != nil {
		f.docs = ""
	}
	o, err = f.options()
	o.Logger = slog.New(slog.NewTextHandler(progress, nil))
	return o, f.docs, err
}

func (f *flags) register(fs *flag.FlagSet) {
	fs.StringVar(&f.stand.Samaritan, "samaritan", "bin/samaritan", "`path` of the proxy")
	fs.StringVar(&f.stand.HAProxy, "haproxy", "haproxy", "`path` of the proxy that it is compared with")
	fs.BoolVar(&f.stand.StandIn, "stand-in", false, "let another HAProxy play Samaritan: the ratios show the noise")
	fs.BoolVar(&f.stand.Pin, "pin", false, "proxies on the first CPU, server and load on the others: steadier figures on a busy machine, but proxies with one thread")
	fs.StringVar(&f.docs, "docs", "", "write tables to benchmark-tcp.md in this `directory`")
	fs.BoolVar(&f.quick, "quick", false, "everything once, briefly: bounds of time are not judged")
	fs.IntVar(&f.rounds, "rounds", 0, "rounds of loads (default 8, 1 with -quick)")
	fs.Func("only", "measure only loads whose name, such as 'upload, 8 connections', matches the `regexp`, and of memory, services and changes those that do; writes no documents", func(text string) (err error) {
		f.only, err = regexp.Compile(text)
		return err
	})
}

// options are those of the trials.
func (f *flags) options() (trial.Options, error) {
	o := trial.Full()
	if f.quick {
		o = trial.Quick()
	}
	if f.rounds > 0 {
		o.Rounds = f.rounds
	}
	self, err := os.Executable()
	o.Stand, o.Only = f.stand, f.only
	o.Stand.Server = []string{self, serveCommand}
	return o, err
}
