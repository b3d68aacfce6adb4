package hotkey

// Counter counts the hits of keys at one place. It belongs to one goroutine.
type Counter struct{ counts *Counts }

// Hit is what is known of one use of a key when its command is sent.
type Hit struct {
	Key     []byte
	Hash    uint64 // of Key, by Hash
	Weight  int    // hits that this one stands for, see Sampler.Take; at least 1
	Now     int64  // nanoseconds on the clock of Cut
	Bytes   int    // of the request, as far as it is this key's
	Slot    uint16
	Command uint16 // number of the command, of the caller's choosing, below 65535
	Client  uint32 // number of whoever sent it, of the caller's choosing; 0: not known
	Write   bool
}

// NewCounter makes a counter, which takes 297 KiB of memory. now is a time in
// nanoseconds on any clock.
func NewCounter(now int64) *Counter {
	c := &Counter{counts: new(Counts)}
	c.counts.clear(now)
	return c
}

// Hit counts one use of a key.
func (c *Counter) Hit(h *Hit) { c.counts.hit(h) }

// Replied adds the bytes of a reply to the key that it is for; bytes includes the weight of
// the hit. False means that the key is not among those that are counted in this interval.
func (c *Counter) Replied(hash uint64, bytes int) bool {
	set, way := c.counts.find(hash)
	if way < 0 {
		return false
	}
	c.counts.entries[set*ways+way].out += uint64(bytes)
	return true
}

// Since is when the interval began.
func (c *Counter) Since() int64 { return c.counts.start }

// Hits is how many there were: the sum of the weights.
func (n *Counts) Hits() uint64 { return n.weighted }

// Clear empties the counts, so that the Cut that gets them as its spare need not.
func (n *Counts) Clear() { n.clear(n.end) }

// Cut ends an interval: it returns what was counted, and goes on with spare, whatever that
// contains, or with new memory when spare is nil.
func (c *Counter) Cut(spare *Counts, now int64) *Counts {
	if spare == nil {
		spare = new(Counts)
	}
	spare.clear(now)
	done := c.counts
	done.end = now
	c.counts = spare
	return done
}
