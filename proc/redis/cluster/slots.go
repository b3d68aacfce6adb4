package cluster

// ParseSlots makes a map of the reply to CLUSTER SLOTS, in RESP2 or RESP3, of Redis 3 or newer.
// asked is the host:port that was asked; its host stands in where the reply has none.
//
//	*N: [first, last, [endpoint, port, id, [key, value, ...]], replica, ...]
//
// The first node of an entry is the master. id is missing before Redis 4, the list of keys and
// values before 7. Of ranges that overlap the first one counts. The error, when nothing is usable,
// wraps ErrUnusable.
func ParseSlots(reply []byte, asked string) (*Map, error) {
	return parseList("CLUSTER SLOTS", reply, asked, (*builder).slotsEntry)
}

func (b *builder) slotsEntry(entry value) {
	low, _ := entry.next()
	high, ok := entry.next()
	first, last := low.number(), high.number()
	if !ok || first < 0 || last < first || last >= Slots {
		return
	}
	node, ok := entry.next()
	if !ok {
		return
	}
	master := b.slotsNode(node)
	if master != nobody {
		// It owns slots, whatever an earlier entry took it for.
		b.nodes[master].Replica = false
		b.nodes[master].MasterIndex = nobody
	}
	b.claim(first, last, master)
	for {
		node, ok = entry.next()
		if !ok {
			return
		}
		known := len(b.nodes)
		if i := b.slotsNode(node); i == known {
			b.nodes[i].Replica = true
			b.nodes[i].MasterIndex = master
		}
	}
}

// slotsNode takes up one node of an entry, a new one as a master. It returns nobody when the node
// has no address.
func (b *builder) slotsNode(node value) int {
	endpoint, _ := node.next()
	port, ok := node.next()
	if !ok {
		return nobody
	}
	name, _ := node.next()
	id := cleanID(name.str())
	if i := b.find(id); i != nobody {
		return i
	}
	ip, hostname := slotsMetadata(&node)
	alt := ip
	if endpoint.kind == '_' {
		alt = nil // null asks for the host that was asked; "?" only lacks a name
	}
	addr, ok := b.addr(endpoint.str(), alt, port.number())
	if !ok {
		return nobody
	}
	return b.add(Node{ID: string(id), Addr: addr, Hostname: cleanName(hostname), MasterIndex: nobody, Healthy: true})
}

// slotsMetadata returns the ip and hostname that a node may have behind its ID.
func slotsMetadata(node *value) (ip, hostname []byte) {
	metadata, _ := node.next()
	for {
		key, val, ok := metadata.pair()
		if !ok {
			return ip, hostname
		}
		switch string(key) {
		case "ip":
			ip = val.str()
		case "hostname":
			hostname = val.str()
		}
	}
}
