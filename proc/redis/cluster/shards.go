package cluster

// ParseShards makes a map of the reply to CLUSTER SHARDS (Redis 7 or newer), in RESP2, where maps
// are lists of keys and values, or RESP3. asked is the host:port that was asked; its host stands in
// where the reply has none. tls chooses the tls-port of each node instead of its port; a node
// without the one asked for is left out.
//
//	*N: {slots: [first, last, first, last, ...], nodes: [{id, port, tls-port, ip, endpoint,
//	     hostname, role, replication-offset, health}, ...]}
//
// A shard can list two masters around a failover. Its slots go to the healthy one, of two healthy
// ones to the one with more data (replication-offset). The error, when nothing is usable, wraps
// ErrUnusable.
func ParseShards(reply []byte, asked string, tls bool) (*Map, error) {
	portKey := "port"
	if tls {
		portKey = "tls-port"
	}
	return parseList("CLUSTER SHARDS", reply, asked, func(b *builder, shard value) { b.shard(shard, portKey) })
}

func (b *builder) shard(shard value, portKey string) {
	var slots, nodes value
	for {
		key, val, ok := shard.pair()
		if !ok {
			break
		}
		switch string(key) {
		case "slots":
			slots = val
		case "nodes":
			nodes = val
		}
	}
	master := b.shardNodes(nodes, portKey)
	for {
		first, _ := slots.next()
		last, ok := slots.next()
		if !ok {
			return
		}
		b.claim(first.number(), last.number(), master)
	}
}

// shardNodes takes up the nodes of one shard and returns the master that its slots go to.
func (b *builder) shardNodes(nodes value, portKey string) (master int) {
	master = nobody
	var masterOffset int64
	first := len(b.nodes)
	for {
		n, ok := nodes.next()
		if !ok {
			break
		}
		i, offset := b.shardNode(n, portKey)
		if i == nobody || b.nodes[i].Replica {
			continue
		}
		if master == nobody || b.better(i, offset, master, masterOffset) {
			master, masterOffset = i, offset
		}
	}
	for i := first; i < len(b.nodes); i++ {
		if b.nodes[i].Replica {
			b.nodes[i].MasterIndex = master
		}
	}
	return master
}

// better reports whether master i is to be preferred to master j of the same shard.
func (b *builder) better(i int, offset int64, j int, otherOffset int64) bool {
	if b.nodes[i].Healthy != b.nodes[j].Healthy {
		return b.nodes[i].Healthy
	}
	return offset > otherOffset
}

// shardNode takes up one node and returns its index, nobody when it has no address, and its
// replication offset.
func (b *builder) shardNode(node value, portKey string) (i int, offset int64) {
	var endpoint, port, ip value
	n := Node{MasterIndex: nobody, Healthy: true}
	for {
		key, val, ok := node.pair()
		if !ok {
			break
		}
		switch string(key) {
		case "id":
			n.ID = string(cleanID(val.str()))
		case portKey:
			port = val
		case "ip":
			ip = val
		case "endpoint":
			endpoint = val
		case "hostname":
			n.Hostname = cleanName(val.str())
		case "role":
			n.Replica = string(val.str()) != "master"
		case "replication-offset":
			offset = val.number()
		case "health":
			n.Healthy = string(val.str()) == "online"
		}
	}
	alt := ip.str()
	if endpoint.kind == '_' {
		alt = nil // null asks for the host that was asked; "?" only lacks a name
	}
	var ok bool
	if n.Addr, ok = b.addr(endpoint.str(), alt, port.number()); !ok {
		return nobody, 0
	}
	return b.add(n), offset
}
