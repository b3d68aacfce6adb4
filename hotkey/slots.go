package hotkey

import "slices"

// SlotCount is how many hash slots a cluster has.
const SlotCount = 16384

// Slots counts the requests of one goroutine by hash slot.
type Slots struct {
	used  bool
	slots [SlotCount]slotCount
}

type slotCount struct {
	requests, writes uint32
	bytes            uint64
}

// Request counts a request. bytes is its size.
func (s *Slots) Request(slot uint16, write bool, bytes, weight int) {
	s.used = true
	c := &s.slots[slot%SlotCount]
	add(&c.requests, uint32(weight))
	if write {
		add(&c.writes, uint32(weight))
	}
	c.bytes += uint64(bytes) * uint64(weight)
}

// Replied adds the size of a reply. bytes includes the weight.
func (s *Slots) Replied(slot uint16, bytes int) {
	s.used = true // the request may have been in an interval before
	s.slots[slot%SlotCount].bytes += uint64(bytes)
}

// Clear empties the counts.
func (s *Slots) Clear() {
	if s.used {
		*s = Slots{}
	}
}

// Slot is a hash slot in a [Report], with what went to it in the last interval.
type Slot struct {
	Slot     int     `json:"slot"`
	Node     string  `json:"node,omitempty"` // whom it belongs to; left to whoever shows the report
	Requests uint64  `json:"requests"`
	Writes   uint64  `json:"writes"`
	Bytes    uint64  `json:"bytes"` // of requests and replies
	QPS      float64 `json:"qps"`
}

// slotSums adds up what several goroutines have counted.
type slotSums [SlotCount]struct{ requests, writes, bytes uint64 }

func (t *slotSums) add(s *Slots) {
	if !s.used {
		return
	}
	for i := range s.slots {
		t[i].requests += uint64(s.slots[i].requests)
		t[i].writes += uint64(s.slots[i].writes)
		t[i].bytes += s.slots[i].bytes
	}
}

// top returns the n slots with the most requests, or bytes, and only those that have
// some.
func (t *slotSums) top(n int, seconds float64, byBytes bool) []Slot {
	best := make([]Slot, 0, n+1)
	for i := range t {
		have := t[i].requests
		if byBytes {
			have = t[i].bytes
		}
		if have == 0 || len(best) == n && have <= best[n-1].weight(byBytes) {
			continue
		}
		at := len(best)
		for at > 0 && best[at-1].weight(byBytes) < have {
			at--
		}
		best = slices.Insert(best, at, Slot{
			Slot: i, Requests: t[i].requests, Writes: t[i].writes, Bytes: t[i].bytes, QPS: float64(t[i].requests) / seconds,
		})
		best = best[:min(n, len(best))]
	}
	return best
}

func (s *Slot) weight(byBytes bool) uint64 {
	if byBytes {
		return s.Bytes
	}
	return s.Requests
}
