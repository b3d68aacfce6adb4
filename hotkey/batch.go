package hotkey

// batchSize is how many hits are counted together.
const batchSize = 64

// Batch holds hits back until several of them can be counted together. That is for when
// other work between two hits takes the counter's memory out of the processor's cache: a batch waits for
// all of it once. With nothing in between it gains nothing. It belongs to one goroutine; the zero
// value is empty.
type Batch struct {
	n        int
	counters [batchSize]*Counter
	hits     [batchSize]Hit
	touched  uint32 // keeps the compiler from leaving touch out
}

// Add adds a hit and returns it, with the values of some earlier one, to be filled in at once. What its Key refers to
// must not change before Flush.
func (b *Batch) Add(c *Counter) *Hit {
	if b.n == batchSize {
		b.Flush()
	}
	b.counters[b.n] = c
	b.n++
	return &b.hits[b.n-1]
}

// Flush counts all hits.
func (b *Batch) Flush() {
	if b.n > 1 {
		for i := range b.n {
			b.touched += b.counters[i].counts.touch(&b.hits[i])
		}
	}
	for i := range b.n {
		h := &b.hits[i]
		b.counters[i].counts.hit(h)
		h.Key = nil
	}
	b.n = 0
}
