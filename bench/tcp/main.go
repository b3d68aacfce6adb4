// Command tcp compares Samaritan as a proxy of plain TCP with HAProxy in its tcp mode: what many bytes, connections and round
// trips take of the processor, what clients wait, and the memory of idle connections. It also measures how fast
// Samaritan takes up services from a management server.
//
// # Model
//
// All proxies stand in front of the same server, each a process of its own; see bench/tcp/internal/trial. The
// server is this program, too: started with the argument serve. Load is made by this process.
//
// # What it does not do
//
// It does not measure over a network, and nothing of HTTP or TLS, of which Samaritan knows nothing.
//
// It prints a table for each subject and one of all bounds, and exits with 1 if one
// of them is certainly not kept. On a busy machine it may not be sure.
//
//	make bench-tcp
//	bin/bench-tcp -quick
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"samaritan/bench/internal/command"
	"samaritan/bench/internal/findings"
	"samaritan/bench/tcp/internal/page"
	"samaritan/bench/tcp/internal/peer"
	"samaritan/bench/tcp/internal/trial"
)

// serveCommand, as the first argument, makes this program the server; the others are its addresses.
const serveCommand = "serve"

func main() { os.Exit(command.Main("bench-tcp", run, os.Args[1:], os.Stdout, os.Stderr)) }

// run parses the arguments, runs the trials and writes what they found; or it is the server.
func run(ctx context.Context, args []string, out, progress io.Writer) error {
	if len(args) > 1 && args[0] == serveCommand {
		return peer.Serve(ctx, args[1:]...)
	}
	o, docs, err := parse(args, progress)
	if err != nil {
		return err
	}
	r, err := trial.Run(ctx, o)
	if err != nil {
		return err
	}
	extent := fmt.Sprintf("%d rounds, %d threads for each proxy", o.Rounds, r.Threads)
	return page.Of(r, findings.Here(extent)).Report(out, docs)
}
