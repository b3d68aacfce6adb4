package minicluster

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/alicebob/miniredis/v2/server"

	"samaritan/proc/redis/cluster"
)

// hook stands in front of the commands of one node.
type hook struct {
	cluster *Cluster
	node    *node
}

// handle implements server.Hook: it reports whether the command is answered.
// cmd is in upper case, args are without it.
func (h *hook) handle(p *server.Peer, cmd string, args ...string) (done bool) {
	switch cmd {
	case "CLUSTER":
		h.clusterCommand(p, args)
		return true
	case "READONLY", "READWRITE", "ASKING":
		p.WriteOK()
		return true
	case "INFO":
		p.WriteBulk(h.info())
		return true
	case "PUBLISH":
		h.spread(args)
		return false
	}
	return h.redirect(p, cmd, args)
}

// redirect answers a command whose keys are not all in one slot of this node.
func (h *hook) redirect(p *server.Peer, cmd string, args []string) (done bool) {
	keys := keysOf(cmd, args)
	if len(keys) == 0 {
		return false
	}
	slot := slotOf(keys[0])
	for _, key := range keys[1:] {
		if slotOf(key) != slot {
			h.refuse(p, "CROSSSLOT Keys in request don't hash to the same slot")
			return true
		}
	}
	owner := h.cluster.owner(slot)
	if owner == h.node {
		return false
	}
	h.cluster.redirects.Add(1)
	h.refuse(p, fmt.Sprintf("MOVED %d %s", slot, owner.addr))
	return true
}

// refuse answers with an error, after which a transaction that is being queued
// must not execute. Only miniredis knows of the transaction, so it is shown a
// command with a wrong number of arguments, its answer going nowhere.
func (h *hook) refuse(p *server.Peer, text string) {
	if p.Ctx != nil {
		nowhere := server.NewPeer(bufio.NewWriter(io.Discard))
		nowhere.Ctx = p.Ctx
		h.node.server.Dispatch(nowhere, []string{"GET"})
	}
	p.WriteError(text)
}

// spread carries a message to the subscribers of the other nodes, which a real
// cluster does over its bus.
func (h *hook) spread(args []string) {
	if len(args) != 2 {
		return
	}
	for _, n := range h.cluster.nodes {
		if n != h.node {
			n.redis.Publish(args[0], args[1])
		}
	}
}

func (h *hook) info() string {
	keys := len(h.node.redis.Keys())
	return strings.Join([]string{
		"# Server", "redis_version:7.0.0", "redis_mode:cluster", fmt.Sprintf("tcp_port:%d", h.node.port), "",
		"# Clients", fmt.Sprintf("connected_clients:%d", h.node.server.ClientsLen()), "",
		"# Stats", fmt.Sprintf("total_connections_received:%d", h.node.server.TotalConnections()),
		fmt.Sprintf("total_commands_processed:%d", h.node.server.TotalCommands()), "",
		"# Replication", "role:master", "connected_slaves:0", "",
		"# Cluster", "cluster_enabled:1", "",
		"# Keyspace", fmt.Sprintf("db0:keys=%d,expires=0,avg_ttl=0", keys), "",
	}, "\r\n")
}

func slotOf(key string) uint16 { return cluster.Slot([]byte(key)) }
