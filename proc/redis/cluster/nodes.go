package cluster

import (
	"bytes"
	"fmt"
	"strconv"
)

// ParseNodes makes a map of the reply to CLUSTER NODES of any version: the bare text, or the bulk or
// verbatim string around it. asked is the host:port that was asked; its host stands in where the
// text has none.
//
//	id ip:port@cport[,hostname[,key=value...]] flags master ping pong epoch link slot...
//
// "@cport" is missing before Redis 4, the host name before 7. A slot is "5461", "0-5460", or an
// entry in brackets for one that is being moved, which changes no owner. Of two owners of a slot the
// one with the higher config epoch counts. Replicas own nothing. The error, when nothing is usable,
// wraps ErrUnusable.
func ParseNodes(text []byte, asked string) (*Map, error) {
	text, err := nodesText(text)
	if err != nil {
		return nil, fmt.Errorf("parse CLUSTER NODES: %w", err)
	}
	b := newBuilder(asked)
	p := nodesParser{builder: b}
	for line := range bytes.Lines(text) {
		p.line(line)
	}
	p.linkMasters()
	return b.finish("CLUSTER NODES")
}

// nodesText takes the text out of a bulk string. When that is cut off, so is its last line, which
// is left out: half a slot range looks like a whole one.
func nodesText(reply []byte) ([]byte, error) {
	if len(reply) == 0 || bytes.IndexByte([]byte("$=-!"), reply[0]) < 0 {
		return reply, nil
	}
	if v, err := openAny(reply); err == nil || reply[0] == '-' || reply[0] == '!' {
		return v.str(), err
	}
	_, text, _ := bytes.Cut(reply, []byte("\r\n"))
	if reply[0] == '=' {
		text = text[min(4, len(text)):] // the format, "txt:"
	}
	return text[:bytes.LastIndexByte(text, '\n')+1], nil
}

// nodesParser keeps the masters of replicas by ID until all lines are known.
type nodesParser struct {
	*builder
	masters []string // by node: the ID of the master of a replica
}

// nodeFields is how many fields come before the slots.
const nodeFields = 8

func (p *nodesParser) line(line []byte) {
	var fields [nodeFields][]byte
	rest := bytes.TrimSpace(line)
	for i := range fields {
		fields[i], rest, _ = bytes.Cut(rest, []byte(" "))
	}
	if len(fields[nodeFields-1]) == 0 {
		return
	}
	known := len(p.nodes)
	i := p.nodesNode(fields[0], fields[1], fields[2], fields[6])
	if i != known {
		return // no address, no room, or a line that came before
	}
	p.masters = append(p.masters, string(cleanID(fields[3])))
	if !p.nodes[i].Replica {
		p.slots(rest, i)
	}
}

// nodesNode takes up the node of one line and returns its index, nobody when it has no address.
func (p *nodesParser) nodesNode(id, endpoint, flags, epoch []byte) int {
	if id = cleanID(id); len(id) == 0 {
		return nobody
	}
	f, ok := parseFlags(flags)
	if !ok {
		return nobody
	}
	n := Node{ID: string(id), MasterIndex: nobody, Replica: f.replica, Healthy: !f.unhealthy}
	n.Epoch, _ = strconv.ParseUint(string(epoch), 10, 64)
	endpoint, rest, _ := bytes.Cut(endpoint, []byte(","))
	hostname, _, _ := bytes.Cut(rest, []byte(","))
	n.Hostname = cleanName(hostname)
	endpoint, _, _ = bytes.Cut(endpoint, []byte("@"))
	host, port, ok := splitEndpoint(endpoint)
	if !ok || len(host) == 0 && f.noAddr {
		return nobody
	}
	alt := []byte(n.Hostname)
	if f.myself {
		alt = nil // the host that was asked is known to work
	}
	if n.Addr, ok = p.addr(host, alt, int64(port)); !ok {
		return nobody
	}
	return p.add(n)
}

// slots reads the slots of a line.
func (p *nodesParser) slots(fields []byte, node int) {
	for field := range bytes.FieldsSeq(fields) {
		low, high, isRange := bytes.Cut(field, []byte("-"))
		if !isRange {
			high = low
		}
		// A slot that is being moved ("[93->-id]") is no number and falls out here.
		first, n := leadingNumber(low)
		last, m := leadingNumber(high)
		if n == len(low) && n > 0 && m == len(high) && m > 0 {
			p.claim(int64(first), int64(last), node)
		}
	}
}

func (p *nodesParser) linkMasters() {
	for i, id := range p.masters {
		if p.nodes[i].Replica {
			p.nodes[i].MasterIndex = p.find([]byte(id))
		}
	}
}

// nodeFlags are the flags of a CLUSTER NODES line that matter. "fail?" does not: it is what the node
// that was asked suspects, and nothing that the cluster agreed on.
type nodeFlags struct {
	myself, replica, unhealthy, noAddr bool
}

// parseFlags ignores flags it does not know, of newer versions. It fails when it knows none: then
// this is no line of CLUSTER NODES.
func parseFlags(flags []byte) (f nodeFlags, ok bool) {
	for flag := range bytes.SplitSeq(flags, []byte(",")) {
		known := true
		switch string(flag) {
		case "myself":
			f.myself = true
		case "slave", "replica":
			f.replica = true
		case "noaddr":
			f.noAddr, f.unhealthy = true, true
		case "fail", "handshake":
			f.unhealthy = true
		case "master", "fail?", "nofailover", "noflags":
		default:
			known = false
		}
		ok = ok || known
	}
	return f, ok
}
