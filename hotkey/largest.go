package hotkey

import (
	"slices"
	"time"
)

const (
	// LargestKept is how many of the largest values are kept.
	LargestKept = 16
	// LargestMin is the size in bytes from which a value is of interest.
	LargestMin = 1 << 10
	// largestFor is how long a value is listed after it was last seen.
	largestFor = time.Hour
)

// Largest keeps the largest values that one goroutine has seen, one for each key. The
// zero value is empty.
type Largest struct {
	values [LargestKept]largeValue
	n      int
	least  int // size of the smallest when all places are taken
}

type largeValue struct {
	hash    uint64
	seen    int64
	size    int
	length  int
	command uint16
	slot    uint16
	key     [KeyMax]byte
}

// From is the size from which a value belongs to the largest.
func (l *Largest) From() int { return max(LargestMin, l.least+1) }

// Size is that of the largest value, 0 if there is none.
func (l *Largest) Size() (size int) {
	for i := range l.values[:l.n] {
		size = max(size, l.values[i].size)
	}
	return size
}

// Offer enters a value, if it is large enough. now is in nanoseconds on any clock.
func (l *Largest) Offer(key []byte, hash uint64, slot, command uint16, size int, now int64) {
	if size < l.From() {
		return
	}
	v := l.place(hash, size)
	if v == nil {
		return
	}
	*v = largeValue{hash: hash, seen: now, size: size, length: len(key), command: command, slot: slot}
	copy(v.key[:], key)
	l.least = 0
	if l.n == LargestKept {
		l.least = l.smallest().size
	}
}

// place returns where a value goes: to what is there of its key already unless that is
// larger, to a free place, or to that of the smallest.
func (l *Largest) place(hash uint64, size int) *largeValue {
	for i := range l.values[:l.n] {
		if v := &l.values[i]; v.hash == hash {
			if v.size > size {
				return nil
			}
			return v
		}
	}
	if l.n < LargestKept {
		l.n++
		return &l.values[l.n-1]
	}
	return l.smallest()
}

func (l *Largest) smallest() *largeValue {
	least := &l.values[0]
	for i := range l.values[1:l.n] {
		if v := &l.values[1+i]; v.size < least.size {
			least = v
		}
	}
	return least
}

// Clear empties the list.
func (l *Largest) Clear() { l.n, l.least = 0, 0 }

// Value is one of the largest values in a [Report]. A key is listed once, with the largest
// value of the last hour.
type Value struct {
	Key     Name      `json:"key"`
	Length  int       `json:"key_length"` // of the key, which Key may be the beginning of
	Command string    `json:"command"`    // that moved it
	Size    int       `json:"size"`       // bytes
	Slot    int       `json:"slot"`
	Seen    time.Time `json:"seen"`
	hash    uint64

	superseded bool // a larger one of the same key is listed
}

// addValues merges what a goroutine has seen into what is known. Of a key that is known
// with a larger value the last one is kept as well, for when that is too old.
func (c *Collector) addValues(l *Largest, clock clock) {
	for i := range l.values[:l.n] {
		v := &l.values[i]
		value := Value{
			Key: nameOf(v.key[:min(v.length, KeyMax)], v.length), Length: v.length, Command: c.o.CommandName(v.command),
			Size: v.size, Slot: int(v.slot), Seen: clock.wall(v.seen), hash: v.hash,
		}
		c.adoptValue(&value)
		c.values = slices.DeleteFunc(c.values, func(o Value) bool {
			return o.hash == v.hash && (o.Size <= v.size || o.superseded)
		})
		for i := range c.values {
			value.superseded = value.superseded || c.values[i].hash == v.hash
		}
		c.values = append(c.values, value)
	}
}

// pruneValues forgets old ones, and all but the largest.
func (c *Collector) pruneValues(now time.Time) {
	c.values = slices.DeleteFunc(c.values, func(v Value) bool { return now.Sub(v.Seen) > largestFor })
	slices.SortStableFunc(c.values, func(a, b Value) int { return compare(b.Size, a.Size) })
	listed := make(map[uint64]bool)
	kept := c.values[:0]
	for _, v := range c.values {
		v.superseded = listed[v.hash]
		if v.superseded || len(listed) < LargestKept {
			listed[v.hash] = true
			kept = append(kept, v)
		}
	}
	clear(c.values[len(kept):])
	c.values = kept
}

// largestValues are those to be listed, one for each key.
func (c *Collector) largestValues() []Value {
	return slices.DeleteFunc(slices.Clone(c.values), func(v Value) bool { return v.superseded })
}
