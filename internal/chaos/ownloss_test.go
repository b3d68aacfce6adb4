package chaos

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// TestOnlyDeletedKeysAreExcused runs the real load, of one client, against a fake that
// deletes the keys of a slot, or does something else, when Redis was seen to lose slots.
func TestOnlyDeletedKeysAreExcused(t *testing.T) {
	var every []uint16
	for shard := range Shards {
		every = append(every, ShardSlots(shard)...)
	}
	for _, c := range []struct {
		wrong string
		own   []uint16
		want  string // in a violation; "" for none
	}{
		{"nothing", every, ""},
		{"failed", every, ""},
		{"wiped", nil, "acknowledged"},
		{"wiped", []uint16{wiped}, ""},
		{"wiped", []uint16{wiped + 1}, "acknowledged"},
		{"wiped and failed", []uint16{wiped}, ""},
		{"wiped and doubled there", []uint16{wiped}, "twice"},
		{"lost", every, "is one behind what is there"},
		{"doubled", every, "twice"},
		{"liar", every, "error said that it was not executed"},
		{"reordered", every, "client 1"},
		{"swapped", every, "client 1"},
		{"hung", every, "hangs"},
		{"closed", every, "the daemon closed the connection"},
	} {
		t.Run(fmt.Sprint(c.wrong, " where ", len(c.own), " slots were lost"), func(t *testing.T) {
			r := runFake(c.wrong, false, c.own...)
			if c.want == "" {
				assert.Empty(t, r.Violations)
				assert.Equal(t, strings.Contains(c.wrong, "wiped"), r.Lost > 0, r.Lost)
				return
			}
			assert.Contains(t, strings.Join(r.Violations, "\n"), c.want)
		})
	}
}

func TestNumberThatBeginsAnewIsCountedFromThere(t *testing.T) {
	m := newMeter(1000, false)
	assert.Empty(t, m.ack(int64(1001), 1))
	assert.Empty(t, m.ack(int64(1002), 1))
	m.unsure(1)
	p := m.ack(int64(1), 1)
	assert.Equal(t, 1, p.short)
	assert.EqualValues(t, 2, p.lost)
	assert.Empty(t, m.ack(int64(3), 1), "with the open one")
	assert.Contains(t, m.ack(int64(5), 1).text, "executed twice")

	m = newMeter(1000, false)
	assert.Empty(t, m.ack(int64(1001), 1))
	p = m.ack(int64(7), 1)
	assert.Contains(t, p.text, "another command")
	assert.Zero(t, p.short, "nobody has added 7 since it began anew")
	m = newMeter(1000, false)
	assert.Empty(t, m.ack(int64(1001), 1))
	_, p = m.final(3)
	assert.Zero(t, p.short)
}

func TestProblemsOfSeveralKeys(t *testing.T) {
	a, b, hard := gone("a", "no a"), gone("b", "no b"), bad("no")
	slot := testredis.Slot
	for _, c := range []struct {
		name    string
		p       problem
		own     []uint16
		excused bool
	}{
		{"nothing", problem{}.with(problem{}), []uint16{slot("a")}, false},
		{"one, lost", a.with(problem{}), []uint16{slot("a")}, true},
		{"one, not lost", problem{}.with(a), []uint16{slot("b")}, false},
		{"two, one lost", a.with(b), []uint16{slot("b")}, false},
		{"two, both lost", a.with(b), []uint16{slot("b"), slot("a")}, true},
		{"two, one is something else", a.with(hard), []uint16{slot("a")}, false},
		{"the other way round", hard.with(a), []uint16{slot("a")}, false},
		{"one of two, as EXISTS counts", problem{text: "x", short: 1, keys: []string{"a", "b"}}, []uint16{slot("b")}, true},
		{"two of two", problem{text: "x", short: 2, keys: []string{"a", "b"}}, []uint16{slot("b")}, false},
	} {
		slots := map[uint16]bool{}
		for _, s := range c.own {
			slots[s] = true
		}
		assert.Equal(t, c.excused, c.p.excused(slots), c.name)
	}
	assert.Equal(t, hard, a.with(hard))
	assert.Equal(t, hard, hard.with(a))
}

// thief is a test that lets nodes lose a slot to others who have no right to it.
type thief struct {
	*testing.T
	*Cluster
	slot uint16
}

// steal makes a node claim the slot with a later epoch, and waits until the owner
// has heard of it, and dropped all keys.
func (t thief) steal(from, to *testredis.Node) {
	for _, cmd := range [][]any{
		{"CLUSTER", "SETSLOT", t.slot, "IMPORTING", from.ID()},
		{"CLUSTER", "SETSLOT", t.slot, "NODE", to.ID()},
	} {
		_, err := to.Do(cmd...)
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return t.count(from) == 0 && t.Master(t.slot) == to }, settleTimeout, 5*time.Millisecond)
}

// count returns how many keys of the slot a node has.
func (t thief) count(n *testredis.Node) int {
	counts, err := countsOf(n, []uint16{t.slot})
	require.NoError(t, err)
	return counts[0]
}

// push puts an element at the end of 20 lists of the slot, and waits until the replica has
// them.
func (t thief) push(n *testredis.Node) {
	for i := range 20 {
		_, err := n.Do("RPUSH", fmt.Sprintf("{%s}%d", keyOf(t.slot), i), n.ID())
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return t.count(t.Replicas(n)[0]) == 20 }, settleTimeout, 5*time.Millisecond)
}

// masters returns the masters of the three shards.
func (t thief) masters() (a, b, c *testredis.Node) {
	var all [Shards]*testredis.Node
	for shard := range all {
		n, err := t.Owner(shard)
		require.NoError(t, err)
		all[shard] = n
	}
	return all[0], all[1], all[2]
}

func TestKeysThatRedisItselfLosesAreSeen(t *testing.T) {
	cluster := startCluster(t)
	for i, c := range []struct {
		name string
		do   func(t thief, a, b, c *testredis.Node) // the slot is at a, and has 20 keys
		want func(a, b, c *testredis.Node) *OwnLoss
	}{
		{
			"moved there and back",
			func(t thief, a, b, _ *testredis.Node) {
				for range 3 {
					require.NoError(t, t.MigrateSlot(t.slot, b))
					t.push(b)
					require.NoError(t, t.MigrateSlot(t.slot, a))
					t.push(a)
				}
				require.NoError(t, t.Whole())
				t.auditAll()
			},
			func(_, _, _ *testredis.Node) *OwnLoss { return nil },
		},
		{
			"dropped by the old owner",
			func(t thief, a, b, _ *testredis.Node) {
				require.NoError(t, t.BeginMigrate(t.slot, b))
				t.steal(a, b)
				require.NoError(t, t.FinishMigrate(t.slot))
			},
			func(a, _, _ *testredis.Node) *OwnLoss { return &OwnLoss{a.Announced(), 0, 20, 0, byReplica} },
		},
		{
			"dropped by the new owner",
			func(t thief, a, b, c *testredis.Node) {
				require.NoError(t, t.BeginMigrate(t.slot, b))
				require.NoError(t, t.moveAll(t.slot))
				t.arrived(t.slot)
				require.Empty(t, t.ownLosses())
				for _, n := range []*testredis.Node{b, a} {
					_, err := n.Do("CLUSTER", "SETSLOT", t.slot, "NODE", b.ID())
					require.NoError(t, err)
				}
				t.steal(b, c)
				t.arrived(t.slot)
			},
			func(_, b, _ *testredis.Node) *OwnLoss { return &OwnLoss{b.Announced(), 0, 20, 0, byCount} },
		},
		{
			"dropped and written again",
			func(t thief, a, b, _ *testredis.Node) {
				require.NoError(t, t.BeginMigrate(t.slot, b))
				t.steal(a, b)
				t.steal(b, a)
				t.push(a)
				t.audit(t.slot)
				require.Empty(t, t.ownLosses(), "the keys are the same")
				t.auditAll()
			},
			func(a, _, _ *testredis.Node) *OwnLoss { return &OwnLoss{a.Announced(), 0, 20, 0, byReplica} },
		},
		{
			"told by the log alone",
			func(t thief, a, b, _ *testredis.Node) {
				require.NoError(t, t.BeginMigrate(t.slot, b))
				t.steal(a, b)
				require.NoError(t, t.Cluster.Cluster.FinishMigrate(t.slot))
				t.push(b)
				t.newRound()
				require.NoError(t, t.BeginMigrate(t.slot, a))
				require.NoError(t, t.moveAll(t.slot))
				p := couple{a, t.Replicas(a)[0]}
				require.Eventually(t, func() bool { return t.refused(p.replica) == 20 }, settleTimeout, 5*time.Millisecond)
				t.blame(p, 20)
			},
			func(a, _, _ *testredis.Node) *OwnLoss { return &OwnLoss{a.Announced(), 0, 20, 0, byLog} },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			th := thief{t, cluster, ShardSlots(0)[1+i]}
			x, y, z := th.masters()
			th.newRound()
			th.push(x)
			c.do(th, x, y, z)
			var want []OwnLoss
			if l := c.want(x, y, z); l != nil {
				l.Slot = th.slot
				want = append(want, *l)
			}
			assert.Equal(t, want, th.ownLosses())
		})
	}
}
