package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"samaritan/bench/internal/child"
	"samaritan/bench/internal/loadgen"
	"samaritan/bench/internal/report"
)

// lane is one target in one scenario.
type lane struct {
	target *target
	loads  []track
}

// track is one load on one target.
type track struct {
	*loadgen.Generator

	// What the shortest run takes. It is taken off all others, which leaves the
	// requests of connections that stand already.
	connect cost
}

// cost is CPU time and what it was spent on.
type cost struct {
	used     child.Usage
	requests int
}

// sub returns the cost without that of before.
func (c cost) sub(before cost) cost {
	return cost{used: c.used.Sub(before.used), requests: c.requests - before.requests}
}

// runScenario starts all targets, warms them up, runs all rounds and ends the
// targets.
func (s *stage) runScenario(ctx context.Context, sc scenario) (report.Scenario, error) {
	result := report.Scenario{Name: sc.name, Title: sc.title, Detail: sc.detail, Budget: sc.budget, Runs: map[string][]report.Run{}}
	defer s.closeTargets()
	if err := s.openTargets(ctx); err != nil {
		return result, err
	}
	lanes, err := s.lanes(ctx, sc)
	if err != nil {
		return result, err
	}
	for round := range s.options.rounds {
		progress("%-12s round %d of %d", sc.name, round+1, s.options.rounds)
		for i := range lanes {
			l := lanes[(round+i)%len(lanes)] // Each round begins with another one.
			run, err := l.run(ctx, s.options.duration)
			if err != nil {
				return result, fmt.Errorf("%s: %w", l.target.name, err)
			}
			result.Runs[l.target.name] = append(result.Runs[l.target.name], run)
		}
	}
	return result, s.profileLanes(ctx, sc, lanes)
}

// lanes prepares all targets for a scenario.
func (s *stage) lanes(ctx context.Context, sc scenario) ([]lane, error) {
	var lanes []lane
	for _, t := range s.targets {
		l := lane{target: t}
		for _, load := range sc.loads {
			g, err := s.prepare(ctx, t, load)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", t.name, err)
			}
			l.loads = append(l.loads, g)
		}
		lanes = append(lanes, l)
	}
	return lanes, nil
}

// prepare checks that the target serves the load, and warms it up.
func (s *stage) prepare(ctx context.Context, t *target, load loadgen.Load) (track, error) {
	if err := loadgen.Probe(t.addr, load); err != nil {
		return track{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	g := loadgen.NewGenerator(s.starter.Output, load, t.port)
	if err := g.Warm(ctx); err != nil {
		return track{}, errors.Join(t.running(), err)
	}
	_, connect, err := t.measure(func() (loadgen.Result, error) { return g.Connect(ctx) })
	return track{g, connect}, err
}

// run runs all loads of the scenario, sharing the time.
func (l lane) run(ctx context.Context, d time.Duration) (report.Run, error) {
	share := d / time.Duration(len(l.loads))
	var runs []report.Run
	for _, g := range l.loads {
		r, c, err := l.target.measure(func() (loadgen.Result, error) { return g.For(ctx, share) })
		if err != nil {
			return report.Run{}, err
		}
		rss, err := child.ReadRSS(l.target.pid)
		if err != nil {
			return report.Run{}, err
		}
		runs = append(runs, newRun(r, c.sub(g.connect), rss))
	}
	return combine(runs), nil
}

// measure runs a load and returns what it cost the target.
func (t *target) measure(load func() (loadgen.Result, error)) (loadgen.Result, cost, error) {
	before, err := child.ReadUsage(t.pid)
	if err != nil {
		return loadgen.Result{}, cost{}, errors.Join(t.running(), err)
	}
	r, err := load()
	if err != nil {
		return r, cost{}, errors.Join(t.running(), err) // It may have ended, which is why the load failed.
	}
	after, err := child.ReadUsage(t.pid)
	if err != nil {
		return r, cost{}, errors.Join(t.running(), err)
	}
	return r, cost{used: after.Sub(before), requests: r.Requests}, nil
}

// newRun relates a cost to the requests it was for.
func newRun(r loadgen.Result, c cost, rss int64) report.Run {
	perRequest := func(d time.Duration) float64 { return micros(d) / float64(c.requests) }
	return report.Run{
		Rate: r.Rate,
		CPU:  perRequest(c.used.Total), User: perRequest(c.used.User), System: perRequest(c.used.System),
		P50: millis(r.P50), P99: millis(r.P99),
		RSS: float64(rss),
	}
}

// combine makes one run of those of a scenario's loads: means of rates and
// times, the slowest latency, the last memory.
func combine(runs []report.Run) report.Run {
	var c report.Run
	share := 1 / float64(len(runs))
	for _, r := range runs {
		c.Rate += r.Rate * share
		c.CPU += r.CPU * share
		c.User += r.User * share
		c.System += r.System * share
		c.P50, c.P99, c.RSS = max(c.P50, r.P50), max(c.P99, r.P99), r.RSS
	}
	return c
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// progress tells a person who waits what happens. Results go to standard
// output, this does not.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}
