package rival

// index finds the place of a hash: a table with linear probing that is at most three
// quarters full, and in which nothing is left behind by what is removed.
type index struct {
	slots []indexSlot
	mask  uint64
}

type indexSlot struct {
	hash  uint64
	place int32 // one more than the place, 0: free
}

// newIndex makes an index for n hashes.
func newIndex(n int) index {
	size := 4
	for 3*size < 4*n {
		size *= 2
	}
	return index{slots: make([]indexSlot, size), mask: uint64(size - 1)}
}

// get returns the place of a hash, -1 if it has none.
func (x *index) get(hash uint64) int {
	for i := hash & x.mask; ; i = (i + 1) & x.mask {
		s := x.slots[i]
		if s.place == 0 {
			return -1
		}
		if s.hash == hash {
			return int(s.place) - 1
		}
	}
}

// set gives a hash a place, or another place.
func (x *index) set(hash uint64, place int) {
	i := hash & x.mask
	for x.slots[i].place != 0 && x.slots[i].hash != hash {
		i = (i + 1) & x.mask
	}
	x.slots[i] = indexSlot{hash, int32(place) + 1}
}

// remove forgets a hash, which has a place. What stands behind it moves up.
func (x *index) remove(hash uint64) {
	i := hash & x.mask
	for x.slots[i].hash != hash || x.slots[i].place == 0 {
		i = (i + 1) & x.mask
	}
	for j := (i + 1) & x.mask; x.slots[j].place != 0; j = (j + 1) & x.mask {
		home := x.slots[j].hash & x.mask
		if (j-home)&x.mask >= (j-i)&x.mask { // it may stand at i, too
			x.slots[i] = x.slots[j]
			i = j
		}
	}
	x.slots[i] = indexSlot{}
}
