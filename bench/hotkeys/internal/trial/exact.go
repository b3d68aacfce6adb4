package trial

import "slices"

// exact counts the hits of every key over a window of intervals.
type exact struct {
	intervals [][]uint32 // by key; the last is being filled
	window    int        // intervals
}

func newExact(keys, window int) *exact {
	return &exact{intervals: [][]uint32{make([]uint32, keys)}, window: window}
}

func (e *exact) hit(key, weight int) { e.current()[key] += uint32(weight) }

func (e *exact) current() []uint32 { return e.intervals[len(e.intervals)-1] }

// advance begins the next interval, and forgets the one that leaves the window.
func (e *exact) advance() {
	if len(e.intervals) < e.window {
		e.intervals = append(e.intervals, make([]uint32, len(e.current())))
		return
	}
	oldest := e.intervals[0]
	clear(oldest)
	e.intervals = append(slices.Delete(e.intervals, 0, 1), oldest)
}

// total is a key's hits in the window.
func (e *exact) total(key int) (sum uint64) {
	for _, interval := range e.intervals {
		sum += uint64(interval[key])
	}
	return sum
}

// last is a key's hits in the interval that is being filled.
func (e *exact) last(key int) uint64 { return uint64(e.current()[key]) }

// hits are those of all keys in the window.
func (e *exact) hits() (sum uint64) {
	for key := range e.current() {
		sum += e.total(key)
	}
	return sum
}

// ranked is a key with its count.
type ranked struct {
	key   int
	count uint64
}

// top returns the n keys with the highest counts, highest first; of equal ones that with
// the lower number.
func (e *exact) top(n int) []ranked {
	best := make([]ranked, 0, n+1)
	for key := range e.current() {
		count := e.total(key)
		if count == 0 || len(best) == n && count <= best[n-1].count {
			continue
		}
		i := len(best)
		for i > 0 && best[i-1].count < count {
			i--
		}
		best = slices.Insert(best, i, ranked{key, count})
		best = best[:min(len(best), n)]
	}
	return best
}
