package hotkey

import "hash/maphash"

// KeyMax is how many bytes of a key are kept; of longer ones their length and hash too.
const KeyMax = 128

var seed = maphash.MakeSeed()

// Hash is what a key is known by in this process, and in no other: it is keyed by
// chance, so that nobody can choose keys that get in each other's way.
func Hash(key []byte) uint64 { return maphash.Bytes(seed, key) }
