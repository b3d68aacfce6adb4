package trial

import (
	"context"
	"errors"
	"fmt"
	"time"

	"samaritan/api/service"
	"samaritan/bench/internal/figures"
	"samaritan/bench/internal/pairs"
	"samaritan/bench/tcp/internal/load"
)

func (b *bench) storm(ctx context.Context) (*Storm, error) {
	d, err := b.dynamic(ctx, b.Changing)
	if err != nil {
		return nil, err
	}
	defer d.close()
	l, err := load.Open(ctx, d.daemon.Addr, calm)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	s := &Storm{Services: b.Changing, PerMinute: b.PerMinute}
	before, err := d.daemon.Stat(ctx, updates)
	if err != nil {
		return nil, err
	}
	if err := (&weather{bench: b, dynamic: d, load: l}).alternate(ctx, s); err != nil {
		return nil, errors.Join(err, d.daemon.Running())
	}
	after, err := d.daemon.Stat(ctx, updates)
	if err == nil && after <= before {
		err = errNoUpdates
	}
	return s, err
}

// updates counts what the daemon was told by its source.
const updates = "dynamic.updates_total"

var errNoUpdates = errors.New("the daemon took up no change")

// weather is a daemon and what happens to it.
type weather struct {
	*bench
	*dynamic
	load *load.Load
	made int // changes
}

// alternate fills in slices, those with changes and those without in turns.
func (w *weather) alternate(ctx context.Context, to *Storm) error {
	return pairs.Turns(0, w.Storms, []bool{false, true}, func(stormy, warm bool) error {
		slice, err := w.slice(ctx, stormy)
		switch {
		case err != nil, warm:
		case stormy:
			to.With = append(to.With, slice)
		default:
			to.Without = append(to.Without, slice)
		}
		return err
	})
}

// slice loads the one service, and lets the others change or not.
func (w *weather) slice(ctx context.Context, stormy bool) (s StormSlice, err error) {
	before, err := w.daemon.CPU()
	if err != nil {
		return s, err
	}
	stop := func() error { return nil }
	if stormy {
		stop = w.change(ctx)
	}
	r, err := w.load.Run(ctx, w.Storm)
	if err := errors.Join(err, stop()); err != nil {
		return s, err
	}
	after, err := w.daemon.CPU()
	return StormSlice{
		P50: figures.Percentile(r.Latencies, 0.50), P99: figures.Percentile(r.Latencies, 0.99),
		CPU: (after - before).Seconds() / r.Took.Seconds(),
	}, err
}

// change makes changes until the function that it returns is called.
func (w *weather) change(ctx context.Context) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- w.changes(ctx) }()
	return func() error {
		cancel()
		return <-done
	}
}

// changes go through all services: each loses an endpoint, and when its turn comes again gets it back. A tick that
// is late makes all changes that are due.
func (w *weather) changes(ctx context.Context) error {
	every := time.Minute / time.Duration(w.PerMinute)
	tick := time.NewTicker(every)
	defer tick.Stop()
	begin, made := time.Now(), time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for ; made < time.Since(begin)/every; made++ {
			if err := w.changeOne(ctx); err != nil && ctx.Err() == nil {
				return fmt.Errorf("change endpoints: %w", err)
			}
		}
	}
}

func (w *weather) changeOne(ctx context.Context) error {
	name := w.services[w.made%len(w.services)].Name
	turn := w.made / len(w.services)
	some := []*service.Endpoint{w.endpoint(turn / 2 % w.Endpoints)}
	w.made++
	if turn%2 == 0 {
		return w.source.Change(ctx, name, nil, some)
	}
	return w.source.Change(ctx, name, some, nil)
}
