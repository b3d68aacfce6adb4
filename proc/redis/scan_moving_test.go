package redis

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// fillSlot sets n keys of one slot and returns their names.
func fillSlot(t *testing.T, c *testredis.Conn, slot uint16, n int) []string {
	t.Helper()
	return fill(t, c, key(slot, "in the slot:"), n)
}

// sorted joins lists of names.
func sorted(lists ...[]string) []string {
	all := slices.Concat(lists...)
	slices.Sort(all)
	return all
}

// other is a master that is not the owner of a slot.
func other(c *testredis.Cluster, slot uint16) *testredis.Node {
	n := c.Masters()
	return n[(slices.Index(n, c.Master(slot))+1)%len(n)]
}

// The owner is scanned past the slot's keys while they are elsewhere, and at the end
// it owns all that it owned at the beginning.
func TestScanReturnsTheKeysOfASlotThatWasAwayForAWhile(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{})
	p := startProxy(t, proxyOptions{}, c.Addrs()...).ready(t)
	conn := connect(t, p.Addr)
	const slot = 100
	all := sorted(fill(t, conn, "key:", 1500), fillSlot(t, conn, slot, 300))
	for _, proto := range []int{2, 3} {
		must(t, conn, "HELLO", proto)
		w := startWalk(conn)
		require.True(t, w.steps(t, 10))
		home := c.Master(slot)
		require.NoError(t, c.MigrateSlot(slot, other(c, slot)))
		require.True(t, w.steps(t, 30))
		require.NoError(t, c.MigrateSlot(slot, home))
		sameKeys(t, all, w.rest(t))
	}
}

// The same at the importing node: what it holds of the slot goes back to the owner and
// comes again.
func TestScanReturnsTheKeysOfASlotThatIsImportedTwice(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{})
	p := startProxy(t, proxyOptions{}, c.Addrs()...).ready(t)
	conn := connect(t, p.Addr)
	const slot = 100
	all := sorted(fill(t, conn, "key:", 1500), fillSlot(t, conn, slot, 300))
	home, away := c.Master(slot), other(c, slot)
	open := func() {
		require.NoError(t, c.BeginMigrate(slot, away))
		_, err := c.MigrateKeys(slot, 1000)
		require.NoError(t, err)
	}
	open()
	w := startWalk(conn)
	for !w.importing() {
		require.True(t, w.page(t))
	}
	require.True(t, w.steps(t, 5))
	require.True(t, w.importing(), "its scan takes longer")
	require.NoError(t, c.FinishMigrate(slot))
	require.NoError(t, c.MigrateSlot(slot, home))
	require.True(t, w.steps(t, 30))
	open()
	sameKeys(t, all, w.rest(t))
}

// A worker remembers where slots migrate to only until it is told otherwise.
func TestScanFollowsASlotThatMigratesOnFromProxyToProxy(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{})
	var conns []*testredis.Conn
	for range 2 {
		conns = append(conns, connect(t, startProxy(t, proxyOptions{}, c.Addrs()...).ready(t).Addr))
	}
	const slot = 100
	all := sorted(fill(t, conns[0], "key:", 600), fillSlot(t, conns[0], slot, 100))
	for round := range 4 {
		require.NoError(t, c.BeginMigrate(slot, other(c, slot)))
		_, err := c.MigrateKeys(slot, 50)
		require.NoError(t, err)
		w := startWalk(conns...)
		sameKeys(t, all, w.rest(t), "round", round)
		assert.Less(t, w.pages, 600, "round %d", round)
		// This walk is given up at the importing node, by one of the two.
		w = startWalk(conns[round%2])
		for !w.importing() {
			require.True(t, w.page(t))
		}
		require.NoError(t, c.FinishMigrate(slot))
		require.NoError(t, c.WaitStable(patience)) // else the next move may come before the nodes have heard of this one
	}
}

// slotMover migrates slots back and forth in the background until it is ended.
type slotMover struct {
	stop  chan struct{}
	done  sync.WaitGroup
	moves int
	err   error
}

func startSlotMover(t *testing.T, c *testredis.Cluster, slots []uint16) *slotMover {
	m := &slotMover{stop: make(chan struct{})}
	masters := c.Masters()
	m.done.Go(func() {
		// Dozens of moves a second, and Redis itself loses a slot now and then: two nodes
		// take each other for its owner, for good.
		pace := time.NewTicker(100 * time.Millisecond)
		defer pace.Stop()
		for m.err == nil {
			select {
			case <-m.stop:
				return
			case <-pace.C:
			}
			slot, to := slots[rand.IntN(len(slots))], masters[rand.IntN(len(masters))]
			if c.Master(slot) != to {
				// Moves that follow each other faster than the nodes hear of them can leave a
				// slot without an owner for good.
				m.err = cmp.Or(c.MigrateSlot(slot, to), c.WaitStable(patience))
				m.moves++
			}
		}
	})
	t.Cleanup(m.end)
	return m
}

func (m *slotMover) end() {
	select {
	case <-m.stop:
	default:
		close(m.stop)
	}
	m.done.Wait()
}

func TestScanReturnsEveryKeyWhileSlotsMoveBackAndForth(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{})
	var conns []*testredis.Conn
	for range 2 {
		p := startProxy(t, proxyOptions{loops: 2}, c.Addrs()...).ready(t)
		conns = append(conns, connect(t, p.Addr), connect(t, p.Addr))
	}
	must(t, conns[3], "HELLO", 3)
	all := fill(t, conns[0], "key:", 1500)
	slots := []uint16{0, 3, 5460, 5461, 9000, 16383}
	for _, s := range slots {
		all = append(all, fillSlot(t, conns[0], s, 60)...)
	}
	slices.Sort(all)
	tests := map[string]struct {
		conns   []*testredis.Conn
		options []any
	}{
		"plain":                 {conns[:1], nil},
		"match":                 {conns[:1], cmd("MATCH", "*", "COUNT", 7)},
		"type":                  {conns[3:], cmd("TYPE", "string", "COUNT", 20)},
		"every worker in turn":  {conns, cmd("COUNT", 15)},
		"large pages":           {conns[:2], cmd("COUNT", 400)},
		"two proxies, one loop": {conns[1:3], nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := startSlotMover(t, c, slots)
			for range 3 {
				// The walk may begin a range anew each time that slots move, so an end has to come.
				w := startWalk(tt.conns...)
				for i := 0; w.page(t, tt.options...); i++ {
					if i == 3000 {
						m.end()
					}
				}
				sameKeys(t, all, w.keys())
			}
			m.end()
			require.NoError(t, m.err)
			w := startWalk(tt.conns...)
			sameKeys(t, all, w.rest(t, tt.options...), "calm again")
			assert.Less(t, w.pages, 1500)
			t.Logf("%d moves", m.moves)
		})
	}
}

// A calm cluster is walked once and no more.
func TestScanOfACalmClusterEnds(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{})
	p, q := startProxy(t, proxyOptions{loops: 2}, c.Addrs()...).ready(t), startProxy(t, proxyOptions{}, c.Addrs()[1]).ready(t)
	conns := []*testredis.Conn{connect(t, p.Addr), connect(t, q.Addr), connect(t, p.Addr), connect(t, q.Addr)}
	const keys = 3000
	all := fill(t, conns[0], "key:", keys)
	must(t, conns[2], "HELLO", 3)
	for count, pages := range map[int]int{1: 3 * 2048, 10: 3 * 2048 / 10, 100: 3 * 2048 / 100, 10_000: 0} {
		for name, some := range map[string][]*testredis.Conn{"one": conns[:1], "all": conns} {
			w := startWalk(some...)
			sameKeys(t, all, w.rest(t, "COUNT", count), "COUNT", count)
			assert.LessOrEqual(t, w.pages, pages+6, "COUNT %d, over %s", count, name)
			assert.Zero(t, w.errors)
		}
	}
}

// An open slot, as an interrupted migration leaves it, costs more pages but ends too.
func TestScanOfOpenSlotsEnds(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{})
	p, q := startProxy(t, proxyOptions{}, c.Addrs()...).ready(t), startProxy(t, proxyOptions{}, c.Addrs()...).ready(t)
	conns := []*testredis.Conn{connect(t, p.Addr), connect(t, q.Addr)}
	all := fill(t, conns[0], "key:", 600)
	for _, s := range []uint16{0, 1, 16383, 8000} {
		all = append(all, fillSlot(t, conns[0], s, 20)...)
		require.NoError(t, c.BeginMigrate(s, other(c, s)))
		_, err := c.MigrateKeys(s, 10)
		require.NoError(t, err)
	}
	slices.Sort(all)
	for _, some := range [][]*testredis.Conn{conns[:1], conns} {
		w := startWalk(some...)
		sameKeys(t, all, w.rest(t, "COUNT", 10))
		assert.Less(t, w.pages, 800)
		w = startWalk(some...)
		sameKeys(t, all, w.rest(t, "COUNT", 10_000))
		assert.Less(t, w.pages, 30)
	}
}

func TestScanReturnsEveryKeyWhileMastersAreKilled(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{Replicas: 1, NodeTimeout: time.Second, Args: durable})
	p := startProxy(t, proxyOptions{}, c.Addrs()...).ready(t)
	conn := connect(t, p.Addr)
	all := fill(t, conn, "key:", 2000)
	require.NoError(t, c.WaitStable(20*time.Second))
	for _, n := range c.Masters() {
		require.EqualValues(t, 1, n.MustDo(t, "WAIT", 1, 5000), "the replica has all keys")
	}
	w := startWalk(conn)
	var down []*testredis.Node
	for _, slot := range []uint16{100, 8000} {
		require.True(t, w.steps(t, 40), "not over yet")
		down = append(down, c.Master(slot))
		down[len(down)-1].Kill()
		require.True(t, w.steps(t, 40), "not over yet")
		require.NoError(t, c.WaitStable(20*time.Second))
	}
	require.True(t, w.steps(t, 5), "not over yet")
	for _, n := range down {
		require.NoError(t, n.Restart()) // as a replica
	}
	got := w.rest(t)
	for _, k := range all {
		require.EqualValues(t, 1, must(t, conn, "EXISTS", k), "nothing was lost by the failovers")
	}
	sameKeys(t, all, got)
}

func TestScanReturnsEveryKeyWhileRolesAreSwapped(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{Replicas: 1})
	p := startProxy(t, proxyOptions{}, c.Addrs()...).ready(t)
	conn := connect(t, p.Addr)
	all := fill(t, conn, "key:", 1500)
	w := startWalk(conn)
	for i := range 4 { // there and back
		require.True(t, w.steps(t, 10), "not over yet")
		require.NoError(t, c.WaitStable(20*time.Second))
		failOver(t, c.Replicas(c.Master(uint16(i % 2 * 16000)))[0])
	}
	sameKeys(t, all, w.rest(t))
}

func TestScanReturnsEveryKeyWhileNodesComeAndGo(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{})
	p := startProxy(t, proxyOptions{}, c.Addrs()...).ready(t)
	conn := connect(t, p.Addr)
	all := fill(t, conn, "key:", 1500)
	w := startWalk(conn)
	require.True(t, w.steps(t, 20))
	added, err := c.AddNode()
	require.NoError(t, err)
	for _, slot := range []uint16{5, 6, 7000, 16383} {
		require.NoError(t, c.MigrateSlot(slot, added))
		require.True(t, w.steps(t, 10))
	}
	require.NoError(t, c.RemoveNode(c.Master(0)), "its slots go to the others")
	require.True(t, w.steps(t, 20))
	require.NoError(t, c.RemoveNode(added))
	sameKeys(t, all, w.rest(t))
}

// The scans of one key go to its node and come back as they are.
func TestScansOfOneKeyAreLeftAlone(t *testing.T) {
	p, c := sharedProxy(t)
	conn := connect(t, p.Addr)
	keys := map[string]string{"SSCAN": key(1, "set"), "HSCAN": key(8000, "hash"), "ZSCAN": key(16000, "zset")}
	for i := range 600 {
		must(t, conn, "SADD", keys["SSCAN"], fmt.Sprint("m", i))
		must(t, conn, "HSET", keys["HSCAN"], fmt.Sprint("f", i), i)
		must(t, conn, "ZADD", keys["ZSCAN"], i, fmt.Sprint("m", i))
	}
	for name, k := range keys {
		node := connect(t, c.Master(testredis.Slot(k)).Addr())
		seen, pages := 0, 0
		for cursor := "0"; pages == 0 || cursor != "0"; pages++ {
			got := must(t, conn, name, k, cursor, "MATCH", "*", "COUNT", 20)
			require.Equal(t, must(t, node, name, k, cursor, "MATCH", "*", "COUNT", 20), got, name)
			cursor = got.([]any)[0].(string)
			seen += len(got.([]any)[1].([]any))
		}
		assert.Greater(t, pages, 5, name)
		assert.GreaterOrEqual(t, seen, 600, name)
		assert.Equal(t, errorOf(t, node, name, k, "x"), errorOf(t, conn, name, k, "x"), name)
	}
}
