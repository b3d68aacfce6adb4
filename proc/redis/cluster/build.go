package cluster

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
)

const (
	// maxNodes is how many members a map holds at most; further ones are left out. Redis recommends
	// up to 1000.
	maxNodes = 1 << 14
	// maxID is the longest node ID accepted, in bytes. Redis' are 40.
	maxID = 64
	// nobody stands for no node where an index is expected.
	nobody = -1
)

// ErrUnusable is returned, wrapped, by the parsers when a reply has not one node with an address.
var ErrUnusable = errors.New("no usable node in the reply")

// builder collects what a parser finds and makes a Map of it. Nodes are known by their ID, or by
// their address when there is none; of two with the same name the first one stays. Indexes are those
// of the order of arrival until finish sorts the nodes.
type builder struct {
	host   string // of the node that was asked: stands in where a reply leaves the host out
	nodes  []Node
	byName map[string]int
	owner  [Slots]int16
}

func newBuilder(asked string) *builder {
	b := &builder{host: hostOf(asked), byName: make(map[string]int)}
	for slot := range b.owner {
		b.owner[slot] = nobody
	}
	return b
}

// find returns the index of the node with that ID, or nobody.
func (b *builder) find(id []byte) int {
	if i, ok := b.byName[string(id)]; ok && len(id) > 0 {
		return i
	}
	return nobody
}

// add takes n up and returns its index, that of an earlier node of the same name, or nobody when
// there is no room.
func (b *builder) add(n Node) int {
	name := cmp.Or(n.ID, n.Addr)
	if i, ok := b.byName[name]; ok {
		return i
	}
	if len(b.nodes) >= maxNodes {
		return nobody
	}
	i := len(b.nodes)
	b.nodes = append(b.nodes, n)
	b.byName[name] = i
	return i
}

// addr returns the address to dial. host is what the source says, alt what to take when that is
// unknown; the host that was asked comes after both.
func (b *builder) addr(host, alt []byte, port int64) (string, bool) {
	host, alt = cleanHost(host), cleanHost(alt)
	switch {
	case len(host) > 0:
		return dialAddr(string(host), port)
	case len(alt) > 0:
		return dialAddr(string(alt), port)
	}
	return dialAddr(b.host, port)
}

// claim gives the slots first..last to node, except those of an owner with the same or a higher
// epoch. A range that is not within 0..Slots-1 is ignored as a whole.
func (b *builder) claim(first, last int64, node int) {
	if node == nobody || first < 0 || last >= Slots {
		return
	}
	for slot := first; slot <= last; slot++ {
		if o := b.owner[slot]; o == nobody || b.nodes[node].Epoch > b.nodes[o].Epoch {
			b.owner[slot] = int16(node)
		}
	}
}

// finish makes the map of the reply to command. The builder must not be used any more.
func (b *builder) finish(command string) (*Map, error) {
	if len(b.nodes) == 0 {
		return nil, fmt.Errorf("parse %s: %w", command, ErrUnusable)
	}
	m := &Map{}
	rank := b.sort(m)
	for slot, o := range &b.owner {
		m.owner[slot] = nobody
		if o != nobody {
			m.owner[slot] = int16(rank[o])
			m.covered++
		}
	}
	m.replicas = make([][]int, len(m.nodes))
	for i := range m.nodes {
		m.epoch = max(m.epoch, m.nodes[i].Epoch)
		m.link(i, rank)
	}
	return m, nil
}

// sort fills the nodes of m, so that every source gives the same order, and returns the new index of
// each node by its old one.
func (b *builder) sort(m *Map) (rank []int) {
	order := make([]int, len(b.nodes))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		x, y := &b.nodes[i], &b.nodes[j]
		return cmp.Or(cmp.Compare(x.Addr, y.Addr), cmp.Compare(x.ID, y.ID))
	})
	rank = make([]int, len(order))
	m.nodes = make([]Node, len(order))
	for to, from := range order {
		rank[from] = to
		m.nodes[to] = b.nodes[from]
	}
	return rank
}

// link turns the master of node i from its old index to the new one and enters i as its replica. A
// master that is itself a replica counts as unknown.
func (m *Map) link(i int, rank []int) {
	n := &m.nodes[i]
	if !n.Replica || n.MasterIndex == nobody || m.nodes[rank[n.MasterIndex]].Replica {
		n.MasterIndex = nobody
		return
	}
	n.MasterIndex = rank[n.MasterIndex]
	if n.Healthy {
		m.replicas[n.MasterIndex] = append(m.replicas[n.MasterIndex], i)
	}
}

// cleanID returns id, or nothing when it cannot be one.
func cleanID(id []byte) []byte {
	if len(id) > maxID || bytes.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return nil
	}
	return id
}

// cleanName returns the host name as a string, empty when it cannot be one.
func cleanName(name []byte) string {
	name = cleanHost(name)
	if !plausibleHost(name) || lastColon(name) >= 0 {
		return ""
	}
	return string(name)
}
