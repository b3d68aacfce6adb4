package traffic

import (
	"bytes"
	"fmt"
	"strconv"

	"samaritan/proc/redis/cluster"
)

const prefix = "user:profile:"

// Keys are the names of keys 0 to n-1, with where they are in a cluster.
type Keys struct {
	names []byte
	ends  []uint32
	slots []uint16
	nodes int
}

// NewKeys makes n keys that are spread over nodes by their hash slots, as a cluster spreads them.
func NewKeys(n, nodes int) *Keys {
	k := &Keys{ends: make([]uint32, n+1), slots: make([]uint16, n), nodes: nodes}
	for i := range n {
		start := len(k.names)
		k.names = strconv.AppendInt(append(k.names, prefix...), int64(i), 10)
		k.ends[i+1] = uint32(len(k.names))
		k.slots[i] = cluster.Slot(k.names[start:])
	}
	return k
}

// Len is how many keys there are.
func (k *Keys) Len() int { return len(k.slots) }

// Name is what a key is called.
func (k *Keys) Name(key int) []byte { return k.names[k.ends[key]:k.ends[key+1]] }

// Slot is the hash slot of a key.
func (k *Keys) Slot(key int) uint16 { return k.slots[key] }

// Node is the node that has a key's slot.
func (k *Keys) Node(key int) int { return int(k.slots[key]) * k.nodes / cluster.Slots }

// Number finds a key by its name.
func (k *Keys) Number(name []byte) (int, error) {
	digits, ok := bytes.CutPrefix(name, []byte(prefix))
	key, err := strconv.Atoi(string(digits))
	if !ok || err != nil || key < 0 || key >= k.Len() {
		return 0, fmt.Errorf("key %q: not one of the %d that were made", name, k.Len())
	}
	return key, nil
}
