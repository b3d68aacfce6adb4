package cluster

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// checkMap fails when m contradicts itself.
func checkMap(t testing.TB, m *Map) {
	t.Helper()
	covered := 0
	for slot := range Slots {
		owner := m.Master(uint16(slot))
		if owner < 0 {
			continue
		}
		covered++
		if owner >= len(m.Nodes()) || m.Nodes()[owner].Replica {
			t.Fatalf("slot %d: node %d cannot own it", slot, owner)
		}
	}
	if covered != m.Covered() {
		t.Fatalf("%d slots covered, but Covered says %d", covered, m.Covered())
	}
	healthy := 0
	for i, n := range m.Nodes() {
		checkNode(t, m, i, n)
		if n.Healthy && n.MasterIndex >= 0 {
			healthy++
		}
		for _, r := range m.Replicas(i) {
			if m.Nodes()[r].MasterIndex != i || !m.Nodes()[r].Healthy {
				t.Fatalf("node %d is no healthy replica of %d", r, i)
			}
			healthy--
		}
	}
	if healthy != 0 {
		t.Fatalf("%d healthy replicas are missing", healthy)
	}
	if !m.Equal(m) || !strings.HasPrefix(m.String(), fmt.Sprintf("%d nodes, %d slots", len(m.Nodes()), covered)) {
		t.Fatal("bad dump")
	}
}

func checkNode(t testing.TB, m *Map, i int, n Node) {
	t.Helper()
	if _, ok := ParseRedirect([]byte("MOVED 1 " + n.Addr)); !ok {
		t.Fatalf("cannot be dialled: %q", n.Addr)
	}
	switch {
	case n.MasterIndex >= len(m.Nodes()) || n.MasterIndex < -1:
		t.Fatalf("node %d: master %d", i, n.MasterIndex)
	case n.MasterIndex >= 0 && (!n.Replica || m.Nodes()[n.MasterIndex].Replica):
		t.Fatalf("node %d cannot be a replica of %d", i, n.MasterIndex)
	case n.Epoch > m.Epoch():
		t.Fatalf("node %d: epoch %d above %d", i, n.Epoch, m.Epoch())
	}
}

func mustParse(t testing.TB, text string) *Map {
	t.Helper()
	m, err := ParseNodes([]byte(text), asked)
	require.NoError(t, err)
	return m
}

func nodeLine(id, addr, flags, master string, epoch int, slots string) string {
	return fmt.Sprintf("%s %s %s %s 0 0 %d connected %s\n", id, addr, flags, master, epoch, slots)
}

func TestMapAccessors(t *testing.T) {
	m := mustParse(t, nodeLine(idB, "10.0.0.2:7000@17000", "master", "-", 2, "100-199 300")+
		nodeLine(idA, "10.0.0.1:7000@17000,one", "master", "-", 3, "0-99")+
		nodeLine(idC, "10.0.0.3:7000@17000", "slave", idB, 2, "")+
		nodeLine(idD, "10.0.0.4:7000@17000", "slave,fail", idB, 2, ""))
	assert.Equal(t, []Node{
		{ID: idA, Addr: "10.0.0.1:7000", Hostname: "one", MasterIndex: -1, Healthy: true, Epoch: 3},
		{ID: idB, Addr: "10.0.0.2:7000", MasterIndex: -1, Healthy: true, Epoch: 2},
		{ID: idC, Addr: "10.0.0.3:7000", Replica: true, MasterIndex: 1, Healthy: true, Epoch: 2},
		{ID: idD, Addr: "10.0.0.4:7000", Replica: true, MasterIndex: 1, Epoch: 2},
	}, m.Nodes())
	for slot, want := range map[uint16]int{0: 0, 99: 0, 100: 1, 199: 1, 200: -1, 300: 1, 16383: -1, Slots: 0} {
		assert.Equal(t, want, m.Master(slot), "slot %d", slot)
	}
	assert.Equal(t, []int{2}, m.Replicas(1))
	for _, node := range []int{-1, 0, 2, 4, 1000} {
		assert.Empty(t, m.Replicas(node), "node %d", node)
	}
	assert.Equal(t, 201, m.Covered())
	assert.Equal(t, uint64(3), m.Epoch())
	assert.Equal(t, []Range{{100, 199}, {300, 300}}, m.Ranges(1))
	assert.Empty(t, m.Ranges(-1))
	assert.Empty(t, m.Ranges(2))
}

func TestEqual(t *testing.T) {
	master := func(addr string, epoch int, slots string) string {
		return nodeLine(idA, addr, "master", "-", epoch, slots)
	}
	base := master("10.0.0.1:7000@17000", 1, "0-99") + nodeLine(idB, "10.0.0.2:7000", "slave", idA, 1, "")
	m := mustParse(t, base)
	assert.True(t, m.Equal(mustParse(t, base)))
	assert.True(t, m.Equal(m))
	assert.True(t, m.Equal(mustParse(t, nodeLine(idB, "10.0.0.2:7000", "slave", idA, 1, "")+
		master("10.0.0.1:7000@17000,name", 7, "50-99 0-49"))), "order, epochs and host names do not count")
	withoutIDs, err := ParseSlots([]byte(encode(list{list{0, 99, list{"10.0.0.1", 7000}, list{"10.0.0.2", 7000}}}, 2)), asked)
	require.NoError(t, err)
	assert.True(t, m.Equal(withoutIDs))
	assert.True(t, withoutIDs.Equal(m))

	replica := nodeLine(idB, "10.0.0.2:7000", "slave", idA, 1, "")
	for name, other := range map[string]string{
		"a slot less":       master("10.0.0.1:7000", 1, "0-98") + replica,
		"another slot":      master("10.0.0.1:7000", 1, "1-100") + replica,
		"another port":      master("10.0.0.1:7001", 1, "0-99") + replica,
		"no replica":        master("10.0.0.1:7000", 1, "0-99"),
		"replica failed":    master("10.0.0.1:7000", 1, "0-99") + nodeLine(idB, "10.0.0.2:7000", "slave,fail", idA, 1, ""),
		"replica of nobody": master("10.0.0.1:7000", 1, "0-99") + nodeLine(idB, "10.0.0.2:7000", "slave", "-", 1, ""),
		"two masters":       master("10.0.0.1:7000", 1, "0-99") + nodeLine(idB, "10.0.0.2:7000", "master", "-", 1, ""),
		"another ID":        master("10.0.0.1:7000", 1, "0-99") + nodeLine(idC, "10.0.0.2:7000", "slave", idA, 1, ""),
	} {
		assert.False(t, m.Equal(mustParse(t, other)), name)
		assert.False(t, mustParse(t, other).Equal(m), name)
	}

	var none *Map
	assert.True(t, none.Equal(nil))
	assert.False(t, none.Equal(m))
	assert.False(t, m.Equal(nil))
}

func TestMasterAllocatesNothing(t *testing.T) {
	m := mustParse(t, nodeLine(idA, "10.0.0.1:7000", "master", "-", 1, "0-16383"))
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		if n := m.Master(4711); n != 0 || len(m.Replicas(n)) != 0 || m.Nodes()[n].Replica {
			t.Fatal("wrong owner")
		}
	}))
}

func BenchmarkMaster(b *testing.B) {
	m := mustParse(b, nodeLine(idA, "10.0.0.1:7000", "master", "-", 1, "0-16383"))
	b.ReportAllocs()
	slot := uint16(0)
	for b.Loop() {
		slot += uint16(m.Master(slot)) + 1
	}
}

func BenchmarkSlotAndMaster(b *testing.B) {
	m := mustParse(b, nodeLine(idA, "10.0.0.1:7000", "master", "-", 1, "0-16383"))
	key := []byte("user:0000001000:profile")
	b.ReportAllocs()
	for b.Loop() {
		m.Master(Slot(key))
	}
}

func TestOwnerEpochIsThatOfNodesWithSlots(t *testing.T) {
	m, err := ParseNodes([]byte(
		idA+" 10.0.0.1:7000@1 master - 0 0 3 connected 0-99\n"+
			idB+" 10.0.0.2:7000@1 master - 0 0 2 connected 100\n"+
			idC+" 10.0.0.3:7000@1 master - 0 0 9 connected\n"), asked)
	require.NoError(t, err)
	assert.EqualValues(t, 9, m.Epoch())
	assert.EqualValues(t, 3, m.OwnerEpoch())
}

func TestSameCluster(t *testing.T) {
	parse := func(ids ...string) *Map {
		var l list
		for i, id := range ids {
			node := list{"10.0.0.1", 7000 + i}
			if id != "" {
				node = append(node, id)
			}
			l = append(l, list{i, i, node})
		}
		m, err := ParseSlots([]byte(encode(l, 2)), asked)
		require.NoError(t, err)
		return m
	}
	for _, tt := range []struct {
		a, b []string
		want bool
	}{
		{[]string{idA}, []string{idA}, true},
		{[]string{idA, idB}, []string{idC, idB}, true},
		{[]string{idA, idB}, []string{idC, idD}, false},
		{[]string{""}, []string{idA}, true},
	} {
		assert.Equal(t, tt.want, parse(tt.a...).SameCluster(parse(tt.b...)))
		assert.Equal(t, tt.want, parse(tt.b...).SameCluster(parse(tt.a...)))
	}
}
