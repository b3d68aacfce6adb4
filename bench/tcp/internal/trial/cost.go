package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"samaritan/bench/internal/child"
	"samaritan/bench/internal/figures"
	"samaritan/bench/internal/pairs"
	"samaritan/bench/tcp/internal/load"
	"samaritan/bench/tcp/internal/stand"
)

// Slice is a short run of one target.
type Slice struct {
	CPU      float64 // seconds of the target's process for each unit
	Rate     float64 // units in a second
	P50, P99 float64 // ms that clients waited
}

// Cost is what a load takes, in all slices of all rounds. Those of different targets with the same index were measured
// together.
type Cost struct {
	Load   Load
	Slices map[stand.Kind][]Slice
}

// Median are the medians of a target's slices, each figure for itself.
func (c Cost) Median(k stand.Kind) Slice {
	of := func(field func(Slice) float64) float64 { return figures.Median(figures.Each(c.Slices[k], field)) }
	return Slice{
		CPU:  of(func(s Slice) float64 { return s.CPU }),
		Rate: of(func(s Slice) float64 { return s.Rate }),
		P50:  of(func(s Slice) float64 { return s.P50 }),
		P99:  of(func(s Slice) float64 { return s.P99 }),
	}
}

// Peer is the HAProxy that takes less.
func (c Cost) Peer() stand.Kind {
	if c.Median(stand.Splice).CPU < c.Median(stand.HAProxy).CPU {
		return stand.Splice
	}
	return stand.HAProxy
}

// Times compares the CPU time of Samaritan with that of its peer.
func (c Cost) Times() pairs.Comparison {
	cpu := func(s Slice) float64 { return s.CPU }
	return pairs.Divide(figures.Each(c.Slices[stand.Samaritan], cpu), figures.Each(c.Slices[c.Peer()], cpu))
}

// costs fills in the figures of all loads.
func (b *bench) costs(ctx context.Context, all []Cost) error {
	for round := range b.Rounds {
		b.Logger.Info("round", "number", round+1, "of", b.Rounds)
		if err := b.costRound(ctx, round, all); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) costRound(ctx context.Context, round int, all []Cost) error {
	targets, killAll, err := child.StartAll(ctx, append(slices.Clone(stand.Proxies), stand.Direct), b.stand.Target)
	defer killAll()
	if err != nil {
		return err
	}
	for _, c := range all {
		lanes, err := open(ctx, targets, c.Load)
		if err == nil {
			err = b.measure(ctx, round, lanes, c)
		}
		hangUp(lanes)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Load.Name, err)
		}
	}
	return nil
}

// lane is one target under one load.
type lane struct {
	target *stand.Target
	load   *load.Load
}

// open connects to all targets. It returns those that it has connected to with an error, too.
func open(ctx context.Context, targets []*stand.Target, l Load) ([]lane, error) {
	var lanes []lane
	for _, t := range targets {
		flow, err := load.Open(ctx, t.Addr, l.Flow)
		if err != nil {
			return lanes, errors.Join(fmt.Errorf("%s: %w", t.Kind, err), t.Running())
		}
		lanes = append(lanes, lane{t, flow})
	}
	return lanes, nil
}

func hangUp(lanes []lane) {
	for _, l := range lanes {
		l.load.Close()
	}
}

// measure appends slices of all lanes.
func (b *bench) measure(ctx context.Context, round int, lanes []lane, to Cost) error {
	return pairs.Turns(round, b.Slices, lanes, func(l lane, warm bool) error {
		s, err := l.slice(ctx, b.Slice, to.Load)
		if err != nil {
			return errors.Join(fmt.Errorf("%s: %w", l.target.Kind, err), l.target.Running())
		}
		if !warm {
			to.Slices[l.target.Kind] = append(to.Slices[l.target.Kind], s)
		}
		return nil
	})
}

// slice runs the load once.
func (l lane) slice(ctx context.Context, d time.Duration, what Load) (Slice, error) {
	before, err := l.target.CPU()
	if err != nil {
		return Slice{}, err
	}
	r, err := l.load.Run(ctx, d)
	if err != nil {
		return Slice{}, err
	}
	after, err := l.target.CPU()
	units := what.units(r)
	return Slice{
		CPU: (after - before).Seconds() / units, Rate: units / r.Took.Seconds(),
		P50: figures.Percentile(r.Latencies, 0.50), P99: figures.Percentile(r.Latencies, 0.99),
	}, err
}
