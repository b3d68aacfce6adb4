package hotkey

import "math"

const (
	ways       = 8   // entries of a set
	sets       = 128 // of a Counts
	entries    = sets * ways
	cellsOfSet = 64 // of the filter
	cells      = sets * cellsOfSet

	topCommands = 4 // kept for each key
	topClients  = 3
)

// Counts is what a [Counter] has counted in one interval. Its memory is used again for
// another one.
//
// The hash of a key chooses a set, and in it a key has an entry or it has none. A key
// without one counts in a cell of the filter, which it may share with others, until the
// cell holds more than the smallest count of the set: then it takes that entry over, and
// begins with the count of the cell. So an entry's count is never below the true one, and above it
// by at most what the cell held then, which is kept as the entry's error; and a key
// without an entry has at most as many hits as its cell.
type Counts struct {
	// The first three are whole cache lines.
	sets    [sets]set
	filter  [cells]uint32
	entries [entries]entry

	sampled    uint64 // hits that were counted
	weighted   uint64 // the sum of their weights
	start, end int64
}

// set is one cache line.
type set struct {
	tags   [ways]uint32 // upper half of the key's hash, 0: free
	counts [ways]uint32
}

// entry is four cache lines, of which most hits touch the first only.
type entry struct {
	hash    uint64
	last    int64
	in, out uint64 // bytes
	err     uint32
	reads   uint32
	writes  uint32
	chance  float32 // variance of the hits by sampling
	client  numberedHits
	command numberedHits

	first    int64
	length   uint32                       // of the key
	clients  [topClients - 1]numberedHits // the others
	commands [topCommands - 1]numberedHits
	slot     uint16

	key [KeyMax]byte
}

// numberedHits are hits by the command or the client with that number, 0: by none.
type numberedHits struct{ number, hits uint32 }

func tagOf(hash uint64) uint32 { return uint32(hash>>32) | 1 }

// cell returns the index of the filter's cell for keys of a set and a tag.
func cell(set int, tag uint32) int { return set*cellsOfSet + int(tag>>1)%cellsOfSet }

// find returns the number of the key's set, and in it that of its entry, -1 if it has
// none.
func (n *Counts) find(hash uint64) (set, way int) {
	set = int(hash % sets)
	tag := tagOf(hash)
	for w, t := range &n.sets[set].tags {
		if t == tag && n.entries[set*ways+w].hash == hash {
			return set, w
		}
	}
	return set, -1
}

// hit counts.
func (n *Counts) hit(h *Hit) {
	weight := uint32(h.Weight)
	n.sampled++
	n.weighted += uint64(weight)
	set, way := n.find(h.Hash)
	if way < 0 {
		if way = n.admit(set, h); way < 0 {
			return
		}
	}
	add(&n.sets[set].counts[way], weight)
	e := &n.entries[set*ways+way]
	e.last = h.Now
	e.chance += float32(h.Weight) * float32(h.Weight-1)
	e.in += uint64(h.Bytes) * uint64(weight)
	if h.Write {
		add(&e.writes, weight)
	} else {
		add(&e.reads, weight)
	}
	if number := uint32(h.Command) + 1; e.command.number == number {
		add(&e.command.hits, weight)
	} else {
		countOne(&e.command, e.commands[:], number, weight)
	}
	switch h.Client {
	case 0: // not known
	case e.client.number:
		add(&e.client.hits, weight)
	default:
		countOne(&e.client, e.clients[:], h.Client, weight)
	}
}

// add stops at the largest number, which takes an hour of a million hits a second.
func add(n *uint32, weight uint32) {
	if *n += weight; *n < weight {
		*n = math.MaxUint32
	}
}

// touch brings what a hit will need into the processor's cache.
func (n *Counts) touch(h *Hit) uint32 {
	set, way := n.find(h.Hash)
	if way < 0 {
		return n.filter[cell(set, tagOf(h.Hash))]
	}
	return n.entries[set*ways+way].reads
}

// admit makes an entry for a key that has none, unless the key has to wait for that.
func (n *Counts) admit(set int, h *Hit) (way int) {
	s, tag := &n.sets[set], tagOf(h.Hash)
	hits := &n.filter[cell(set, tag)]
	least := s.counts[0]
	for w, count := range s.counts {
		if count < least {
			way, least = w, count
		}
	}
	if least > 0 {
		if uint64(*hits)+uint64(h.Weight) <= uint64(least) {
			*hits += uint32(h.Weight)
			return -1
		}
		evicted := &n.filter[cell(set, s.tags[way])]
		*evicted = max(*evicted, least)
	}
	s.tags[way] = tag
	s.counts[way] = *hits
	e := &n.entries[set*ways+way]
	*e = entry{hash: h.Hash, first: h.Now, err: *hits, length: uint32(len(h.Key)), slot: h.Slot}
	copy(e.key[:], h.Key)
	return way
}

// countOne counts one of several numbers, of which first is the one that came first; it is
// Space-Saving in little.
func countOne(first *numberedHits, others []numberedHits, number, weight uint32) {
	least := first
	if first.number != 0 {
		for i := range others {
			o := &others[i]
			if o.number == number {
				add(&o.hits, weight)
				return
			}
			if o.hits < least.hits {
				least = o
			}
		}
	}
	least.number = number
	add(&least.hits, weight)
}

func (e *entry) name() []byte { return e.key[:min(int(e.length), KeyMax)] }

// clear empties the counts for the interval that begins now.
func (n *Counts) clear(now int64) {
	if n.sampled > 0 {
		n.sets = [sets]set{}
		n.filter = [cells]uint32{}
		// The entries need not be: one without a tag is made anew.
	}
	n.sampled, n.weighted = 0, 0
	n.start, n.end = now, now
}

// floor is the most hits that a key without an entry may have.
func (n *Counts) floor() (most uint32) {
	for _, c := range n.filter {
		most = max(most, c)
	}
	return most
}
