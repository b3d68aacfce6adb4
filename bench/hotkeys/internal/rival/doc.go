// Package rival has other algorithms that find frequent keys, to compare package hotkey with.
//
//   - [StreamSummary] is Space-Saving as it was published (Metwally, Agrawal and El Abbadi, ICDT
//     2005): entries in buckets of equal count, every step in constant time.
//   - [MinHeap] is Space-Saving on a heap: simpler, and each step takes some comparisons.
//   - [HeavyKeeper] (Gong et al., USENIX ATC 2018) is a sketch whose cells decay, in
//     front of a heap.
//
// All know a key by its 64-bit hash, keep up to [KeyMax] bytes of its name inside, use the
// same [index] and allocate nothing per hit. None is safe for use by several goroutines.
package rival

import "hash/maphash"

// KeyMax is how many bytes of a key are kept, as in package hotkey.
const KeyMax = 128

// Entry is a key that was found.
type Entry struct {
	Name  []byte // its first KeyMax bytes
	Count uint64 // as the algorithm estimates it
	Error uint64 // by how much Count may be too high, where the algorithm knows
}

var seed = maphash.MakeSeed()

// hash is keyed by chance, as that of package hotkey is.
func hash(key []byte) uint64 { return maphash.Bytes(seed, key) }

// name is the beginning of a key.
type name struct {
	length uint8
	bytes  [KeyMax]byte
}

func (n *name) set(key []byte) { n.length = uint8(copy(n.bytes[:], key)) }

func (n *name) get() []byte { return append([]byte(nil), n.bytes[:n.length]...) }
