package trial

import (
	"context"
	"errors"

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
	defer t.Kill()
	before, err := t.SettledRSS(ctx)
	if err != nil {
		return err
	}
	l, err := load.Open(ctx, t.Addr, load.Options{Kind: load.PingPong, Connections: b.Idle})
	if err != nil {
		return errors.Join(err, t.Running())
	}
	defer l.Close()
	after, err := t.SettledRSS(ctx)
	to.Start[k] = append(to.Start[k], before)
	to.Each[k] = append(to.Each[k], max(0, after-before)/float64(b.Idle))
	return err
}
