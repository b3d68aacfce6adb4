package trial

import (
	"fmt"

	"samaritan/bench/compression/internal/flow"
)

// Load is what clients do.
type Load struct {
	Name   string // of the requests
	Kind   string // of values
	Size   int    // bytes of each value
	Flow   flow.Options
	Keys   int // of each request, for MGET
	Get    bool
	Set    bool    // with Get: one of each in turns
	Limit  float64 // most CPU time that a request may take, as a multiple of what it takes with off; 0: any
	Judged string  // the proxy that the limit is for
}

// Usual connections.
var (
	single    = flow.Options{Connections: 50, Pipeline: 1}
	pipelined = flow.Options{Connections: 50, Pipeline: 16}
)

// Limits of CPU time.
const (
	limitSnappy = 2.2  // GET and SET of 16 KiB
	limitBelow  = 1.02 // of values that are not compressed
)

// compressed are loads of values above the threshold.
var compressed = func() (all []Load) {
	for _, size := range []int{1 << 10, 4 << 10, 16 << 10, 64 << 10} {
		all = append(
			all,
			Load{Name: "GET", Kind: "json", Size: size, Flow: single, Get: true},
			Load{Name: "SET", Kind: "json", Size: size, Flow: single, Set: true},
			Load{Name: "GET and SET", Kind: "json", Size: size, Flow: single, Get: true, Set: true},
		)
	}
	for i := range all {
		if all[i].Get && all[i].Set && all[i].Size == 16<<10 {
			all[i].Limit, all[i].Judged = limitSnappy, Snappy
		}
	}
	return append(all, Load{Name: "GET and SET", Kind: "random", Size: 16 << 10, Flow: single, Get: true, Set: true})
}()

// untouched are loads of values that no proxy compresses.
var untouched = func() []Load {
	all := []Load{
		{Name: "GET", Kind: "json", Size: 64, Flow: single, Get: true},
		{Name: "SET", Kind: "json", Size: 64, Flow: single, Set: true},
		{Name: "GET, pipeline 16", Kind: "json", Size: 64, Flow: pipelined, Get: true},
		{Name: "SET, pipeline 16", Kind: "json", Size: 64, Flow: pipelined, Set: true},
		{Name: "MGET of 100", Kind: "json", Size: 64, Flow: single, Keys: 100},
	}
	for _, size := range []int{1 << 10, 4 << 10, 16 << 10, 64 << 10} {
		all = append(all, Load{Name: "GET and SET", Kind: "json", Size: size, Flow: single, Get: true, Set: true})
	}
	for i := range all {
		all[i].Limit, all[i].Judged = limitBelow, Below
	}
	return all
}()

// String names the load.
func (l Load) String() string { return fmt.Sprintf("%s, %s %s", l.Name, Bytes(l.Size), l.Kind) }

// Bytes formats a size.
func Bytes(n int) string {
	if n >= 1<<10 && n%(1<<10) == 0 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

// count is how many values the load goes through.
func (b *bench) count(l Load) int { return max(l.Keys, min(1000, b.Set/l.Size)) }

// exchanges are the requests of a load through one proxy.
func (b *bench) exchanges(l Load, proxy int) []flow.Exchange {
	n := b.count(l)
	names, values := keys(proxy, l.Kind, l.Size, n), b.some(l.Kind, l.Size, n)
	var all []flow.Exchange
	for i := range n {
		if l.Keys > 0 {
			some := make([]string, l.Keys)
			for k := range some {
				some[k] = names[(i+k)%n]
			}
			all = append(all, flow.MGet(some, l.Size))
		}
		if l.Get {
			all = append(all, flow.Get(names[i], values[i]))
		}
		if l.Set {
			// The other half of the keys, so that what is read is not what was just written.
			j := (i + n/2) % n
			all = append(all, flow.Set(names[j], values[j]))
		}
	}
	return all
}
