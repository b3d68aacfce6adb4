package hotkey

import (
	"encoding/json"
	"fmt"
	"time"
)

// Export encodes all that is known, for [Collector.Import] in another process: the keys
// with their counts in each interval of the window and their heat, the largest values, and
// the report that is published. The interval that is being filled goes along as far as it
// is; what the counters hold has to be brought in by Add before.
func (c *Collector) Export() ([]byte, error) {
	c.mu.Lock()
	s := c.save()
	c.mu.Unlock()
	data, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("export hot keys: %w", err)
	}
	return data, nil
}

// save forgets keys that are not worth remembering, as the end of the interval would.
func (c *Collector) save() *saved {
	c.pruneValues(time.Time{}) // by size: none is too old then
	s := &saved{Format: savedFormat, Version: savedVersion, Report: saveReport(c.report.Load())}
	for _, i := range c.intervals {
		s.Intervals = append(s.Intervals, i.save())
	}
	for _, t := range c.rank() {
		s.Keys = append(s.Keys, c.saveKey(t))
	}
	for i, n := range c.intervals { // rank may have changed it
		s.Intervals[i].Forgotten = n.forgotten
	}
	for i, n := range c.slots {
		if n.requests > 0 || n.bytes > 0 {
			s.Slots = append(s.Slots, savedSlot{Slot: i, Requests: n.requests, Writes: n.writes, Bytes: n.bytes})
		}
	}
	s.Values = saveValues(c.values[:min(len(c.values), 2*LargestKept)])
	return s
}

func (i *interval) save() savedInterval {
	s := savedInterval{Start: i.start, End: i.end, Sampled: i.sampled, Weighted: i.weighted}
	for name, p := range i.places {
		s.Places = append(s.Places, savedPlace{Name: name, Hits: p.hits, Floor: p.floor})
	}
	return s
}

func (c *Collector) saveKey(t *tracked) savedKey {
	k := savedKey{
		Name: t.name, Length: t.length, Node: t.node, Slot: t.slot, Heat: t.heat, Halved: t.halved,
		First: t.first, Last: t.last, Peak: t.peak, Counts: make([]savedCount, len(t.counts)),
	}
	for i := range t.counts {
		k.Counts[i] = c.saveCount(&t.counts[i])
	}
	return k
}

func (c *Collector) saveCount(n *keyCount) savedCount {
	s := savedCount{
		Count: n.count, Error: n.err, Reads: n.reads, Writes: n.writes, In: n.in, Out: n.out, Variance: n.chance,
	}
	for _, p := range n.places {
		s.Places = append(s.Places, savedPlace{Name: p.name, Hits: p.count, Floor: p.floor})
	}
	for _, e := range n.commands {
		s.Commands = append(s.Commands, Part{Name: c.o.CommandName(uint16(e.number - 1)), Hits: e.hits})
	}
	for _, e := range n.clients {
		s.Clients = append(s.Clients, Part{Name: c.o.ClientName(e.number), Hits: e.hits})
	}
	return s
}

func saveValues(values []Value) (all []savedValue) {
	for _, v := range values {
		all = append(all, savedValue{Raw: v.Key, Value: v})
	}
	return all
}

func saveReport(r *Report) savedReport {
	s := savedReport{
		Time: r.Time, Interval: r.Interval, Window: r.Window, Hits: r.Hits, QPS: r.QPS, SampleRate: r.SampleRate,
		Tracked: r.Tracked, SlotsByRequests: r.SlotsByRequests, SlotsByBytes: r.SlotsByBytes, Values: saveValues(r.Values),
	}
	for _, k := range r.Keys {
		s.Keys = append(s.Keys, savedListed{Raw: k.Name, Key: k})
	}
	return s
}
