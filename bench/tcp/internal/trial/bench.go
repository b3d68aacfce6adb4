package trial

import (
	"context"
	"errors"
	"fmt"
	"time"

	"samaritan/bench/tcp/internal/stand"
)

// bench is what all steps share.
type bench struct {
	Options
	stand *stand.Stand
}

// Run sets the stand up, takes all steps that are wanted and clears it.
func Run(ctx context.Context, o Options) (r *Results, err error) {
	start := time.Now()
	s, err := stand.Open(ctx, o.Stand)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	b := &bench{Options: o, stand: s}
	r = &Results{Options: o, Threads: s.Threads()}
	for _, step := range b.steps(ctx, r) {
		o.Logger.Info(step.name, "after", time.Since(start).Round(100*time.Millisecond))
		if err := step.run(); err != nil {
			return nil, fmt.Errorf("%s: %w", step.name, err)
		}
	}
	r.Took = time.Since(start)
	return r, nil
}

// step is one subject.
type step struct {
	name string
	run  func() error
}

// steps are what there is to do, in that order.
func (b *bench) steps(ctx context.Context, r *Results) []step {
	var all []step
	if costs := b.wanted(); len(costs) > 0 {
		r.Costs = costs
		all = append(all, step{"loads", func() error { return b.costs(ctx, costs) }})
	}
	for _, s := range []step{
		{"memory", func() (err error) { r.Memory, err = b.memory(ctx); return err }},
		{"services", func() (err error) { r.Apply, err = b.apply(ctx); return err }},
		{"changes", func() (err error) { r.Storm, err = b.storm(ctx); return err }},
	} {
		// A stand-in has no services that come and go.
		if b.wants(s.name) && (s.name == "memory" || !b.Stand.StandIn) {
			all = append(all, s)
		}
	}
	return all
}

func (b *bench) wants(name string) bool { return b.Only == nil || b.Only.MatchString(name) }

// wanted are the loads that are wanted, without figures.
func (b *bench) wanted() (all []Cost) {
	for _, l := range Loads(b.Chunk) {
		if b.wants(l.Name) {
			all = append(all, Cost{Load: l, Slices: map[stand.Kind][]Slice{}})
		}
	}
	return all
}
