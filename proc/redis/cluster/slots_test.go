package cluster

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// slotsCases are replies to CLUSTER SLOTS as the versions write them.
var slotsCases = []struct {
	name  string
	reply list
	want  string
}{
	{"Redis 3: no IDs", list{
		list{0, 8191, list{"10.0.0.1", 7000}, list{"10.0.0.3", 7000}},
		list{8192, 16383, list{"10.0.0.2", 7000}},
	}, dump("3 nodes, 16384 slots covered",
		"10.0.0.1:7000 master slots 0-8191",
		"  10.0.0.3:7000 replica",
		"10.0.0.2:7000 master slots 8192-16383")},

	{"Redis 4, 5, 6: IDs, a master with several ranges", list{
		list{0, 99, list{"10.0.0.1", 7000, idA}, list{"10.0.0.3", 7000, idC}},
		list{100, 16000, list{"10.0.0.2", 7000, idB}, list{"10.0.0.4", 7000, idD}},
		list{16001, 16383, list{"10.0.0.1", 7000, idA}, list{"10.0.0.3", 7000, idC}},
	}, dump("4 nodes, 16384 slots covered",
		"10.0.0.1:7000 master "+idA+" slots 0-99,16001-16383",
		"  10.0.0.3:7000 replica "+idC,
		"10.0.0.2:7000 master "+idB+" slots 100-16000",
		"  10.0.0.4:7000 replica "+idD)},

	{"Redis 4: a node that has not met anybody does not know its address", list{
		list{0, 16383, list{"", 7000, idA}},
	}, dump("1 nodes, 16384 slots covered", "10.0.0.9:7000 master "+idA+" slots 0-16383")},

	{"Redis 7 and 8, Valkey: empty metadata", list{
		list{0, 16383, list{"10.0.0.1", 7000, idA, list{}}, list{"10.0.0.3", 7000, idC, dict{}}},
	}, dump("2 nodes, 16384 slots covered",
		"10.0.0.1:7000 master "+idA+" slots 0-16383",
		"  10.0.0.3:7000 replica "+idC)},

	{"Redis 7: endpoint type ip, host names announced", list{
		list{0, 16383, list{"10.0.0.1", 7000, idA, dict{"hostname", "one.example"}}},
	}, dump("1 nodes, 16384 slots covered", "10.0.0.1:7000 master "+idA+" one.example slots 0-16383")},

	{"Redis 7: endpoint type hostname, one node has none", list{
		list{
			0, 16383,
			list{"one.example", 7000, idA, dict{"ip", "10.0.0.1"}},
			list{"?", 7000, idC, dict{"ip", "10.0.0.3"}},
		},
	}, dump("2 nodes, 16384 slots covered",
		"one.example:7000 master "+idA+" slots 0-16383",
		"  10.0.0.3:7000 replica "+idC)},

	{"Redis 7: endpoint type hostname, nothing known", list{
		list{0, 16383, list{"?", 7000, idA, dict{}}},
	}, dump("1 nodes, 16384 slots covered", "10.0.0.9:7000 master "+idA+" slots 0-16383")},

	{"Redis 7: endpoint type unknown-endpoint", list{
		list{
			0, 16383,
			list{nil, 7000, idA, dict{"ip", "172.17.0.2", "hostname", "one"}},
			list{nil, 7001, idC, dict{"ip", "172.17.0.3"}},
		},
	}, dump("2 nodes, 16384 slots covered",
		"10.0.0.9:7000 master "+idA+" one slots 0-16383",
		"  10.0.0.9:7001 replica "+idC)},

	{"Valkey: metadata of later versions", list{
		list{0, 16383, list{"10.0.0.1", 7000, idA, dict{"availability-zone", "az1", "hostname", "one", "later", list{1, nil}}}},
	}, dump("1 nodes, 16384 slots covered", "10.0.0.1:7000 master "+idA+" one slots 0-16383")},

	{"IPv6", list{
		list{0, 16383, list{"2001:db8::1", 7000, idA, list{}}, list{"::1", 7001, idC}},
	}, dump("2 nodes, 16384 slots covered",
		"[2001:db8::1]:7000 master "+idA+" slots 0-16383",
		"  [::1]:7001 replica "+idC)},

	{"single slots and gaps", list{
		list{5, 5, list{"10.0.0.1", 7000, idA}},
		list{6, 6, list{"10.0.0.1", 7000, idA}},
		list{16383, 16383, list{"10.0.0.1", 7000, idA}},
	}, dump("1 nodes, 3 slots covered", "10.0.0.1:7000 master "+idA+" slots 5-6,16383")},
}

func TestParseSlots(t *testing.T) {
	for _, tt := range slotsCases {
		for protocol := 2; protocol <= 3; protocol++ {
			m, err := ParseSlots([]byte(encode(tt.reply, protocol)), asked)
			require.NoError(t, err, tt.name)
			checkMap(t, m)
			assert.Equal(t, tt.want, m.String(), "%s, RESP%d", tt.name, protocol)
		}
	}
}

func TestParseSlotsUsesTheGoodPart(t *testing.T) {
	good := list{0, 99, list{"10.0.0.1", 7000, idA}, list{"10.0.0.3", 7000, idC}}
	want := dump("2 nodes, 100 slots covered",
		"10.0.0.1:7000 master "+idA+" slots 0-99",
		"  10.0.0.3:7000 replica "+idC)
	for name, bad := range map[string]any{
		"null":                                nil,
		"a number":                            7,
		"a string":                            "0-100",
		"an empty entry":                      list{},
		"no nodes":                            list{100, 200},
		"a null node":                         list{100, 200, nil},
		"an empty node":                       list{100, 200, list{}},
		"no port":                             list{100, 200, list{"10.0.0.2"}},
		"port 0":                              list{100, 200, list{"10.0.0.2", 0, idB}},
		"port too large":                      list{100, 200, list{"10.0.0.2", 65536, idB}},
		"port negative":                       list{100, 200, list{"10.0.0.2", -1, idB}},
		"port a word":                         list{100, 200, list{"10.0.0.2", "redis", idB}},
		"host with spaces":                    list{100, 200, list{"10.0.0.2 or so", 7000, idB}},
		"host with a line end":                list{100, 200, list{"10.0.0.2\r\n", 7000, idB}},
		"host like an address":                list{100, 200, list{"fe80::1::2", 7000, idB}},
		"a slot above":                        list{100, 16384, list{"10.0.0.2", 7000, idB}},
		"a slot far above":                    list{100, 1 << 40, list{"10.0.0.2", 7000, idB}},
		"a slot below":                        list{-1, 100, list{"10.0.0.2", 7000, idB}},
		"first above last":                    list{200, 100, list{"10.0.0.2", 7000, idB}},
		"slots that are no number":            list{"a", "b", list{"10.0.0.2", 7000, idB}},
		"the same nodes, all overlapping":     list{0, 99, list{"10.0.0.1", 7000, idA}},
		"the same replica, overlapping":       list{50, 50, list{"10.0.0.1", 7000, idA}, list{"10.0.0.3", 7000, idC}},
		"the master as its own replica":       list{50, 50, list{"10.0.0.1", 7000, idA}, list{"10.0.0.1", 7000, idA}},
		"the replica again, without a master": list{50, 50, list{"", 0}, list{"10.0.0.3", 7000, idC}},
	} {
		for protocol := 2; protocol <= 3; protocol++ {
			m, err := ParseSlots([]byte(encode(list{good, bad}, protocol)), asked)
			require.NoError(t, err, name)
			assert.Equal(t, want, m.String(), "%s behind, RESP%d", name, protocol)
			m, err = ParseSlots([]byte(encode(list{bad, good}, protocol)), asked)
			require.NoError(t, err, name)
			checkMap(t, m)
			assert.Equal(t, 100, m.Covered(), "%s before, RESP%d", name, protocol)
		}
	}
}

func TestParseSlotsFirstOwnerOfAnOverlapStays(t *testing.T) {
	m, err := ParseSlots([]byte(encode(list{
		list{0, 100, list{"10.0.0.1", 7000, idA}},
		list{50, 200, list{"10.0.0.2", 7000, idB}},
	}, 2)), asked)
	require.NoError(t, err)
	assert.Equal(t, dump("2 nodes, 201 slots covered",
		"10.0.0.1:7000 master "+idA+" slots 0-100",
		"10.0.0.2:7000 master "+idB+" slots 101-200"), m.String())
}

func TestParseSlotsReplicaOfAnUnusableMasterIsKept(t *testing.T) {
	m, err := ParseSlots([]byte(encode(list{
		list{0, 100, list{"10.0.0.1", 0, idA}, list{"10.0.0.3", 7000, idC}},
	}, 2)), asked)
	require.NoError(t, err)
	assert.Equal(t, dump("1 nodes, 0 slots covered", "10.0.0.3:7000 replica "+idC), m.String())
	assert.Equal(t, -1, m.Nodes()[0].MasterIndex)
	assert.Equal(t, -1, m.Master(0))
}

func TestParseSlotsANodeThatOwnsSlotsIsAMaster(t *testing.T) {
	m, err := ParseSlots([]byte(encode(list{
		list{0, 100, list{"10.0.0.1", 7000, idA}, list{"10.0.0.2", 7000, idB}},
		list{101, 200, list{"10.0.0.2", 7000, idB}, list{"10.0.0.1", 7000, idA}},
	}, 2)), asked)
	require.NoError(t, err)
	assert.Equal(t, dump("2 nodes, 201 slots covered",
		"10.0.0.1:7000 master "+idA+" slots 0-100",
		"10.0.0.2:7000 master "+idB+" slots 101-200"), m.String())
}
