package rival

import (
	"math"
	"math/bits"
	"math/rand/v2"
)

// HeavyKeeper counts in a sketch: rows of cells, each with the fingerprint of one key and its
// count. A hit of another key takes one off the count with probability decay^-count, and the
// cell goes to whoever brings it to 0. A heap keeps the keys with the highest
// counts. This is the parallel version with both optimisations of the paper: a key comes
// into the heap with a count of one more than the lowest there, else the fingerprints have collided; and
// a key outside of the heap does not raise a cell above the lowest count there.
type HeavyKeeper struct {
	rows   [][]keeperCell
	decays []uint32 // threshold for 32 random bits, by count
	heap   heap
	random *rand.Rand
}

type keeperCell struct {
	fingerprint uint32
	count       uint32
}

// NewHeavyKeeper makes one with depth rows of width cells and n entries in the heap.
// decay is above 1; the paper has 1.08.
func NewHeavyKeeper(depth, width, n int, decay float64, random *rand.Rand) *HeavyKeeper {
	k := &HeavyKeeper{heap: newHeap(n), random: random}
	for range depth {
		k.rows = append(k.rows, make([]keeperCell, width))
	}
	for p := 1.0; p > 1e-9; p /= decay { // beyond that a cell does not decay
		k.decays = append(k.decays, uint32(min(p*(1<<32), math.MaxUint32)))
	}
	return k
}

// Hit counts one use of a key.
func (k *HeavyKeeper) Hit(key []byte) {
	h := hash(key)
	e := k.heap.find(h)
	limit := uint32(math.MaxUint32) // of what may be counted
	if e == nil && k.heap.full() {
		limit = uint32(k.heap.least().count)
	}
	count := k.count(h, limit)
	switch {
	case e != nil:
		if uint64(count) > e.count {
			k.heap.raise(e, uint64(count))
		}
	case !k.heap.full():
		if count > 0 {
			k.heap.enter(h, key, uint64(count), 0)
		}
	case count == limit+1:
		k.heap.enter(h, key, uint64(count), 0)
	}
}

// count counts a hit in all rows and returns the highest count of the key.
func (k *HeavyKeeper) count(hash uint64, limit uint32) (most uint32) {
	fingerprint := uint32(hash)
	mixed := hash
	for _, row := range k.rows {
		mixed = (mixed ^ mixed>>29) * 0x9e3779b97f4a7c15
		at, _ := bits.Mul64(mixed, uint64(len(row)))
		c := &row[at]
		switch {
		case c.count == 0:
			*c = keeperCell{fingerprint, 1}
			most = max(most, 1)
		case c.fingerprint == fingerprint:
			if c.count <= limit {
				c.count++
			}
			most = max(most, c.count)
		case k.decayed(c.count):
			if c.count--; c.count == 0 {
				*c = keeperCell{fingerprint, 1}
				most = max(most, 1)
			}
		}
	}
	return most
}

// decayed draws whether a cell loses one.
func (k *HeavyKeeper) decayed(count uint32) bool {
	return int(count) < len(k.decays) && k.random.Uint32() < k.decays[count]
}

// Top returns the n keys with the highest counts, highest first.
func (k *HeavyKeeper) Top(n int) []Entry { return k.heap.top(n) }
