package hotkey

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// build makes the report.
func (c *Collector) build(ranked []*tracked, now time.Time) *Report {
	at := c.current()
	seconds := c.seconds(at)
	r := &Report{
		Time: now, Interval: at.length(),
		QPS: float64(at.weighted) / seconds, SampleRate: 1, Tracked: len(ranked), Values: c.largestValues(),
		SlotsByRequests: c.slots.top(slotsListed, seconds, false),
		SlotsByBytes:    c.slots.top(slotsListed, seconds, true),
	}
	for _, i := range c.intervals {
		r.Hits += i.weighted
		r.Window += i.length()
	}
	if at.weighted > 0 {
		r.SampleRate = float64(at.sampled) / float64(at.weighted)
	}
	ranked = ranked[:min(len(ranked), c.o.Capacity)]
	r.Keys = make([]Key, len(ranked))
	for i, t := range ranked {
		r.Keys[i] = c.show(t, r)
	}
	return r
}

// show adds up the intervals of a key.
func (c *Collector) show(t *tracked, r *Report) Key {
	k := Key{
		Name: t.name, Length: t.length, Hash: hashText(t.hash), Slot: int(t.slot), Heat: t.heat, Peak: t.peak,
		FirstSeen: t.first, LastSeen: t.last,
		QPS: float64(t.counts[len(t.counts)-1].count) / c.seconds(c.current()),
	}
	var commands, clients []numberedSum
	var variance float64
	for i := range t.counts {
		n := &t.counts[i]
		k.Count += n.count
		k.Error += n.err
		k.Reads += n.reads
		k.Writes += n.writes
		k.BytesIn += n.in
		k.BytesOut += n.out
		for _, e := range n.commands {
			commands = addNumbered(commands, e)
		}
		for _, e := range n.clients {
			clients = addNumbered(clients, e)
		}
		variance += n.chance
	}
	k.SamplingError = uint64(math.Ceil(2 * math.Sqrt(variance)))
	k.Commands = parts(commands, func(n uint32) string { return c.o.CommandName(uint16(n - 1)) })
	k.Clients = parts(clients, c.o.ClientName)
	k.Share = share(k.Count, r.Hits)
	c.locate(t, &k)
	return k
}

// locate finds where the key is, and what may have been missed at the places where it
// was seen.
func (c *Collector) locate(t *tracked, k *Key) {
	hits := make(map[string]uint64)
	for i := range t.counts {
		for _, p := range t.counts[i].places {
			hits[p.name] += p.count
		}
	}
	seen := func(place string) bool { return hits[place] > 0 }
	var most, all uint64
	for name, n := range hits {
		if n > most || n == most && name < k.Node {
			k.Node, most = name, n
		}
	}
	for i, at := range c.intervals {
		missed := at.missed(&t.counts[i], seen)
		if t.counts[i].count == 0 {
			missed = max(missed, at.forgotten)
		}
		k.Error += missed
		if p := at.places[k.Node]; p != nil {
			all += p.hits
		}
	}
	if k.Node == "" {
		k.Node = t.node
	}
	t.node = k.Node
	k.NodeShare = share(most, all)
}

func share(part, whole uint64) float64 {
	if whole == 0 {
		return 0
	}
	return min(1, float64(part)/float64(whole))
}

// parts names and sorts the shares of a key.
func parts(list []numberedSum, name func(uint32) string) []Part {
	all := make([]Part, 0, len(list))
	for _, e := range list {
		all = append(all, Part{Name: name(e.number), Hits: e.hits})
	}
	slices.SortFunc(all, func(a, b Part) int { return cmp.Or(compare(b.Hits, a.Hits), compare(a.Name, b.Name)) })
	return slices.Clip(all[:min(len(all), partsOfAKey)])
}
