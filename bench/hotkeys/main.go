// Command hotkeys measures package hotkey: how right its reports are, how soon they show a new
// key, how they forget, what counting costs, and how other algorithms do on the same streams.
//
// # Model
//
// Apart from the timing everything runs in virtual time, on one goroutine, against exact counts of the
// same hits; see bench/hotkeys/internal/trial. No server takes part.
//
// # What it does not do
//
// It does not measure the proxy: what counting costs there, among everything else, is in the figures
// of bench.
//
// It prints a table for each subject and one of all bounds, and exits with 1 if one
// of them is not kept.
//
//	make bench-hotkey
//	bin/bench-hotkey -quick
package main

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"

	"samaritan/bench/hotkeys/internal/page"
	"samaritan/bench/hotkeys/internal/trial"
	"samaritan/bench/internal/command"
	"samaritan/bench/internal/findings"
)

// main leaves signals alone, as no trial looks at a context.
func main() {
	os.Exit(command.Exit("bench-hotkey", run(os.Args[1:], os.Stdout, os.Stderr), os.Stderr))
}

// run parses the arguments, runs the trials and writes what they found.
func run(args []string, out, progress io.Writer) error {
	fs := flag.NewFlagSet("bench-hotkey", flag.ContinueOnError)
	docs := fs.String("docs", "", "write tables and pictures to this `directory`")
	quick := fs.Bool("quick", false, "one seed, no sampled load, no cost: some ten seconds")
	if err := command.Parse(fs, args, progress); err != nil {
		return err
	}
	o := trial.Full()
	if *quick {
		o = trial.Quick()
	}
	o.Logger = slog.New(slog.NewTextHandler(progress, nil))
	return page.Of(trial.Run(o), findings.Here(fmt.Sprintf("%d seeds", o.Seeds))).Report(out, *docs)
}
