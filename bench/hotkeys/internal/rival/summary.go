package rival

// StreamSummary is Space-Saving: n keys have an entry, and a key without one takes over the entry
// with the lowest count, count included. Entries of equal count are in one bucket, and
// buckets are a list in the order of their counts, so that each hit moves an entry by one
// bucket at most.
type StreamSummary struct {
	index   index
	entries []summaryEntry
	used    int
	buckets []bucket
	spare   []int32 // buckets that are free
	least   int32   // bucket with the lowest count, none if there is none
}

const none = -1

type summaryEntry struct {
	hash       uint64
	err        uint64
	prev, next int32 // in the bucket
	bucket     int32
	name       name
}

type bucket struct {
	count      uint64
	first      int32 // entry
	prev, next int32 // buckets with lower and higher counts
}

// NewStreamSummary makes one with n entries.
func NewStreamSummary(n int) *StreamSummary {
	s := &StreamSummary{
		index: newIndex(n), entries: make([]summaryEntry, n),
		buckets: make([]bucket, n+1), spare: make([]int32, n+1), least: none,
	}
	for i := range s.spare {
		s.spare[i] = int32(n - i)
	}
	return s
}

// Hit counts one use of a key.
func (s *StreamSummary) Hit(key []byte) {
	h := hash(key)
	i := int32(s.index.get(h))
	switch {
	case i >= 0:
	case s.used < len(s.entries):
		i = int32(s.used)
		s.used++
		s.enter(i, h, key, 0)
		s.entries[i].bucket = none
	default:
		i = s.buckets[s.least].first
		s.index.remove(s.entries[i].hash)
		s.enter(i, h, key, s.buckets[s.least].count)
	}
	s.raise(i)
}

// enter gives an entry to a key.
func (s *StreamSummary) enter(i int32, hash uint64, key []byte, err uint64) {
	e := &s.entries[i]
	e.hash, e.err = hash, err
	e.name.set(key)
	s.index.set(hash, int(i))
}

// raise moves an entry to the bucket whose count is higher by one.
func (s *StreamSummary) raise(i int32) {
	from := s.entries[i].bucket
	count, next := uint64(1), s.least
	if from != none {
		count, next = s.buckets[from].count+1, s.buckets[from].next
	}
	to := next
	if next == none || s.buckets[next].count != count {
		to = s.bucketBefore(next, from, count)
	}
	if from != none {
		s.leave(i, from)
	}
	s.join(i, to)
}

// bucketBefore makes a bucket between two.
func (s *StreamSummary) bucketBefore(next, prev int32, count uint64) int32 {
	b := s.spare[len(s.spare)-1]
	s.spare = s.spare[:len(s.spare)-1]
	s.buckets[b] = bucket{count: count, first: none, prev: prev, next: next}
	if next != none {
		s.buckets[next].prev = b
	}
	if prev != none {
		s.buckets[prev].next = b
	} else {
		s.least = b
	}
	return b
}

// leave takes an entry out of its bucket, and the bucket out of the list if that was its last.
func (s *StreamSummary) leave(i, b int32) {
	e, from := &s.entries[i], &s.buckets[b]
	if e.next != none {
		s.entries[e.next].prev = e.prev
	}
	if e.prev != none {
		s.entries[e.prev].next = e.next
	} else {
		from.first = e.next
	}
	if from.first != none {
		return
	}
	if from.next != none {
		s.buckets[from.next].prev = from.prev
	}
	if from.prev != none {
		s.buckets[from.prev].next = from.next
	} else {
		s.least = from.next
	}
	s.spare = append(s.spare, b)
}

func (s *StreamSummary) join(i, b int32) {
	first := s.buckets[b].first
	e := &s.entries[i]
	e.prev, e.next, e.bucket = none, first, b
	if first != none {
		s.entries[first].prev = i
	}
	s.buckets[b].first = i
}

// Top returns the n keys with the highest counts, highest first.
func (s *StreamSummary) Top(n int) []Entry {
	all := make([]Entry, 0, s.used)
	for i := range s.entries[:s.used] {
		e := &s.entries[i]
		all = append(all, Entry{e.name.get(), s.buckets[e.bucket].count, e.err})
	}
	return highest(all, n)
}
