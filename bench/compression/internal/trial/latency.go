package trial

import (
	"context"

	"samaritan/bench/compression/internal/flow"
	"samaritan/bench/compression/internal/stand"
	"samaritan/bench/internal/child"
	"samaritan/bench/internal/figures"
)

// Latency is what clients wait for a GET of 16 KiB of JSON, in milliseconds, in each round.
type Latency struct {
	Connections int
	P50, P99    map[string][]float64 // by the proxy's name
}

// Millis are the medians of a proxy's rounds.
func (l Latency) Millis(proxy string) (p50, p99 float64) {
	return figures.Median(l.P50[proxy]), figures.Median(l.P99[proxy])
}

func (b *bench) latencies(ctx context.Context) ([]Latency, error) {
	proxies, killAll, err := child.StartAll(ctx, []stand.Variant{off, snappy, zstd}, b.stand.Proxy)
	defer killAll()
	if err != nil {
		return nil, err
	}
	var all []Latency
	for _, connections := range []int{1, 16} {
		load := Load{Name: "GET", Kind: "json", Size: 16 << 10, Get: true, Flow: flow.Options{Connections: connections, Pipeline: 1}}
		l := Latency{connections, map[string][]float64{}, map[string][]float64{}}
		if err := b.fillAll(ctx, proxies, []Cost{{Load: load}}); err != nil {
			return nil, err
		}
		for round := range b.Rounds {
			if err := b.latencyRound(ctx, round, load, proxies, l); err != nil {
				return nil, err
			}
		}
		all = append(all, l)
	}
	return all, nil
}

// latencyRound appends the percentiles of one round.
func (b *bench) latencyRound(ctx context.Context, round int, load Load, proxies []*stand.Proxy, to Latency) error {
	lanes, err := b.lanes(ctx, load, proxies)
	defer func() { hangUp(lanes) }()
	if err == nil {
		err = turns(round, b.Slices, lanes, func(l *lane, warm bool) error {
			some, err := l.flow.Latencies(ctx, b.Slice)
			if !warm {
				l.latencies = append(l.latencies, some...)
			}
			return err
		})
	}
	if err != nil {
		return err
	}
	for _, l := range lanes {
		name := l.proxy.Variant.Name
		to.P50[name] = append(to.P50[name], figures.Percentile(l.latencies, 0.50))
		to.P99[name] = append(to.P99[name], figures.Percentile(l.latencies, 0.99))
	}
	return nil
}
