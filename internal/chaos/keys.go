package chaos

import (
	"strconv"

	"samaritan/internal/testredis"
)

// slotTags returns a hash tag for each slot that the load uses, by shard.
func slotTags() [Shards][]string {
	want := map[uint16]string{}
	for shard := range Shards {
		for _, slot := range ShardSlots(shard) {
			want[slot] = ""
		}
	}
	for i, missing := 0, len(want); missing > 0; i++ {
		tag := "{" + strconv.FormatInt(int64(i), 36) + "}"
		slot := testredis.Slot(tag)
		if found, ok := want[slot]; ok && found == "" {
			want[slot] = tag
			missing--
		}
	}
	var tags [Shards][]string
	for shard := range Shards {
		for _, slot := range ShardSlots(shard) {
			tags[shard] = append(tags[shard], want[slot])
		}
	}
	return tags
}

// checksPerSlot is how many check values each slot has.
const checksPerSlot = 4

// keyspace is the names of the keys of one round. Check values are the same in all
// rounds, the others are new in each.
type keyspace struct {
	tags  [Shards][]string
	round int
}

// key returns the name of a key of this round: what it is, and whose.
func (k keyspace) key(what string, shard, slot int, who string) string {
	return what + ":" + k.tag(shard, slot) + ":" + strconv.Itoa(k.round) + ":" + who
}

// tag returns the hash tag of one of the shard's slots; numbers go round.
func (k keyspace) tag(shard, slot int) string {
	return k.tags[shard][slot%len(k.tags[shard])]
}

// checks returns the names of the check values of a slot.
func (k keyspace) checks(shard, slot int) []string {
	keys := make([]string, checksPerSlot)
	for i := range keys {
		keys[i] = "check:" + k.tag(shard, slot) + ":" + strconv.Itoa(i)
	}
	return keys
}

// own returns the part of a client in the name of its keys.
func own(client int) string { return "c" + strconv.Itoa(client) }

// all is that part for keys of everybody.
const all = "all"

// counterBase is what a counter of a client begins with, so that replies of other
// counters are noticed.
func counterBase(client, shard int) int64 {
	return int64(client*Shards+shard+1) * 1_000_000_000
}
