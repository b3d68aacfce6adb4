package trial

import (
	"context"
	"errors"
	"fmt"
	"time"

	"samaritan/bench/compression/internal/flow"
	"samaritan/bench/compression/internal/stand"
	"samaritan/bench/internal/child"
	"samaritan/bench/internal/figures"
	"samaritan/bench/internal/pairs"
)

// Cost is the CPU time that a proxy takes for one request, in microseconds, in each slice of all
// rounds.
type Cost struct {
	Load   Load
	Slices map[string][]float64 // by the proxy's name; those with the same index were measured together
}

// Micros is the median of a proxy's slices.
func (c Cost) Micros(proxy string) float64 { return figures.Median(c.Slices[proxy]) }

// Times compares a proxy with the one that is off. A slice is so long that garbage collection, where it matters at
// all, is in each of them.
func (c Cost) Times(proxy string) pairs.Comparison {
	return pairs.Divide(c.Slices[proxy], c.Slices[Off])
}

// costs runs all loads that were asked for on all variants, one of which is off.
func (b *bench) costs(ctx context.Context, loads []Load, count int, variants ...stand.Variant) ([]Cost, error) {
	var all []Cost
	for _, l := range loads {
		if b.Only == nil || b.Only.MatchString(l.String()) {
			all = append(all, Cost{Load: l, Slices: map[string][]float64{}})
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	for round := range b.Rounds {
		b.Logger.Info("round", "number", round+1, "of", b.Rounds)
		if err := b.costRound(ctx, round, count, all, variants); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// costRound starts proxies, and appends what each load takes with each of them.
func (b *bench) costRound(ctx context.Context, round, count int, all []Cost, variants []stand.Variant) error {
	proxies, killAll, err := child.StartAll(ctx, variants, b.stand.Proxy)
	defer killAll()
	if err != nil {
		return err
	}
	if round == 0 {
		if err := b.fillAll(ctx, proxies, all); err != nil {
			return err
		}
	}
	for i := range all {
		lanes, err := b.lanes(ctx, all[i].Load, proxies)
		if err == nil {
			err = b.measure(ctx, round, count, lanes, all[i].Slices)
		}
		hangUp(lanes)
		if err != nil {
			return fmt.Errorf("%s: %w", all[i].Load, err)
		}
	}
	return nil
}

// fillAll stores the values of all loads.
func (b *bench) fillAll(ctx context.Context, proxies []*stand.Proxy, costs []Cost) error {
	type values struct {
		kind string
		size int
	}
	done := map[values]bool{}
	for _, c := range costs {
		v := values{c.Load.Kind, c.Load.Size}
		if done[v] {
			continue
		}
		done[v] = true
		for i, p := range proxies {
			if err := b.fill(ctx, p, i, v.kind, v.size, b.count(c.Load)); err != nil {
				return err
			}
		}
	}
	return nil
}

// lane is one proxy under one load.
type lane struct {
	proxy     *stand.Proxy
	flow      *flow.Flow
	latencies []time.Duration
}

func hangUp(lanes []*lane) {
	for _, l := range lanes {
		l.flow.Close()
	}
}

// lanes connects to all proxies. It returns those that are there with an error, too.
func (b *bench) lanes(ctx context.Context, load Load, proxies []*stand.Proxy) ([]*lane, error) {
	var all []*lane
	for i, p := range proxies {
		f, err := flow.Dial(ctx, p.Addr, b.exchanges(load, i), load.Flow)
		if err != nil {
			return all, errors.Join(fmt.Errorf("%s: %w", p.Variant.Name, err), p.Running())
		}
		all = append(all, &lane{proxy: p, flow: f})
	}
	return all, nil
}

// measure appends the slices of all lanes.
func (b *bench) measure(ctx context.Context, round, count int, lanes []*lane, to map[string][]float64) error {
	return turns(round, count, lanes, func(l *lane, warm bool) error {
		used, requests, err := l.slice(ctx, b.Slice)
		if name := l.proxy.Variant.Name; !warm {
			to[name] = append(to[name], float64(used)/float64(time.Microsecond)/float64(max(1, requests)))
		}
		return err
	})
}

// turns lets all lanes run in turns; see [pairs.Turns]. An error says whose it is.
func turns(round, count int, lanes []*lane, run func(l *lane, warm bool) error) error {
	return pairs.Turns(round, count, lanes, func(l *lane, warm bool) error {
		if err := run(l, warm); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", l.proxy.Variant.Name, err), l.proxy.Running())
		}
		return nil
	})
}

// slice runs the load once and returns the CPU time that the proxy took for it.
func (l *lane) slice(ctx context.Context, d time.Duration) (time.Duration, int, error) {
	before, err := l.proxy.CPU()
	if err != nil {
		return 0, 0, err
	}
	n, err := l.flow.Run(ctx, d)
	if err != nil {
		return 0, 0, err
	}
	after, err := l.proxy.CPU()
	return after - before, n, err
}
