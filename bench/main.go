// Command bench compares Samaritan with twemproxy, and with Redis without a
// proxy, in the scenarios that have a CPU budget.
//
// # Model
//
// A stage is what stands on the machine: a Redis Cluster of three masters
// behind Samaritan, three plain servers behind twemproxy, one more server that
// clients ask directly. A target is one of the three as a client sees it: an
// address, and the process that is measured. Each scenario runs for some
// rounds, and in each round all targets run one after the other in rotating
// order, so that ratios can be made within rounds (see bench/internal/report).
// Each scenario starts its own proxies; the servers, and their keys, stay.
// Memory and start are measured apart.
//
// Everything happens on the main goroutine, one process loaded at a time. The
// processes belong to bench/internal/child and internal/testredis, which see to
// it that none is left over, whatever happens to this program.
//
// # What it does not do
//
// It does not find the highest rate: load, proxy and servers share the machine,
// and the figure that matters for a sidecar is what it takes from the
// application, CPU per request. It does not measure over a network.
//
//	make bench
//	bin/bench -short -scenario 'get|mget'
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"samaritan/bench/internal/command"
	"samaritan/bench/internal/report"
)

func main() { os.Exit(command.Main("bench", run, os.Args[1:], os.Stdout, os.Stderr)) }

// errBudget says that -check found something over its budget.
var errBudget = errors.New("over budget")

// run parses the arguments, measures, and writes the results.
func run(ctx context.Context, args []string, out, errs io.Writer) error {
	o, err := parseOptions(args, errs)
	if err != nil {
		return err
	}
	r, err := measure(ctx, o)
	if err != nil {
		return err
	}
	if err := write(out, o, r); err != nil {
		return err
	}
	if over := r.OverBudget(); o.check && len(over) > 0 {
		return fmt.Errorf("%w: %s", errBudget, strings.Join(over, ", "))
	}
	return nil
}

// measure sets the stage, runs all there is to run on it and clears it.
func measure(ctx context.Context, o options) (r report.Report, err error) {
	s, err := newStage(ctx, o)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	r, err = s.newReport(ctx)
	if err != nil {
		return r, err
	}
	if o.footprint {
		if r.Footprints, err = s.footprints(ctx); err != nil {
			return r, err
		}
	}
	for _, sc := range o.scenarios {
		result, err := s.runScenario(ctx, sc)
		if err != nil {
			return r, fmt.Errorf("scenario %s: %w", sc.name, err)
		}
		r.Scenarios = append(r.Scenarios, result)
	}
	return r, nil
}
