package cluster

import (
	"slices"
	"strconv"
	"strings"
)

// Node is one member of the cluster.
type Node struct {
	ID       string // the 40 hex digits of the node, empty when the source did not tell
	Addr     string // host:port to dial, an IPv6 address in brackets
	Hostname string // the announced host name, empty when there is none or the source did not tell
	Replica  bool
	// MasterIndex is the index of a replica's master in the nodes of the map. It is -1 for a master,
	// and for a replica whose master the source did not list.
	MasterIndex int
	// Healthy is false for a node that the cluster has marked as failed, that is still in handshake,
	// has no address, or loads its data. A mere suspicion of the node that was asked ("fail?") does
	// not count. A master keeps its slots in any case.
	Healthy bool
	Epoch   uint64 // config epoch, 0 when the source did not tell; only CLUSTER NODES does
}

// Range is a run of slots, both ends included.
type Range struct {
	First, Last uint16
}

// Map is the cluster as one node saw it: its members and who owns which slot. It never changes.
type Map struct {
	nodes    []Node  // by address, then by ID
	replicas [][]int // by master: its healthy replicas
	covered  int
	epoch    uint64
	owner    [Slots]int16 // by slot: the index of the master, -1 without one
}

// Nodes returns all members, ordered by address and ID. The slice is shared, do not modify it.
//
// CLUSTER SLOTS lists only masters with slots and their working replicas; the other sources list all
// members.
func (m *Map) Nodes() []Node { return m.nodes }

// Master returns the index in Nodes of the owner of slot, -1 when it has none. slot is below Slots;
// higher bits are ignored.
func (m *Map) Master(slot uint16) int { return int(m.owner[slot%Slots]) }

// Replicas returns the indexes in Nodes of the healthy replicas of the master with index node, nil
// when it has none. The slice is shared, do not modify it.
func (m *Map) Replicas(node int) []int {
	if uint(node) >= uint(len(m.replicas)) {
		return nil
	}
	return m.replicas[node]
}

// Covered returns the number of slots that have an owner, 0..Slots.
func (m *Map) Covered() int { return m.covered }

// Epoch returns the highest config epoch of all members. It is 0 when the source did not tell: only
// CLUSTER NODES does.
func (m *Map) Epoch() uint64 { return m.epoch }

// OwnerEpoch returns the highest config epoch of the nodes that own slots. It is 0 when the source
// did not tell: only CLUSTER NODES does. It walks all slots: not for the request path.
func (m *Map) OwnerEpoch() (epoch uint64) {
	for _, owner := range &m.owner {
		if owner >= 0 {
			epoch = max(epoch, m.nodes[owner].Epoch)
		}
	}
	return epoch
}

// SameCluster reports whether both maps may be pictures of one cluster: some node of the one has the
// ID of a node of the other. It does so too when one of them knows no IDs.
func (m *Map) SameCluster(o *Map) bool {
	ids := make(map[string]bool, len(m.nodes))
	for i := range m.nodes {
		ids[m.nodes[i].ID] = true
	}
	for i := range o.nodes {
		if id := o.nodes[i].ID; id == "" || ids[""] || ids[id] {
			return true
		}
	}
	return false
}

// Equal reports whether both maps route alike: the same members at the same addresses with the same
// role and health, and the same owner for every slot. Epochs and host names do not count; IDs count
// where both maps know them. Two nil maps are equal.
func (m *Map) Equal(o *Map) bool {
	if m == nil || o == nil || m == o {
		return m == o
	}
	return m.covered == o.covered && slices.EqualFunc(m.nodes, o.nodes, sameNode) && m.owner == o.owner
}

func sameNode(a, b Node) bool {
	return a.Addr == b.Addr && a.Replica == b.Replica && a.MasterIndex == b.MasterIndex &&
		a.Healthy == b.Healthy && (a.ID == b.ID || a.ID == "" || b.ID == "")
}

// Ranges returns the slots that the node with index node owns, in ascending order, runs as long as
// possible. It walks all slots: for dumps, not for the request path.
func (m *Map) Ranges(node int) []Range {
	var ranges []Range
	for slot, owner := range &m.owner {
		if int(owner) == node && owner >= 0 {
			ranges = appendSlot(ranges, slot)
		}
	}
	return ranges
}

// allRanges returns the ranges of every node in one walk.
func (m *Map) allRanges() [][]Range {
	ranges := make([][]Range, len(m.nodes))
	for slot, owner := range &m.owner {
		if owner >= 0 {
			ranges[owner] = appendSlot(ranges[owner], slot)
		}
	}
	return ranges
}

func appendSlot(ranges []Range, slot int) []Range {
	if n := len(ranges); n > 0 && int(ranges[n-1].Last) == slot-1 {
		ranges[n-1].Last++
		return ranges
	}
	return append(ranges, Range{First: uint16(slot), Last: uint16(slot)})
}

// String returns "first-last", or the slot alone when there is only one.
func (r Range) String() string {
	first := strconv.Itoa(int(r.First))
	if r.First == r.Last {
		return first
	}
	return first + "-" + strconv.Itoa(int(r.Last))
}

// String returns a dump for people: one line for the whole, then one per master with its slots, each
// followed by its replicas, healthy or not. Replicas without a known master come last.
func (m *Map) String() string {
	var b strings.Builder
	b.WriteString(strconv.Itoa(len(m.nodes)) + " nodes, " + strconv.Itoa(m.covered) + " slots covered")
	if m.epoch > 0 {
		b.WriteString(", epoch " + strconv.FormatUint(m.epoch, 10))
	}
	b.WriteByte('\n')
	replicas, ranges := m.allReplicas(), m.allRanges()
	for i := range m.nodes {
		if m.nodes[i].Replica {
			continue
		}
		dumpNode(&b, "", &m.nodes[i], ranges[i])
		for _, r := range replicas[i] {
			dumpNode(&b, "  ", &m.nodes[r], nil)
		}
	}
	for _, r := range replicas[-1] {
		dumpNode(&b, "", &m.nodes[r], nil)
	}
	return b.String()
}

// allReplicas returns the replicas of each master, those without a known one under -1.
func (m *Map) allReplicas() map[int][]int {
	all := make(map[int][]int)
	for i := range m.nodes {
		if n := &m.nodes[i]; n.Replica {
			all[n.MasterIndex] = append(all[n.MasterIndex], i)
		}
	}
	return all
}

func dumpNode(b *strings.Builder, indent string, n *Node, ranges []Range) {
	b.WriteString(indent + n.Addr)
	if n.Replica {
		b.WriteString(" replica")
	} else {
		b.WriteString(" master")
	}
	if n.ID != "" {
		b.WriteString(" " + n.ID)
	}
	if n.Hostname != "" {
		b.WriteString(" " + n.Hostname)
	}
	if !n.Healthy {
		b.WriteString(" unhealthy")
	}
	for k, r := range ranges {
		if k == 0 {
			b.WriteString(" slots ")
		} else {
			b.WriteByte(',')
		}
		b.WriteString(r.String())
	}
	b.WriteByte('\n')
}
