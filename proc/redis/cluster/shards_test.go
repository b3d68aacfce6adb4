package cluster

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shardNodeReply is a node of CLUSTER SHARDS as Redis 7 writes it, with extra fields at the end.
func shardNodeReply(id, ip string, port int, role, health string, extra ...any) dict {
	n := dict{
		"id", id, "port", port, "ip", ip, "endpoint", ip,
		"role", role, "replication-offset", 1200, "health", health,
	}
	return append(n, extra...)
}

var shardsCases = []struct {
	name  string
	reply list
	want  string
}{
	{"Redis 7 and 8: masters and replicas, several ranges, a master without slots", list{
		dict{"slots", list{0, 99, 200, 299}, "nodes", list{
			shardNodeReply(idC, "10.0.0.3", 7000, "replica", "online"),
			shardNodeReply(idA, "10.0.0.1", 7000, "master", "online", "hostname", "one.example"),
		}},
		dict{"slots", list{100, 199}, "nodes", list{shardNodeReply(idB, "10.0.0.2", 7000, "master", "online")}},
		dict{"slots", list{}, "nodes", list{shardNodeReply(idD, "10.0.0.4", 7000, "master", "online")}},
	}, dump("4 nodes, 300 slots covered",
		"10.0.0.1:7000 master "+idA+" one.example slots 0-99,200-299",
		"  10.0.0.3:7000 replica "+idC,
		"10.0.0.2:7000 master "+idB+" slots 100-199",
		"10.0.0.4:7000 master "+idD)},

	{"replicas that load or failed", list{
		dict{"slots", list{0, 16383}, "nodes", list{
			shardNodeReply(idA, "10.0.0.1", 7000, "master", "online"),
			shardNodeReply(idB, "10.0.0.2", 7000, "replica", "loading"),
			shardNodeReply(idC, "10.0.0.3", 7000, "replica", "fail"),
			shardNodeReply(idD, "10.0.0.4", 7000, "replica", "online"),
		}},
	}, dump("4 nodes, 16384 slots covered",
		"10.0.0.1:7000 master "+idA+" slots 0-16383",
		"  10.0.0.2:7000 replica "+idB+" unhealthy",
		"  10.0.0.3:7000 replica "+idC+" unhealthy",
		"  10.0.0.4:7000 replica "+idD)},

	{"a master that failed keeps its slots", list{
		dict{"slots", list{0, 16383}, "nodes", list{shardNodeReply(idA, "10.0.0.1", 7000, "master", "fail")}},
	}, dump("1 nodes, 16384 slots covered", "10.0.0.1:7000 master "+idA+" unhealthy slots 0-16383")},

	{"Redis 7.2: the old master of a failover is still in the shard", list{
		dict{"slots", list{0, 16383}, "nodes", list{
			shardNodeReply(idA, "10.0.0.1", 7000, "master", "fail"),
			shardNodeReply(idB, "10.0.0.2", 7000, "master", "online"),
			shardNodeReply(idC, "10.0.0.3", 7000, "replica", "online"),
		}},
	}, dump("3 nodes, 16384 slots covered",
		"10.0.0.1:7000 master "+idA+" unhealthy",
		"10.0.0.2:7000 master "+idB+" slots 0-16383",
		"  10.0.0.3:7000 replica "+idC)},

	{"of two healthy masters the one with more data", list{
		dict{"slots", list{0, 16383}, "nodes", list{
			dict{"id", idA, "port", 7000, "endpoint", "10.0.0.1", "role", "master", "replication-offset", 10, "health", "online"},
			dict{"id", idB, "port", 7000, "endpoint", "10.0.0.2", "role", "master", "replication-offset", 20, "health", "online"},
		}},
	}, dump("2 nodes, 16384 slots covered",
		"10.0.0.1:7000 master "+idA,
		"10.0.0.2:7000 master "+idB+" slots 0-16383")},

	{"endpoint type hostname, one node has none", list{
		dict{"slots", list{0, 16383}, "nodes", list{
			dict{"id", idA, "port", 7000, "ip", "10.0.0.1", "endpoint", "one.example", "hostname", "one.example", "role", "master", "health", "online"},
			dict{"id", idB, "port", 7000, "ip", "10.0.0.2", "endpoint", "?", "role", "replica", "health", "online"},
		}},
	}, dump("2 nodes, 16384 slots covered",
		"one.example:7000 master "+idA+" one.example slots 0-16383",
		"  10.0.0.2:7000 replica "+idB)},

	{"endpoint type unknown-endpoint", list{
		dict{"slots", list{0, 16383}, "nodes", list{
			dict{"id", idA, "port", 7001, "ip", "172.17.0.2", "endpoint", nil, "role", "master", "health", "online"},
		}},
	}, dump("1 nodes, 16384 slots covered", "10.0.0.9:7001 master "+idA+" slots 0-16383")},

	{"no address known, and a node that has only a TLS port", list{
		dict{"slots", list{0, 99}, "nodes", list{shardNodeReply(idA, "", 7000, "master", "online")}},
		dict{"slots", list{100, 199}, "nodes", list{
			dict{"id", idB, "tls-port", 7000, "ip", "10.0.0.2", "endpoint", "10.0.0.2", "role", "master", "health", "online"},
		}},
	}, dump("1 nodes, 100 slots covered", "10.0.0.9:7000 master "+idA+" slots 0-99")},

	{"IPv6, and fields of later versions", list{
		dict{"id", "shard", "nodes", list{
			shardNodeReply(idA, "2001:db8::1", 7000, "master", "online", "availability-zone", "az1", "more", dict{"x", list{}}),
		}, "slots", list{0, 16383}, "more", 1},
	}, dump("1 nodes, 16384 slots covered", "[2001:db8::1]:7000 master "+idA+" slots 0-16383")},
}

func TestParseShards(t *testing.T) {
	for _, tt := range shardsCases {
		for protocol := 2; protocol <= 3; protocol++ {
			m, err := ParseShards([]byte(encode(tt.reply, protocol)), asked, false)
			require.NoError(t, err, tt.name)
			checkMap(t, m)
			assert.Equal(t, tt.want, m.String(), "%s, RESP%d", tt.name, protocol)
		}
	}
}

func TestParseShardsWithTLS(t *testing.T) {
	reply := []byte(encode(list{
		dict{"slots", list{0, 99}, "nodes", list{
			dict{"id", idA, "port", 7000, "tls-port", 7100, "endpoint", "10.0.0.1", "role", "master", "health", "online"},
		}},
		dict{"slots", list{100, 199}, "nodes", list{
			dict{"id", idB, "port", 7000, "endpoint", "10.0.0.2", "role", "master", "health", "online"},
		}},
	}, 3))
	m, err := ParseShards(reply, asked, true)
	require.NoError(t, err)
	assert.Equal(t, dump("1 nodes, 100 slots covered", "10.0.0.1:7100 master "+idA+" slots 0-99"), m.String())
	m, err = ParseShards(reply, asked, false)
	require.NoError(t, err)
	assert.Equal(t, 200, m.Covered())
}

func TestParseShardsUsesTheGoodPart(t *testing.T) {
	good := dict{"slots", list{0, 99}, "nodes", list{shardNodeReply(idA, "10.0.0.1", 7000, "master", "online")}}
	node := list{shardNodeReply(idB, "10.0.0.2", 7000, "master", "online")}
	for name, bad := range map[string]any{
		"null":                   nil,
		"a number":               7,
		"a string":               "nodes",
		"an empty shard":         dict{},
		"no nodes":               dict{"slots", list{100, 199}},
		"null nodes":             dict{"slots", list{100, 199}, "nodes", nil},
		"nodes of nothing":       dict{"slots", list{100, 199}, "nodes", list{nil, 1, "x", list{}, dict{}}},
		"a node without port":    dict{"slots", list{100, 199}, "nodes", list{dict{"id", idB, "endpoint", "10.0.0.2", "role", "master"}}},
		"a node without address": dict{"slots", list{100, 199}, "nodes", list{shardNodeReply(idB, " ", 7000, "master", "online")}},
		"port 0":                 dict{"slots", list{100, 199}, "nodes", list{shardNodeReply(idB, "10.0.0.2", 0, "master", "online")}},
		"keys that are no names": dict{list{}, 1, nil, 2, 3, 4, "slots", list{100, 199}, "nodes", 5},
	} {
		for protocol := 2; protocol <= 3; protocol++ {
			for _, reply := range []list{{good, bad}, {bad, good}} {
				m, err := ParseShards([]byte(encode(reply, protocol)), asked, false)
				require.NoError(t, err, name)
				assert.Equal(t, dump("1 nodes, 100 slots covered", "10.0.0.1:7000 master "+idA+" slots 0-99"), m.String(),
					"%s, RESP%d", name, protocol)
			}
		}
	}
	for name, slots := range map[string]any{
		"null":         nil,
		"odd":          list{100},
		"out of range": list{100, 16384, -1, 5},
		"reversed":     list{199, 100},
		"words":        list{"a", "b"},
		"nested":       list{list{100, 199}, list{200, 299}},
		"taken":        list{0, 99},
	} {
		m, err := ParseShards([]byte(encode(list{good, dict{"slots", slots, "nodes", node}}, 2)), asked, false)
		require.NoError(t, err, name)
		checkMap(t, m)
		assert.Equal(t, 100, m.Covered(), name)
		assert.Len(t, m.Nodes(), 2, name)
	}
}

func TestParseShardsWithoutMaster(t *testing.T) {
	m, err := ParseShards([]byte(encode(list{
		dict{"slots", list{0, 99}, "nodes", list{shardNodeReply(idC, "10.0.0.3", 7000, "replica", "online")}},
	}, 2)), asked, false)
	require.NoError(t, err)
	assert.Equal(t, dump("1 nodes, 0 slots covered", "10.0.0.3:7000 replica "+idC), m.String())
	assert.Equal(t, -1, m.Nodes()[0].MasterIndex)
}
