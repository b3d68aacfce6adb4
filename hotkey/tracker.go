package hotkey

import (
	"math"
	"math/rand/v2"
)

// Cost is what a request takes of a processor, in units of CostUnit: one for each
// request and one for each 4 KiB that it moves, pro rata. It is a model, not a
// measurement: a clock around each request would cost more than most requests do.
// Measured time of a processor is shared out in the proportion of these costs.
func Cost(bytes uint64) uint64 { return CostUnit + bytes*(CostUnit/(4<<10)) }

// CostUnit is the cost of a request that moves nothing. It is large, so that the cost
// of one request can be divided among thousands of keys.
const CostUnit = 1 << 16

// SlotSet is a set of hash slots.
type SlotSet [SlotCount / 64]uint64

// Add puts a slot in, 0 to SlotCount-1. False means that it was there already.
func (s *SlotSet) Add(slot int) bool {
	if s.Has(slot) {
		return false
	}
	s[slot/64] |= 1 << (slot % 64)
	return true
}

// Has tells whether a slot, 0 to SlotCount-1, is in the set.
func (s *SlotSet) Has(slot int) bool { return s[slot/64]&(1<<(slot%64)) != 0 }

// Ranges returns the set as runs of slots, both ends included, in ascending order.
func (s *SlotSet) Ranges() [][2]int {
	var all [][2]int
	for slot := range SlotCount {
		switch n := len(all); {
		case !s.Has(slot):
		case n > 0 && all[n-1][1] == slot-1:
			all[n-1][1] = slot
		default:
			all = append(all, [2]int{slot, slot})
		}
	}
	return all
}

// TrackerOptions say what a session is to find out.
type TrackerOptions struct {
	// ByCost and ByBytes are the measures that keys are ranked by.
	ByCost, ByBytes bool
	// Sample is the ratio: the keys of one request in Sample are looked at. 0 and 1 mean all.
	Sample uint64
	// Slots limits the session to keys in these slots; nil means all. It must not change
	// any more.
	Slots *SlotSet
}

// Usage is what a number of requests took.
type Usage struct {
	Requests uint64
	Bytes    uint64 // of requests and replies
	Cost     uint64 // see the function of that name
}

func (u *Usage) add(o Usage) {
	u.Requests += o.Requests
	u.Bytes += o.Bytes
	u.Cost += o.Cost
}

// Tracker finds the keys that most of the bytes, or most of the cost, went to, from the
// moment it is made: for a session that somebody has asked for, unlike a Counter, which
// counts hits all the time. It belongs to one goroutine; several are merged with
// MergeTrackers.
//
// Each measure has a table of 1024 keys after the Space-Saving algorithm (Metwally,
// Agrawal, El Abbadi: Efficient Computation of Frequent and Top-k Elements in Data
// Streams, 2005) with weights, cut into sets of 8 as a processor's cache is, so that a
// hit costs one short search. A tracker is of a fixed size and allocates nothing after
// it was made.
type Tracker struct {
	o        TrackerOptions
	all      Usage // of all requests
	selected Usage // of those in selected slots
	sampled  Usage // of those, the ones that were looked at
	byCost   *trackTable
	byBytes  *trackTable
	skip     uint64 // requests to be left out before the next
	scale    float64
}

// NewTracker makes an empty tracker.
func NewTracker(o TrackerOptions) *Tracker {
	t := &Tracker{o: o}
	t.o.Sample = max(o.Sample, 1)
	if o.ByCost {
		t.byCost = new(trackTable)
	}
	if o.ByBytes {
		t.byBytes = new(trackTable)
	}
	if t.o.Sample > 1 {
		t.scale = -1 / math.Log1p(-1/float64(t.o.Sample))
		t.draw()
	}
	return t
}

// draw chooses how many requests to leave out: a geometric variate, so that each
// request is looked at with the same chance, whatever the pattern they come in.
func (t *Tracker) draw() { t.skip = uint64(rand.ExpFloat64() * t.scale) }

// Request counts a request that has its reply. slot is that of its keys, -1 when it has
// none; bytes is the size of both. True means that its keys are to be told, with Key.
func (t *Tracker) Request(slot int, bytes uint64) bool {
	u := Usage{Requests: 1, Bytes: bytes, Cost: Cost(bytes)}
	t.all.add(u)
	if t.o.Slots != nil && (slot < 0 || !t.o.Slots.Has(slot)) {
		return false
	}
	t.selected.add(u)
	if t.skip > 0 {
		t.skip--
		return false
	}
	if t.o.Sample > 1 {
		t.draw()
	}
	t.sampled.add(u)
	return slot >= 0
}

// Key counts one key of a request that Request has returned true for, with its share of
// the request's bytes and of their Cost.
func (t *Tracker) Key(key []byte, bytes, cost uint64) {
	hash := Hash(key)
	if t.byCost != nil {
		t.byCost.hit(hash, key, cost)
	}
	if t.byBytes != nil {
		t.byBytes.hit(hash, key, bytes)
	}
}

// Clone copies a tracker, so that another goroutine can read it.
func (t *Tracker) Clone() *Tracker {
	c := *t
	if t.byCost != nil {
		table := *t.byCost
		c.byCost = &table
	}
	if t.byBytes != nil {
		table := *t.byBytes
		c.byBytes = &table
	}
	return &c
}
