package hotkey

import (
	"fmt"
	"strconv"
)

// Import takes what [Collector.Export] has returned in another process, in the place of
// all that the collector knows. The report of that process is published at once; the
// interval that it had begun goes on, and ends with the next Merge. With an error nothing
// has changed.
//
// Keys are found again by their names. Of a key of more than KeyMax bytes only the
// beginning is known: it is taken for the same as the next one that begins like it, is as
// long, and is in the same slot.
func (c *Collector) Import(data []byte) error {
	s, err := decodeSaved(data)
	if err != nil {
		return fmt.Errorf("import hot keys: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	keys := make(map[uint64]*tracked, len(s.Keys))
	for i := range s.Keys {
		t := c.loadKey(&s.Keys[i])
		keys[t.hash] = t
	}
	c.reset()
	c.keys, c.foreign = keys, true
	c.intervals = nil
	for i := range s.Intervals {
		c.intervals = append(c.intervals, s.Intervals[i].load())
	}
	for _, n := range s.Slots {
		at := &c.slots[n.Slot]
		at.requests, at.writes, at.bytes = n.Requests, n.Writes, n.Bytes
	}
	c.values = loadValues(s.Values)
	c.report.Store(s.Report.load())
	return nil
}

// hashOfSaved is the hash of a key, or what stands for it when the key is not known whole.
func hashOfSaved(name []byte, length, slot int) uint64 {
	if length <= KeyMax {
		return Hash(name)
	}
	id := append(append([]byte{}, name...), 0)
	id = strconv.AppendInt(id, int64(length), 10)
	id = strconv.AppendInt(append(id, 0), int64(slot), 10)
	return Hash(id)
}

// adopt finds a long key that came by Import, now that its hash is known.
func (c *Collector) adopt(e *entry) *tracked {
	if !c.foreign || e.length <= KeyMax {
		return nil
	}
	was := hashOfSaved(nameOf(e.name(), int(e.length)), int(e.length), int(e.slot))
	t := c.keys[was]
	if t == nil {
		return nil
	}
	delete(c.keys, was)
	t.hash = e.hash
	c.keys[e.hash] = t
	return t
}

// adoptValue does the same for the largest values.
func (c *Collector) adoptValue(v *Value) {
	if !c.foreign || v.Length <= KeyMax {
		return
	}
	was := hashOfSaved(v.Key, v.Length, v.Slot)
	for i := range c.values {
		if c.values[i].hash == was {
			c.values[i].hash = v.hash
		}
	}
}

func (s *savedInterval) load() *interval {
	i := newInterval()
	i.start, i.end, i.sampled, i.weighted, i.forgotten = s.Start, s.End, s.Sampled, s.Weighted, s.Forgotten
	for _, p := range s.Places {
		i.places[p.Name] = &place{hits: p.Hits, floor: p.Floor}
	}
	return i
}

func (c *Collector) loadKey(k *savedKey) *tracked {
	t := &tracked{
		hash: k.hash(), name: k.Name, length: k.Length, node: k.Node, slot: k.Slot, heat: k.Heat, halved: k.Halved,
		first: k.First, last: k.Last, peak: k.Peak, counts: make([]keyCount, len(k.Counts)),
	}
	for i := range k.Counts {
		t.counts[i] = c.loadCount(&k.Counts[i])
	}
	return t
}

func (c *Collector) loadCount(s *savedCount) keyCount {
	n := keyCount{
		count: s.Count, err: s.Error, reads: s.Reads, writes: s.Writes, in: s.In, out: s.Out, chance: s.Variance,
	}
	for _, p := range s.Places {
		n.places = append(n.places, keyPlace{name: p.Name, count: p.Hits, floor: p.Floor})
	}
	for _, p := range s.Commands {
		if number, ok := c.o.CommandNumber(p.Name); ok {
			n.commands = addNumbered(n.commands, numberedSum{uint32(number) + 1, p.Hits})
		}
	}
	for _, p := range s.Clients {
		n.clients = addNumbered(n.clients, numberedSum{c.o.ClientNumber(p.Name), p.Hits})
	}
	return n
}

func loadValues(saved []savedValue) (all []Value) {
	for _, s := range saved {
		v := s.Value
		v.Key, v.hash = s.Raw, hashOfSaved(s.Raw, v.Length, v.Slot)
		all = append(all, v)
	}
	return all
}

func (s *savedReport) load() *Report {
	r := &Report{
		Time: s.Time, Interval: s.Interval, Window: s.Window, Hits: s.Hits, QPS: s.QPS, SampleRate: s.SampleRate,
		Tracked: s.Tracked, SlotsByRequests: s.SlotsByRequests, SlotsByBytes: s.SlotsByBytes, Values: loadValues(s.Values),
	}
	for _, l := range s.Keys {
		k := l.Key
		k.Name, k.Hash = l.Raw, hashText(hashOfSaved(l.Raw, k.Length, k.Slot))
		r.Keys = append(r.Keys, k)
	}
	return r
}
