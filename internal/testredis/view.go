package testredis

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// slotCount is the number of hash slots of every cluster.
const slotCount = 16384

// Slot returns the hash slot of a key, as CLUSTER KEYSLOT does: CRC16 (XMODEM)
// of the key, or of what stands between the first { and the next } when that
// is not empty, modulo 16384. It is slow and simple: a reference.
func Slot(key string) uint16 {
	if _, tail, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok := strings.Cut(tail, "}"); ok && tag != "" {
			key = tag
		}
	}
	crc := uint16(0)
	for _, b := range []byte(key) {
		crc ^= uint16(b) << 8
		for range 8 {
			high := crc&0x8000 != 0
			crc <<= 1
			if high {
				crc ^= 0x1021
			}
		}
	}
	return crc % slotCount
}

// member is one line of CLUSTER NODES, see
// https://redis.io/docs/latest/commands/cluster-nodes/:
//
//	id ip:port@cport[,hostname] flags master ping pong epoch link slot...
type member struct {
	id     string
	addr   string // "ip:port"; the ip may be missing when it is the node's own
	flags  []string
	master string // id of the master of a replica, else "-"
	epoch  uint64
	slots  []span
	line   string // without open slots, fit for a nodes.conf
}

// span is a range of slots, both ends included.
type span struct{ first, last uint16 }

// String returns the range as Redis writes it, "first-last".
func (s span) String() string { return fmt.Sprintf("%d-%d", s.first, s.last) }

// is reports whether the node has the flag.
func (m *member) is(flag string) bool { return slices.Contains(m.flags, flag) }

// owns reports whether the slot is the node's.
func (m *member) owns(slot uint16) bool {
	return slices.ContainsFunc(m.slots, func(s span) bool { return s.first <= slot && slot <= s.last })
}

// view is what one node says of the cluster, by node id.
type view map[string]*member

// parseView parses the reply of CLUSTER NODES.
func parseView(reply any) (view, error) {
	text, ok := reply.(string)
	if !ok {
		return nil, fmt.Errorf("testredis: CLUSTER NODES: %v", reply)
	}
	v := view{}
	for line := range strings.Lines(text) {
		m, err := parseMember(strings.Fields(line))
		if err != nil {
			return nil, fmt.Errorf("testredis: CLUSTER NODES: line %q: %w", line, err)
		}
		v[m.id] = m
	}
	return v, nil
}

// parseMember parses the words of one line.
func parseMember(words []string) (*member, error) {
	if len(words) < 8 {
		return nil, fmt.Errorf("%d words", len(words))
	}
	epoch, err := strconv.ParseUint(words[6], 10, 64)
	if err != nil {
		return nil, err
	}
	addr, _, _ := strings.Cut(words[1], "@")
	m := &member{id: words[0], addr: addr, flags: strings.Split(words[2], ","), master: words[3], epoch: epoch}
	// Slots that are just migrating, such as [93-<-id], are another matter.
	slots := slices.DeleteFunc(words[8:], func(w string) bool { return strings.HasPrefix(w, "[") })
	for _, word := range slots {
		s, err := parseSpan(word)
		if err != nil {
			return nil, err
		}
		m.slots = append(m.slots, s)
	}
	m.line = strings.Join(append(words[:8], slots...), " ")
	return m, nil
}

// parseSpan parses "5" or "5-10".
func parseSpan(word string) (span, error) {
	low, high, ok := strings.Cut(word, "-")
	if !ok {
		high = low
	}
	first, err := strconv.ParseUint(low, 10, 14)
	if err != nil {
		return span{}, err
	}
	last, err := strconv.ParseUint(high, 10, 14)
	if err != nil {
		return span{}, err
	}
	return span{uint16(first), uint16(last)}, nil
}

// report is what a node says for itself.
type report struct {
	node *Node
	view view
	self *member           // the node's own line
	info map[string]string // of CLUSTER INFO and INFO replication
}

// ask asks a running node for its report.
func ask(n *Node) (*report, error) {
	replies, err := n.pipeline([]any{"CLUSTER", "NODES"}, []any{"CLUSTER", "INFO"}, []any{"INFO", "replication"})
	if err != nil {
		return nil, err
	}
	v, err := parseView(replies[0])
	if err != nil {
		return nil, err
	}
	r := &report{node: n, view: v, self: v[n.id], info: fields(replies[1])}
	if r.self == nil {
		return nil, fmt.Errorf("testredis: %s does not know itself", n.Addr())
	}
	for name, value := range fields(replies[2]) {
		r.info[name] = value
	}
	return r, nil
}

// healthy returns why the node itself is not ready to work.
func (r *report) healthy() error {
	if state := r.info["cluster_state"]; state != "ok" {
		return fmt.Errorf("%s: cluster_state is %s", r.node.Addr(), state)
	}
	if r.self.is("slave") && r.info["master_link_status"] != "up" {
		return fmt.Errorf("%s: not in sync with its master", r.node.Addr())
	}
	return nil
}

// describe tells how the node sees the live nodes, in a form in which views
// that agree are equal; or why it does not see them well.
func (r *report) describe(live []string) (string, error) {
	var text strings.Builder
	for _, id := range live {
		m := r.view[id]
		if m == nil {
			return "", fmt.Errorf("%s does not know node %s", r.node.Addr(), id)
		}
		if m.is("fail") || m.is("fail?") || m.is("noaddr") {
			return "", fmt.Errorf("%s sees node %s as %v", r.node.Addr(), id, m.flags)
		}
		epoch := m.epoch
		if m.is("slave") {
			epoch = 0 // Its master's; it has none of its own.
		}
		fmt.Fprintln(&text, id, m.is("slave"), m.master, epoch, m.slots)
	}
	return text.String(), nil
}

// fields splits the lines "name:value" of an INFO reply.
func fields(info any) map[string]string {
	text, _ := info.(string)
	m := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			m[name] = value
		}
	}
	return m
}
