package redis

import (
	"crypto/sha1"
	"encoding/hex"
	"strconv"

	"samaritan/proc/redis/cluster"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

// clusterFuncs are the subcommands of CLUSTER. To a client that insists on a cluster
// the proxy is one: a single master with all slots, at the address that the client is
// connected to, so that nothing ever has to be redirected.
var clusterFuncs = map[string]localFunc{
	"cluster|count-failure-reports": (*session).clusterFailureReports,
	"cluster|info":                  (*session).clusterInfo,
	"cluster|keyslot":               (*session).clusterKeySlot,
	"cluster|links":                 (*session).clusterLinks,
	"cluster|myid":                  (*session).clusterMyID,
	"cluster|myshardid":             (*session).clusterMyShardID,
	"cluster|nodes":                 (*session).clusterNodes,
	"cluster|replicas":              (*session).clusterReplicas,
	"cluster|shards":                (*session).clusterShards,
	"cluster|slaves":                (*session).clusterReplicas,
	"cluster|slots":                 (*session).clusterSlots,
	"cluster|help": help(
		"CLUSTER <subcommand> [<arg> ...]. The proxy shows itself as the only node. The subcommands that it knows are:",
		"COUNT-FAILURE-REPORTS <node-id>",
		"    0 for its own id.",
		"INFO",
		"    The state of the cluster in short.",
		"KEYSLOT <key>",
		"    The hash slot of a key.",
		"LINKS",
		"    Empty, as there are no other nodes.",
		"MYID",
		"    Its node id.",
		"MYSHARDID",
		"    The id of its shard.",
		"NODES",
		"    The list of nodes, one line each.",
		"REPLICAS <node-id>",
		"    Empty for its own id.",
		"SHARDS",
		"    The slots and nodes of each shard.",
		"SLOTS",
		"    The nodes of each range of slots.",
	),
}

const lastSlot = cluster.Slots - 1

// nodeID is the id of the proxy as a node: the same for all connections to one
// address, in this process and its successors.
func (a socketAddress) nodeID() string { return fingerprint("samaritan node " + a.String()) }

func (a socketAddress) shardID() string { return fingerprint("samaritan shard " + a.String()) }

// fingerprint makes a text into 40 hexadecimal digits, the form of Redis' ids.
func fingerprint(s string) string {
	sum := sha1.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

func (s *session) clusterMyID(*command.Info, []byte, []resp.Arg) {
	s.reply(resp.AppendBulkString(s.scratch(), localAddress(s.fd).nodeID()))
}

func (s *session) clusterMyShardID(*command.Info, []byte, []resp.Arg) {
	s.reply(resp.AppendBulkString(s.scratch(), localAddress(s.fd).shardID()))
}

func (s *session) clusterKeySlot(_ *command.Info, frame []byte, args []resp.Arg) {
	s.reply(resp.AppendInt(s.scratch(), int64(cluster.Slot(argument(frame, args, 2)))))
}

func (s *session) clusterLinks(*command.Info, []byte, []resp.Arg) {
	s.reply(resp.AppendArrayHeader(s.scratch(), 0))
}

// clusterInfo reports a failed cluster while no slot map is known.
func (s *session) clusterInfo(*command.Info, []byte, []resp.Arg) {
	state := "ok"
	if s.w.view == nil {
		state = "fail"
	}
	slots := strconv.Itoa(cluster.Slots)
	text := "cluster_state:" + state + "\r\n" +
		"cluster_slots_assigned:" + slots + "\r\n" +
		"cluster_slots_ok:" + slots + "\r\n" +
		"cluster_slots_pfail:0\r\n" +
		"cluster_slots_fail:0\r\n" +
		"cluster_known_nodes:1\r\n" +
		"cluster_size:1\r\n" +
		"cluster_current_epoch:1\r\n" +
		"cluster_my_epoch:1\r\n" +
		"cluster_stats_messages_sent:0\r\n" +
		"cluster_stats_messages_received:0\r\n" +
		"total_cluster_links_buffer_limit_exceeded:0\r\n"
	s.reply(resp.AppendVerbatim(s.scratch(), "txt", text, s.resp3()))
}

// clusterNodes gives the bus port as 0: there is no bus.
func (s *session) clusterNodes(*command.Info, []byte, []resp.Arg) {
	a := localAddress(s.fd)
	line := a.nodeID() + " " + a.ip + ":" + strconv.Itoa(a.port) +
		"@0 myself,master - 0 0 1 connected 0-" + strconv.Itoa(lastSlot) + "\n"
	s.reply(resp.AppendVerbatim(s.scratch(), "txt", line, s.resp3()))
}

func (s *session) clusterSlots(*command.Info, []byte, []resp.Arg) {
	a := localAddress(s.fd)
	b := resp.AppendArrayHeader(s.scratch(), 1)
	b = resp.AppendArrayHeader(b, 3)
	b = resp.AppendInt(b, 0)
	b = resp.AppendInt(b, lastSlot)
	b = resp.AppendArrayHeader(b, 4)
	b = resp.AppendBulkString(b, a.ip)
	b = resp.AppendInt(b, int64(a.port))
	b = resp.AppendBulkString(b, a.nodeID())
	s.reply(resp.AppendMapHeader(b, 0, s.resp3()))
}

func (s *session) clusterShards(*command.Info, []byte, []resp.Arg) {
	a := localAddress(s.fd)
	b := resp.AppendArrayHeader(s.scratch(), 1)
	b = resp.AppendMapHeader(b, 2, s.resp3())
	b = resp.AppendBulkString(b, "slots")
	b = resp.AppendArrayHeader(b, 2)
	b = resp.AppendInt(b, 0)
	b = resp.AppendInt(b, lastSlot)
	b = resp.AppendBulkString(b, "nodes")
	b = resp.AppendArrayHeader(b, 1)
	b = resp.AppendMapHeader(b, 7, s.resp3())
	b = appendPair(b, "id", a.nodeID())
	b = appendNumber(b, "port", int64(a.port))
	b = appendPair(b, "ip", a.ip)
	b = appendPair(b, "endpoint", a.ip)
	b = appendPair(b, "role", "master")
	b = appendNumber(b, "replication-offset", 0)
	s.reply(appendPair(b, "health", "online"))
}

func (s *session) clusterReplicas(info *command.Info, frame []byte, args []resp.Arg) {
	if s.knowsNode(info, frame, args) {
		s.reply(resp.AppendArrayHeader(s.scratch(), 0))
	}
}

func (s *session) clusterFailureReports(info *command.Info, frame []byte, args []resp.Arg) {
	if s.knowsNode(info, frame, args) {
		s.reply(resp.AppendInt(s.scratch(), 0))
	}
}

// knowsNode reports whether the id in the request is the proxy's own, and answers
// with the error if not.
func (s *session) knowsNode(info *command.Info, frame []byte, args []resp.Arg) bool {
	id := argument(frame, args, 2)
	if string(id) == localAddress(s.fd).nodeID() {
		return true
	}
	s.fail(info, "ERR Unknown node "+cString(id))
	return false
}
