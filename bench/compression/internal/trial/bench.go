package trial

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"samaritan/bench/compression/internal/flow"
	"samaritan/bench/compression/internal/stand"
	"samaritan/internal/testvalues"
)

// bench is what all trials share.
type bench struct {
	Options
	stand  *stand.Stand
	values map[string][][]byte // by kind and size
}

// Run sets the stand up, runs all trials and clears it.
func Run(ctx context.Context, o Options) (r *Results, err error) {
	start := time.Now()
	s, err := stand.Open(ctx, stand.Options{Binary: o.Binary, Pin: o.Pin})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	b := &bench{Options: o, stand: s, values: map[string][][]byte{}}
	r = &Results{Quick: o.Quick}
	for _, step := range b.steps(ctx, r) {
		o.Logger.Info(step.name, "after", time.Since(start).Round(100*time.Millisecond))
		if err := step.run(); err != nil {
			return nil, fmt.Errorf("%s: %w", step.name, err)
		}
		if err := s.Empty(); err != nil {
			return nil, err
		}
	}
	r.Took = time.Since(start)
	return r, nil
}

// step is one subject. It begins with nodes that are empty.
type step struct {
	name string
	run  func() error
}

// steps are what there is to do, in that order.
func (b *bench) steps(ctx context.Context, r *Results) []step {
	costs := []step{
		{"cost", func() (err error) { r.Costs, err = b.costs(ctx, compressed, b.Slices, off, snappy, zstd); return err }},
		{"cost below the threshold", func() (err error) { r.Untouched, err = b.costs(ctx, untouched, b.Fine, off, again, below); return err }},
	}
	if b.Only != nil {
		return costs
	}
	return append([]step{
		{"ratios", func() (err error) { r.Ratios, err = b.ratios(ctx); return err }},
		{"memory of the nodes", func() (err error) { r.Stores, err = b.stores(ctx); return err }},
		{"latency", func() (err error) { r.Latencies, err = b.latencies(ctx); return err }},
	}, costs...)
}

// some returns n values of a kind. They are the same ones each time.
func (b *bench) some(kind string, size, n int) [][]byte {
	name := fmt.Sprint(kind, size)
	values := b.values[name]
	for i := len(values); i < n; i++ {
		r := rand.New(rand.NewPCG(uint64(size), uint64(i)))
		values = append(values, maker(kind)(r, size))
	}
	b.values[name] = values
	return values[:n]
}

func maker(kind string) func(*rand.Rand, int) []byte {
	for _, k := range testvalues.Kinds {
		if k.Name == kind {
			return k.Make
		}
	}
	panic("no such kind of values") // A name in this package is wrong.
}

// keys returns the keys of n values. Those of all proxies have the same hash tags and lengths.
func keys(proxy int, kind string, size, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%d:{%s:%d:%06d}", proxy, kind, size, i)
	}
	return all
}

// fill stores n values through a proxy and reads them back.
func (b *bench) fill(ctx context.Context, p *stand.Proxy, proxy int, kind string, size, n int) error {
	names, values := keys(proxy, kind, size, n), b.some(kind, size, n)
	err := flow.Fill(ctx, p.Addr, names, values)
	if err == nil {
		err = flow.Check(ctx, p.Addr, names, values)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("fill %s: %w", p.Variant.Name, err), p.Running())
	}
	return nil
}
