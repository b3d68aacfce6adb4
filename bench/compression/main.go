// Command compression measures what transparent compression gains and what it costs: how small values get
// in Redis, the memory of the nodes, bytes on the wire, the CPU time of the proxy and the latency
// of its clients.
//
// # Model
//
// A real Redis Cluster stands behind several proxies that differ only in their compression, each a process
// of its own; see bench/compression/internal/trial. Load is made by this process, with values that differ from each
// other, by bench/compression/internal/flow.
//
// # What it does not do
//
// It does not compare with other proxies, and does not measure over a network, where fewer bytes
// are what saves most.
//
// It prints a table for each subject and one of all bounds, and exits with 1 if one
// of them is certainly not kept. On a busy machine it may not be sure.
//
//	make bench-compression
//	bin/bench-compression -quick
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"

	"samaritan/bench/compression/internal/page"
	"samaritan/bench/compression/internal/trial"
	"samaritan/bench/internal/command"
	"samaritan/bench/internal/findings"
)

func main() { os.Exit(command.Main("bench-compression", run, os.Args[1:], os.Stdout, os.Stderr)) }

// run parses the arguments, runs the trials and writes what they found.
func run(ctx context.Context, args []string, out, progress io.Writer) error {
	fs := flag.NewFlagSet("bench-compression", flag.ContinueOnError)
	binary := fs.String("samaritan", "bin/samaritan", "`path` of the proxy")
	docs := fs.String("docs", "", "write tables to compression.md in this `directory`")
	quick := fs.Bool("quick", false, "everything once, briefly: bounds of time are not judged")
	rounds := fs.Int("rounds", 0, "rounds of what is timed (default 15, 1 with -quick)")
	pin := fs.Bool("pin", false, "proxies on the first CPU, servers and load on the others: steadier figures on a busy machine, but a proxy with one CPU")
	var only *regexp.Regexp
	fs.Func("load", "measure only the CPU time of loads whose name, such as 'GET and SET, 16 KiB json', matches the `regexp`; writes no documents", func(text string) (err error) {
		only, err = regexp.Compile(text)
		return err
	})
	if err := command.Parse(fs, args, progress); err != nil {
		return err
	}
	if *rounds < 0 {
		return fmt.Errorf("-rounds %d: must not be negative", *rounds)
	}
	o := trial.Full()
	if *quick {
		o = trial.Quick()
	}
	if *rounds > 0 {
		o.Rounds = *rounds
	}
	o.Binary, o.Pin, o.Only, o.Logger = *binary, *pin, only, slog.New(slog.NewTextHandler(progress, nil))
	r, err := trial.Run(ctx, o)
	if err != nil {
		return err
	}
	if only != nil {
		*docs = ""
	}
	return page.Of(r, findings.Here(fmt.Sprintf("%d rounds", o.Rounds))).Report(out, *docs)
}
