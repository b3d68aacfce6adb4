package trial

import (
	"context"
	"errors"
	"time"

	"samaritan/bench/internal/figures"
	"samaritan/bench/tcp/internal/load"
	"samaritan/bench/tcp/internal/stand"
)

// Memory is the resident memory of proxies, in bytes, in each round.
type Memory struct {
	Connections int
	Start       map[stand.Kind][]float64 // before there were any
	Each        map[stand.Kind][]float64 // what an idle connection adds
}

// Median returns the medians of a proxy.
func (m *Memory) Median(k stand.Kind) (start, each float64) {
	return figures.Median(m.Start[k]), figures.Median(m.Each[k])
}

func (b *bench) memory(ctx context.Context) (*Memory, error) {
	m := &Memory{b.Idle, map[stand.Kind][]float64{}, map[stand.Kind][]float64{}}
	for range b.IdleRounds {
		for _, k := range stand.Proxies {
			if err := b.idle(ctx, k, m); err != nil {
				return nil, err
			}
		}
	}
	return m, nil
}

// idle starts a proxy, and connects clients that ask once and go idle.
func (b *bench) idle(ctx context.Context, k stand.Kind, to *Memory) error {
	t, err := b.stand.Target(ctx, k)
	if err != nil {
		return err
	}
	defer t.Close()
	before, err := settled(ctx, t)
	if err != nil {
		return err
	}
	l, err := load.Open(ctx, t.Addr, load.Options{Kind: load.PingPong, Connections: b.Idle})
	if err != nil {
		return errors.Join(err, t.Running())
	}
	defer l.Close()
	after, err := settled(ctx, t)
	to.Start[k] = append(to.Start[k], before)
	to.Each[k] = append(to.Each[k], max(0, after-before)/float64(b.Idle))
	return err
}

// Memory counts as settled when it stays within settleSlack for settleFor; after settlePatience it counts
// as it is.
const (
	settleSlack    = 64 << 10
	settleFor      = 300 * time.Millisecond
	settlePatience = 3 * time.Second
)

// settled waits until the memory of a process stands still, and returns it in bytes.
func settled(ctx context.Context, t *stand.Target) (float64, error) {
	tick := time.NewTicker(settleFor / 6)
	defer tick.Stop()
	begin := time.Now()
	last, since := int64(0), begin
	for {
		rss, err := t.RSS()
		if err != nil {
			return 0, errors.Join(err, t.Running())
		}
		if max(rss-last, last-rss) > settleSlack {
			last, since = rss, time.Now()
		}
		if time.Since(since) >= settleFor || time.Since(begin) >= settlePatience {
			return float64(rss), nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-tick.C:
		}
	}
}
