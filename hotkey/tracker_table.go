package hotkey

const (
	trackSets = 128
	trackWays = 8
)

// trackTable is a set-associative Space-Saving table with weights. The set of a key is
// chosen by its hash; in a full set the key with the least weight makes room, and the
// new one inherits that weight as what it may have had before unseen.
type trackTable [trackSets][trackWays]trackEntry

// trackEntry is a key with at most weight, of which inherited may not be its own.
type trackEntry struct {
	hash      uint64
	weight    uint64 // 0: the entry is free
	inherited uint64
	length    int // of the whole key
	key       [KeyMax]byte
}

// name is the key, or its first KeyMax bytes.
func (e *trackEntry) name() []byte { return e.key[:min(e.length, KeyMax)] }

func (e *trackEntry) is(hash uint64, key []byte) bool {
	return e.hash == hash && e.length == len(key) && string(e.name()) == string(key[:min(len(key), KeyMax)])
}

// hit adds weight to a key. A weight of 0 does nothing.
func (t *trackTable) hit(hash uint64, key []byte, weight uint64) {
	if weight == 0 {
		return
	}
	set := &t[hash%trackSets]
	least := &set[0]
	for i := range set {
		e := &set[i]
		if e.weight > 0 && e.is(hash, key) {
			e.weight += weight
			return
		}
		if e.weight < least.weight {
			least = e
		}
	}
	least.inherited = least.weight
	least.weight += weight
	least.hash, least.length = hash, len(key)
	copy(least.key[:], key)
}
