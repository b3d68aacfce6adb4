package loadgen

import (
	"context"
	"fmt"
	"time"
)

// Binary is the load generator, found in PATH.
const Binary = "redis-benchmark"

// Calibration runs grow until one takes at least warm.
const (
	warm         = 150 * time.Millisecond
	firstCount   = 2000
	largestCount = 1 << 30
)

// patience is how much longer than wanted a run may take before it counts as
// hung.
const patience = 30 * time.Second

// RunFunc runs a program to its end and returns its standard output.
type RunFunc func(ctx context.Context, name string, args ...string) ([]byte, error)

// Generator puts one load on one port. It remembers the rate of its last run.
// It is not safe for concurrent use.
type Generator struct {
	run  RunFunc
	load Load
	port int
	rate float64 // of the last run, per second; 0 before the first
}

// NewGenerator returns a generator that starts redis-benchmark with run.
func NewGenerator(run RunFunc, load Load, port int) *Generator {
	return &Generator{run: run, load: load, port: port}
}

// Warm runs the load until the rate is known, for some tenths of a second. It
// also lets the target grow its buffers.
func (g *Generator) Warm(ctx context.Context) error {
	for n := max(firstCount, 2*g.load.smallest()); ; n *= 4 {
		r, err := g.Requests(ctx, n)
		if err != nil {
			return err
		}
		if n > largestCount || float64(n)/r.Rate >= warm.Seconds() {
			return nil
		}
	}
}

// Connect runs the load with as few requests as there can be: each connection
// sends one pipeline. What it costs is mostly the connections, so a caller can
// take it off what a longer run costs.
func (g *Generator) Connect(ctx context.Context) (Result, error) {
	rate := g.rate
	r, err := g.Requests(ctx, g.load.smallest())
	g.rate = rate // So short a run does not tell it.
	return r, err
}

// For runs the load for about d.
func (g *Generator) For(ctx context.Context, d time.Duration) (Result, error) {
	if g.rate == 0 {
		if err := g.Warm(ctx); err != nil {
			return Result{}, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, d+patience)
	defer cancel()
	return g.Requests(ctx, g.count(d))
}

// count returns the number of requests that take about d: whole pipelines, and
// at least two per connection.
func (g *Generator) count(d time.Duration) int {
	per := g.load.smallest()
	n := min(g.rate*d.Seconds(), largestCount)
	return max(2, int(n)/per) * per
}

// Requests runs the load with n requests.
func (g *Generator) Requests(ctx context.Context, n int) (Result, error) {
	out, err := g.run(ctx, Binary, g.load.args(g.port, n)...)
	if err != nil {
		return Result{}, fmt.Errorf("%s with %d connections: %w", g.load.Command[0], g.load.Clients, err)
	}
	r, err := parseCSV(string(out))
	if err != nil {
		return Result{}, err
	}
	r.Requests, g.rate = n, r.Rate
	return r, nil
}
