package trial

import (
	"context"
	"errors"
	"fmt"

	"samaritan/bench/compression/internal/flow"
	"samaritan/bench/compression/internal/stand"
	"samaritan/bench/internal/child"
)

// Store is what so many values take.
type Store struct {
	Kind  string
	Size  int              // bytes of each value
	Count int              // of values
	Kept  map[string]Taken // by the proxy's name
}

// Taken is what the values of a [Store] take in the nodes, and on the way to them and back.
type Taken struct {
	Memory   int64   // used_memory of all nodes, less that of empty ones
	Sent     float64 // bytes to the nodes for each SET
	Received float64 // bytes from the nodes for each GET
}

// stored are the values of which the memory is measured.
var stored = []struct {
	kind string
	size int
}{{"json", 1 << 10}, {"json", 16 << 10}, {"json", 64 << 10}, {"html", 16 << 10}, {"session", 4 << 10}, {"random", 16 << 10}}

func (b *bench) stores(ctx context.Context) ([]Store, error) {
	variants := []stand.Variant{off, snappy, zstd}
	proxies, killAll, err := child.StartAll(ctx, variants, b.stand.Proxy)
	defer killAll()
	if err != nil {
		return nil, err
	}
	var all []Store
	for _, v := range stored {
		s := Store{Kind: v.kind, Size: v.size, Count: b.Store / v.size, Kept: map[string]Taken{}}
		for _, p := range proxies {
			if s.Kept[p.Variant.Name], err = b.store(ctx, p, s); err != nil {
				return nil, errors.Join(fmt.Errorf("%s: %w", p.Variant.Name, err), p.Running())
			}
		}
		delete(b.values, fmt.Sprint(v.kind, v.size)) // So many are not needed again.
		all = append(all, s)
	}
	return all, nil
}

// store fills empty nodes and reads everything back.
func (b *bench) store(ctx context.Context, p *stand.Proxy, s Store) (t Taken, err error) {
	names, values := keys(0, s.Kind, s.Size, s.Count), b.some(s.Kind, s.Size, s.Count)
	if err := b.stand.Empty(); err != nil {
		return t, err
	}
	empty, err := b.stand.Memory()
	if err != nil {
		return t, err
	}
	fill, err := wire(ctx, p, func() error { return flow.Fill(ctx, p.Addr, names, values) })
	if err != nil {
		return t, err
	}
	full, err := b.stand.Memory()
	if err != nil {
		return t, err
	}
	check, err := wire(ctx, p, func() error { return flow.Check(ctx, p.Addr, names, values) })
	perRequest := 1 / float64(s.Count)
	return Taken{Memory: full - empty, Sent: fill.Sent * perRequest, Received: check.Received * perRequest}, err
}

// wire returns what went between a proxy and the nodes while something was done.
func wire(ctx context.Context, p *stand.Proxy, do func() error) (stand.Wire, error) {
	before, err1 := p.Wire(ctx)
	err2 := do()
	after, err3 := p.Wire(ctx)
	return stand.Wire{Sent: after.Sent - before.Sent, Received: after.Received - before.Received}, errors.Join(err1, err2, err3)
}
