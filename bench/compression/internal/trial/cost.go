package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"samaritan/bench/compression/internal/flow"
	"samaritan/bench/compression/internal/stand"
	"samaritan/bench/internal/report"
)

// Cost is the CPU time that a proxy takes for one request, in microseconds, in each round.
type Cost struct {
	Load   Load
	Rounds map[string][]float64 // by the proxy's name
}

// Micros is the median of a proxy's rounds.
func (c Cost) Micros(proxy string) float64 { return report.Median(c.Rounds[proxy]) }

// Multiple is a comparison.
type Multiple struct {
	Median, Low, High float64 // of the rounds
}

// Times compares a proxy with the one that is off.
func (c Cost) Times(proxy string) Multiple { return compare(c.Rounds[proxy], c.Rounds[Off]) }

// compare divides round by round.
func compare(a, b []float64) Multiple {
	var times []float64
	for i := range min(len(a), len(b)) {
		if b[i] > 0 {
			times = append(times, a[i]/b[i])
		}
	}
	if len(times) == 0 {
		return Multiple{}
	}
	return Multiple{report.Median(times), slices.Min(times), slices.Max(times)}
}

// costs runs all loads on all variants. The first variant is off.
func (b *bench) costs(ctx context.Context, loads []Load, variants ...stand.Variant) ([]Cost, error) {
	all := make([]Cost, len(loads))
	for i, l := range loads {
		all[i] = Cost{Load: l, Rounds: map[string][]float64{}}
	}
	for round := range b.Rounds {
		b.Logger.Info("round", "number", round+1, "of", b.Rounds)
		if err := b.costRound(ctx, round, all, variants); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// costRound starts proxies, and appends what each load takes with each of them.
func (b *bench) costRound(ctx context.Context, round int, all []Cost, variants []stand.Variant) error {
	proxies, closeAll, err := b.proxies(ctx, variants)
	defer closeAll()
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
			err = b.measure(ctx, round, lanes)
		}
		for k, l := range lanes {
			all[i].Rounds[variants[k].Name] = append(all[i].Rounds[variants[k].Name], l.micros())
			l.flow.Close()
		}
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
	used      time.Duration
	requests  int
	latencies []time.Duration
}

func (l *lane) micros() float64 {
	return float64(l.used) / float64(time.Microsecond) / float64(max(1, l.requests))
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

// measure warms all lanes up and runs their slices in turns, each time with another one first.
func (b *bench) measure(ctx context.Context, round int, lanes []*lane) error {
	return b.turns(round, lanes, func(l *lane, warm bool) error {
		used, requests, err := l.slice(ctx, b.Slice)
		if !warm {
			l.used, l.requests = l.used+used, l.requests+requests
		}
		return err
	})
}

func (b *bench) turns(round int, lanes []*lane, run func(l *lane, warm bool) error) error {
	for turn := range b.Slices + 1 {
		for i := range lanes {
			l := lanes[(round+turn+i)%len(lanes)]
			if err := run(l, turn == 0); err != nil {
				return errors.Join(fmt.Errorf("%s: %w", l.proxy.Variant.Name, err), l.proxy.Running())
			}
		}
	}
	return nil
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
