package trial

import (
	"context"
	"fmt"

	"samaritan/bench/compression/internal/flow"
	"samaritan/bench/compression/internal/stand"
	"samaritan/bench/internal/child"
	"samaritan/internal/testvalues"
)

// RatioSizes are the sizes of values whose ratios are measured, in bytes.
var RatioSizes = []int{1 << 10, 4 << 10, 16 << 10, 64 << 10}

// Ratio is how many times smaller Redis keeps values, on average over all bytes.
type Ratio struct {
	Kind         string
	Size         int // bytes of each value
	Snappy, Zstd float64
}

func (b *bench) ratios(ctx context.Context) ([]Ratio, error) {
	proxies, killAll, err := child.StartAll(ctx, []stand.Variant{snappy, zstd}, b.stand.Proxy)
	defer killAll()
	if err != nil {
		return nil, err
	}
	var all []Ratio
	for _, k := range testvalues.Kinds {
		for _, size := range RatioSizes {
			r := Ratio{Kind: k.Name, Size: size}
			if r.Snappy, err = b.ratio(ctx, proxies[0], k.Name, size); err != nil {
				return nil, err
			}
			if r.Zstd, err = b.ratio(ctx, proxies[1], k.Name, size); err != nil {
				return nil, err
			}
			all = append(all, r)
		}
	}
	return all, nil
}

// ratio stores values under keys of one slot, and asks the node for their lengths.
func (b *bench) ratio(ctx context.Context, p *stand.Proxy, kind string, size int) (float64, error) {
	const tag = "{ratio}"
	node, err := b.stand.Owner(tag)
	if err != nil {
		return 0, err
	}
	names, values := keys(0, kind, size, b.Values), b.some(kind, size, b.Values)
	for i := range names {
		names[i] = tag + names[i]
	}
	if err := flow.Fill(ctx, p.Addr, names, values); err != nil {
		return 0, err
	}
	if err := flow.Check(ctx, p.Addr, names, values); err != nil {
		return 0, err
	}
	stored := int64(0)
	for _, name := range names {
		reply, err := node.Do("STRLEN", name)
		if err != nil {
			return 0, err
		}
		n, ok := reply.(int64)
		if !ok || n <= 0 {
			return 0, fmt.Errorf("%w: STRLEN %s: %v", flow.ErrReply, name, reply)
		}
		stored += n
	}
	return float64(size*len(names)) / float64(stored), nil
}
