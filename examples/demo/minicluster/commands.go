package minicluster

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/alicebob/miniredis/v2/server"

	"samaritan/proc/redis/cluster"
)

// clusterCommand answers CLUSTER (https://redis.io/docs/latest/commands/cluster/),
// as far as a client that routes by slot asks for it.
func (h *hook) clusterCommand(p *server.Peer, args []string) {
	if len(args) == 0 {
		h.refuse(p, "ERR wrong number of arguments for 'cluster' command")
		return
	}
	switch sub, rest := strings.ToUpper(args[0]), args[1:]; {
	case sub == "SLOTS" && len(rest) == 0:
		h.slots(p)
	case sub == "SHARDS" && len(rest) == 0:
		h.shards(p)
	case sub == "NODES" && len(rest) == 0:
		p.WriteBulk(h.nodes())
	case sub == "INFO" && len(rest) == 0:
		p.WriteBulk(h.clusterInfo())
	case sub == "MYID" && len(rest) == 0:
		p.WriteBulk(h.node.id)
	case sub == "KEYSLOT" && len(rest) == 1:
		p.WriteInt(int(slotOf(rest[0])))
	case sub == "COUNTKEYSINSLOT" && len(rest) == 1:
		if slot, ok := h.slotArg(p, rest[0]); ok {
			p.WriteInt(len(h.keysIn(slot)))
		}
	case sub == "GETKEYSINSLOT" && len(rest) == 2:
		h.getKeysInSlot(p, rest)
	case (sub == "REPLICAS" || sub == "SLAVES") && len(rest) == 1, sub == "LINKS" && len(rest) == 0:
		p.WriteLen(0)
	default:
		h.refuse(p, fmt.Sprintf("ERR unknown subcommand or wrong number of arguments for '%s'. Try CLUSTER HELP.", args[0]))
	}
}

func (h *hook) slots(p *server.Peer) {
	p.WriteLen(len(h.cluster.nodes))
	for _, n := range h.cluster.nodes {
		p.WriteLen(3)
		p.WriteInt(int(n.first))
		p.WriteInt(int(n.last))
		p.WriteLen(4)
		p.WriteBulk(n.host)
		p.WriteInt(n.port)
		p.WriteBulk(n.id)
		p.WriteLen(0) // metadata: no host name
	}
}

func (h *hook) shards(p *server.Peer) {
	p.WriteLen(len(h.cluster.nodes))
	for _, n := range h.cluster.nodes {
		p.WriteMapLen(2)
		p.WriteBulk("slots")
		p.WriteLen(2)
		p.WriteInt(int(n.first))
		p.WriteInt(int(n.last))
		p.WriteBulk("nodes")
		p.WriteLen(1)
		n.writeShard(p)
	}
}

func (n *node) writeShard(p *server.Peer) {
	p.WriteMapLen(7)
	p.WriteBulk("id")
	p.WriteBulk(n.id)
	p.WriteBulk("port")
	p.WriteInt(n.port)
	p.WriteBulk("ip")
	p.WriteBulk(n.host)
	p.WriteBulk("endpoint")
	p.WriteBulk(n.host)
	p.WriteBulk("role")
	p.WriteBulk("master")
	p.WriteBulk("replication-offset")
	p.WriteInt(0)
	p.WriteBulk("health")
	p.WriteBulk("online")
}

// nodes is the text of CLUSTER NODES: one line per node, its own marked. There
// is no cluster bus, so the client port stands in for the port of the bus.
func (h *hook) nodes() string {
	var b strings.Builder
	for i, n := range h.cluster.nodes {
		flags := "master"
		if n == h.node {
			flags = "myself,master"
		}
		fmt.Fprintf(&b, "%s %s@%d %s - 0 0 %d connected %d-%d\n", n.id, n.addr, n.port, flags, i+1, n.first, n.last)
	}
	return b.String()
}

func (h *hook) clusterInfo() string {
	n := len(h.cluster.nodes)
	return fmt.Sprintf("cluster_enabled:1\r\ncluster_state:ok\r\n"+
		"cluster_slots_assigned:%[1]d\r\ncluster_slots_ok:%[1]d\r\ncluster_slots_pfail:0\r\ncluster_slots_fail:0\r\n"+
		"cluster_known_nodes:%[2]d\r\ncluster_size:%[2]d\r\ncluster_current_epoch:%[2]d\r\ncluster_my_epoch:1\r\n", cluster.Slots, n)
}

func (h *hook) getKeysInSlot(p *server.Peer, args []string) {
	slot, ok := h.slotArg(p, args[0])
	if !ok {
		return
	}
	limit, err := strconv.Atoi(args[1])
	if err != nil || limit < 0 {
		h.refuse(p, "ERR Invalid number of keys")
		return
	}
	keys := h.keysIn(slot)
	keys = keys[:min(limit, len(keys))]
	p.WriteLen(len(keys))
	for _, key := range keys {
		p.WriteBulk(key)
	}
}

func (h *hook) slotArg(p *server.Peer, arg string) (slot uint16, ok bool) {
	n, err := strconv.Atoi(arg)
	if err != nil || n < 0 || n >= cluster.Slots {
		h.refuse(p, "ERR Invalid slot")
		return 0, false
	}
	return uint16(n), true
}

// keysIn returns the keys of this node in the slot. It looks at all keys: few
// ask, and a demo has not many.
func (h *hook) keysIn(slot uint16) []string {
	var in []string
	for _, key := range h.node.redis.Keys() {
		if slotOf(key) == slot {
			in = append(in, key)
		}
	}
	return in
}
