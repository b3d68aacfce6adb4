package rival

import (
	"cmp"
	"slices"
)

// heap keeps entries with the lowest count on top, and knows where each is.
type heap struct {
	index   index
	entries []heapEntry
	order   []int32 // entries, as a heap
}

type heapEntry struct {
	hash  uint64
	count uint64
	err   uint64
	at    int32 // in order
	name  name
}

func newHeap(n int) heap {
	return heap{index: newIndex(n), entries: make([]heapEntry, 0, n), order: make([]int32, 0, n)}
}

func (h *heap) full() bool { return len(h.entries) == cap(h.entries) }

// least is the entry with the lowest count.
func (h *heap) least() *heapEntry { return &h.entries[h.order[0]] }

// find returns the entry of a hash, nil if it has none.
func (h *heap) find(hash uint64) *heapEntry {
	i := h.index.get(hash)
	if i < 0 {
		return nil
	}
	return &h.entries[i]
}

// enter gives a key an entry, that of the lowest count if all are taken.
func (h *heap) enter(hash uint64, key []byte, count, err uint64) {
	if h.full() {
		e := h.least()
		h.index.remove(e.hash)
		h.index.set(hash, int(h.order[0]))
		e.hash, e.err = hash, err
		e.name.set(key)
		h.raise(e, count)
		return
	}
	i := len(h.entries)
	h.entries = append(h.entries, heapEntry{hash: hash, count: count, err: err, at: int32(i)})
	h.entries[i].name.set(key)
	h.order = append(h.order, int32(i))
	h.index.set(hash, i)
	h.up(i)
}

// raise gives an entry a higher count.
func (h *heap) raise(e *heapEntry, count uint64) {
	e.count = count
	h.down(int(e.at))
}

func (h *heap) up(at int) {
	for at > 0 && h.count(at) < h.count((at-1)/2) {
		h.swap(at, (at-1)/2)
		at = (at - 1) / 2
	}
}

func (h *heap) down(at int) {
	for {
		child := 2*at + 1
		if child >= len(h.order) {
			return
		}
		if child+1 < len(h.order) && h.count(child+1) < h.count(child) {
			child++
		}
		if h.count(at) <= h.count(child) {
			return
		}
		h.swap(at, child)
		at = child
	}
}

func (h *heap) count(at int) uint64 { return h.entries[h.order[at]].count }

func (h *heap) swap(a, b int) {
	h.order[a], h.order[b] = h.order[b], h.order[a]
	h.entries[h.order[a]].at, h.entries[h.order[b]].at = int32(a), int32(b)
}

func (h *heap) top(n int) []Entry {
	all := make([]Entry, 0, len(h.entries))
	for i := range h.entries {
		e := &h.entries[i]
		all = append(all, Entry{e.name.get(), e.count, e.err})
	}
	return highest(all, n)
}

// highest sorts entries and returns the first n.
func highest(all []Entry, n int) []Entry {
	slices.SortStableFunc(all, func(a, b Entry) int { return cmp.Compare(b.Count, a.Count) })
	return all[:min(n, len(all))]
}

// MinHeap is Space-Saving as [StreamSummary] is, with the entries in a heap.
type MinHeap struct{ heap heap }

// NewMinHeap makes one with n entries.
func NewMinHeap(n int) *MinHeap { return &MinHeap{newHeap(n)} }

// Hit counts one use of a key.
func (m *MinHeap) Hit(key []byte) {
	h := hash(key)
	switch e := m.heap.find(h); {
	case e != nil:
		m.heap.raise(e, e.count+1)
	case m.heap.full():
		least := m.heap.least().count
		m.heap.enter(h, key, least+1, least)
	default:
		m.heap.enter(h, key, 1, 0)
	}
}

// Top returns the n keys with the highest counts, highest first.
func (m *MinHeap) Top(n int) []Entry { return m.heap.top(n) }
