package testredis_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

const settle = 15 * time.Second

// small is the cluster that most tests here share.
var small = testredis.Options{Replicas: 1, NodeTimeout: time.Second}

func TestStartedClusterIsReady(t *testing.T) {
	began := time.Now()
	c := testredis.StartCluster(t, testredis.Options{Masters: 3, Replicas: 1})
	t.Logf("3 masters with a replica each: %v", time.Since(began))

	assert.Len(t, c.Addrs(), 6)
	assert.Equal(t, c.Nodes()[:3], c.Masters())
	for i, m := range c.Masters() {
		assert.Equal(t, c.Nodes()[3+i:4+i], c.Replicas(m))
	}
	for _, n := range c.Nodes() {
		assert.Contains(t, n.MustDo(t, "CLUSTER", "INFO"), "cluster_state:ok")
		assert.Contains(t, n.MustDo(t, "CLUSTER", "INFO"), "cluster_slots_ok:16384")
		assert.Equal(t, []any{"cluster-require-full-coverage", "yes"}, n.MustDo(t, "CONFIG", "GET", "cluster-require-full-coverage"))
	}
	seen := map[any]bool{}
	for _, m := range c.Masters() {
		seen[m.MustDo(t, "CONFIG", "GET", "port").([]any)[1]] = true
		writeBySlot(t, c)
	}
	assert.Len(t, seen, 3, "masters are different processes")
}

// writeBySlot sets and gets keys of many slots at their owners.
func writeBySlot(t *testing.T, c *testredis.Cluster) {
	t.Helper()
	for i := range 50 {
		key := fmt.Sprintf("key:%d", i)
		owner := c.Master(testredis.Slot(key))
		require.NotNil(t, owner)
		require.Equal(t, "OK", owner.MustDo(t, "SET", key, i))
		require.Equal(t, strconv.Itoa(i), owner.MustDo(t, "GET", key))
	}
}

func TestClustersOfOtherShapes(t *testing.T) {
	for _, o := range []testredis.Options{
		{Masters: 1},
		{Masters: 1, Replicas: 2},
		{Masters: 5},
		{Args: []string{"--requirepass", "secret", "--cluster-require-full-coverage", "no"}, Replicas: 1},
	} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			began := time.Now()
			c := testredis.StartCluster(t, o)
			t.Log(time.Since(began))
			require.NoError(t, c.WaitStable(settle))
			writeBySlot(t, c)
		})
	}
}

func TestBadOptionsAreErrors(t *testing.T) {
	_, err := testredis.Start(context.Background(), testredis.Options{Masters: -1})
	require.Error(t, err)
	_, err = testredis.Start(context.Background(), testredis.Options{Args: []string{"--no-such-option", "1"}})
	require.ErrorContains(t, err, "no-such-option", "the server's own words")
}

func TestReplicaTakesOverFromKilledMaster(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{Replicas: 1, NodeTimeout: time.Second})
	slot := testredis.Slot("k")
	old := c.Master(slot)
	replica := c.Replicas(old)[0]
	old.MustDo(t, "SET", "k", "v")
	require.EqualValues(t, 1, old.MustDo(t, "WAIT", 1, 1000))

	old.Kill()
	old.Kill() // Nothing happens.
	assert.False(t, old.Running())
	assert.Zero(t, old.Pid())
	_, err := old.Do("PING")
	require.Error(t, err)

	began := time.Now()
	require.NoError(t, c.WaitStable(settle))
	t.Logf("failover after %v", time.Since(began))
	require.Equal(t, replica, c.Master(slot))
	assert.Equal(t, "v", replica.MustDo(t, "GET", "k"))
	assert.NotContains(t, c.Masters(), old)

	require.NoError(t, old.Restart())
	require.NoError(t, c.WaitStable(settle))
	assert.Equal(t, []*testredis.Node{old}, c.Replicas(replica))

	// And back, orderly; once more by force while the master stands still.
	require.NoError(t, old.Failover())
	require.NoError(t, c.WaitStable(settle))
	require.Equal(t, old, c.Master(slot))
	require.NoError(t, old.Stop())
	require.NoError(t, replica.Failover("TAKEOVER"))
	require.NoError(t, c.WaitStable(settle))
	require.Equal(t, replica, c.Master(slot))
	require.NoError(t, old.Continue())
	require.NoError(t, c.WaitStable(settle))
	assert.Equal(t, []*testredis.Node{old}, c.Replicas(replica))
}

func TestSlotMigratesUnderLoad(t *testing.T) {
	c := testredis.Shared(t, small)
	slot := testredis.Slot("{tag}")
	from := c.Master(slot)
	to := c.Masters()[0]
	if to == from {
		to = c.Masters()[1]
	}
	keys := make([]string, 150)
	for i := range keys {
		keys[i] = fmt.Sprintf("{tag}%d", i)
		from.MustDo(t, "SET", keys[i], 0)
	}

	stop := make(chan struct{})
	var wg sync.WaitGroup
	counts := make([]int, len(keys))
	wg.Go(func() {
		for i := 0; ; i = (i + 1) % len(keys) {
			select {
			case <-stop:
				return
			default:
			}
			if assert.NoError(t, follow(from.Addr(), "INCR", keys[i])) {
				counts[i]++
			}
		}
	})
	for range 3 {
		require.NoError(t, c.MigrateSlot(slot, to))
		require.Equal(t, to, c.Master(slot))
		require.NoError(t, c.MigrateSlot(slot, from))
		require.Equal(t, from, c.Master(slot))
	}
	close(stop)
	wg.Wait()

	require.NoError(t, c.WaitStable(settle))
	for i, key := range keys {
		assert.Equal(t, strconv.Itoa(counts[i]), from.MustDo(t, "GET", key))
	}
}

// follow sends a command to addr, and after redirects.
func follow(addr string, args ...any) error {
	var err error
	asking := false
	for range 10 {
		if err = send(addr, asking, args); err == nil {
			return nil
		}
		var e testredis.Error
		if !errors.As(err, &e) {
			return err
		}
		var slot int
		kind := ""
		if _, scanErr := fmt.Sscan(string(e), &kind, &slot, &addr); scanErr != nil {
			return err
		}
		asking = kind == "ASK"
	}
	return err
}

// send sends one command over a connection of its own.
func send(addr string, asking bool, args []any) error {
	conn, err := testredis.Dial(addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if asking {
		if _, err := conn.Do("ASKING"); err != nil {
			return err
		}
	}
	_, err = conn.Do(args...)
	return err
}

func TestSlotStaysInTheMiddle(t *testing.T) {
	c := testredis.Shared(t, small)
	slot := testredis.Slot("{m}")
	from := c.Master(slot)
	to := c.Masters()[0]
	if to == from {
		to = c.Masters()[1]
	}
	for i := range 10 {
		from.MustDo(t, "SET", fmt.Sprintf("{m}%d", i), i)
	}
	require.Error(t, c.FinishMigrate(slot), "it is not open")
	require.NoError(t, c.BeginMigrate(slot, to))
	require.Error(t, c.BeginMigrate(slot, to), "it is open")
	moved, err := c.MigrateKeys(slot, 4)
	require.NoError(t, err)
	require.Equal(t, 4, moved)

	assert.EqualValues(t, 6, from.MustDo(t, "CLUSTER", "COUNTKEYSINSLOT", slot))
	assert.EqualValues(t, 4, to.MustDo(t, "CLUSTER", "COUNTKEYSINSLOT", slot))
	_, err = from.Do("GET", "{m}absent")
	require.EqualError(t, err, fmt.Sprintf("ASK %d %s", slot, to.Addr()))
	_, err = to.Do("GET", "{m}absent")
	require.EqualError(t, err, fmt.Sprintf("MOVED %d %s", slot, from.Addr()))

	require.NoError(t, c.FinishMigrate(slot))
	require.Equal(t, to, c.Master(slot))
	assert.EqualValues(t, 10, to.MustDo(t, "CLUSTER", "COUNTKEYSINSLOT", slot))
	_, err = from.Do("GET", "{m}1")
	require.EqualError(t, err, fmt.Sprintf("MOVED %d %s", slot, to.Addr()))
}

func TestNodesComeAndGo(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{Replicas: 1})
	began := time.Now()
	added, err := c.AddNode()
	require.NoError(t, err)
	t.Logf("a master added after %v", time.Since(began))
	require.Contains(t, c.Masters(), added)

	slot := testredis.Slot("k")
	c.Master(slot).MustDo(t, "SET", "k", "v")
	require.NoError(t, c.MigrateSlot(slot, added))
	require.Equal(t, added, c.Master(slot))
	require.Equal(t, "v", added.MustDo(t, "GET", "k"))

	began = time.Now()
	replica, err := c.AddReplica(added)
	require.NoError(t, err)
	t.Logf("a replica added after %v", time.Since(began))
	require.Equal(t, []*testredis.Node{replica}, c.Replicas(added))

	// A master with a third of the slots, and a replica that stays.
	gone := c.Master(0)
	began = time.Now()
	require.NoError(t, c.RemoveNode(gone))
	t.Logf("a master with 5461 slots removed after %v", time.Since(began))
	require.NoError(t, c.WaitStable(settle))
	assert.Len(t, c.Nodes(), 7)
	assert.False(t, gone.Running())
	require.ErrorIs(t, gone.Restart(), testredis.ErrClosed)
	for _, n := range c.Nodes() {
		assert.NotContains(t, n.MustDo(t, "CLUSTER", "NODES"), gone.ID())
	}

	// A dead replica.
	replica.Kill()
	require.NoError(t, c.RemoveNode(replica))
	require.NoError(t, c.WaitStable(settle))
	assert.Equal(t, "v", c.Master(slot).MustDo(t, "GET", "k"))
	writeBySlot(t, c)
}

func TestNodeMovesToAnotherAddress(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{NodeTimeout: time.Second})
	n := c.Master(0)
	before := n.Addr()
	require.NoError(t, n.Move())
	require.NotEqual(t, before, n.Addr())
	require.NoError(t, c.WaitStable(settle))
	require.Equal(t, n, c.Master(0))
	_, err := c.Master(16383).Do("GET", "{06S}") // slot 0
	require.EqualError(t, err, "MOVED 0 "+n.Addr())
}

// relays gives each node one relay to announce, by the node's id.
type relays struct {
	t  *testing.T
	mu sync.Mutex
	by map[string]net.Listener // guarded by mu
	to sync.Map                // id: address of the node
}

// announce is an Options.Announce.
func (r *relays) announce(id, addr string) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.to.Store(id, addr)
	l := r.by[id]
	if l == nil {
		var err error
		if l, err = net.Listen("tcp4", "127.0.0.1:0"); err != nil {
			return 0, err
		}
		r.by[id] = l
		r.t.Cleanup(func() { l.Close() })
		go r.serve(id, l)
	}
	return l.Addr().(*net.TCPAddr).Port, nil
}

// serve forwards the connections of one listener until that is closed.
func (r *relays) serve(id string, l net.Listener) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		to, _ := r.to.Load(id)
		out, err := net.Dial("tcp4", to.(string))
		if err != nil {
			in.Close()
			continue
		}
		for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
			go func() { _, _ = io.Copy(pair[0], pair[1]); pair[0].Close(); pair[1].Close() }()
		}
	}
}

func TestNodesAnnounceAnotherPort(t *testing.T) {
	r := &relays{t: t, by: map[string]net.Listener{}}
	c := testredis.StartCluster(t, testredis.Options{Replicas: 1, NodeTimeout: time.Second, Announce: r.announce})
	n := c.Master(0)
	told := n.Announced()
	require.NotEqual(t, n.Addr(), told)
	_, err := c.Master(16383).Do("GET", "{06S}") // slot 0
	require.EqualError(t, err, "MOVED 0 "+told)
	writeBySlot(t, c)
	require.NoError(t, c.MigrateSlot(0, c.Master(16383)))
	require.NoError(t, c.MigrateSlot(0, n))

	added, err := c.AddNode()
	require.NoError(t, err)
	require.NotEqual(t, added.Addr(), added.Announced())
	replica, err := c.AddReplica(n)
	require.NoError(t, err)
	require.NoError(t, c.RemoveNode(replica))
	require.NoError(t, c.RemoveNode(added))

	// The own port may change behind the announced one, and the other way round.
	require.NoError(t, n.Move())
	require.Equal(t, told, n.Announced())
	require.NoError(t, c.WaitStable(settle))
	port, err := r.announce("another", n.Addr())
	require.NoError(t, err)
	require.NoError(t, n.Announce(port))
	require.NotEqual(t, told, n.Announced())
	require.NoError(t, c.WaitStable(settle))
	_, err = c.Master(16383).Do("GET", "{06S}")
	if c.Master(0) == n { // It may have been failed over while it moved.
		require.EqualError(t, err, "MOVED 0 "+n.Announced())
	}

	lone := testredis.StartServer(t)
	require.Equal(t, lone.Addr(), lone.Announced())
	require.Error(t, c.Nodes()[0].Announce(-1))
}

func TestSharedClusterIsEmptyAndWhole(t *testing.T) {
	c := testredis.Shared(t, small)
	c.Master(testredis.Slot("k")).MustDo(t, "SET", "k", "v")
	began := time.Now()
	c2 := testredis.Shared(t, small)
	t.Logf("shared again after %v", time.Since(began))
	require.Same(t, c, c2)
	require.Nil(t, c.Master(testredis.Slot("k")).MustDo(t, "GET", "k"))

	c.Nodes()[0].Kill()
	c3 := testredis.Shared(t, small)
	require.NotSame(t, c, c3)
	require.NoError(t, c3.WaitStable(settle))
}

func TestWaitStableTellsWhatIsMissing(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{Masters: 3})
	c.Nodes()[1].Kill()
	err := c.WaitStable(100 * time.Millisecond)
	require.ErrorContains(t, err, "not taken over")
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestSlot(t *testing.T) {
	for key, want := range map[string]uint16{
		"123456789": 12739, // 0x31c3, from the cluster specification
		"foo":       12182,
		"{foo}bar":  12182,
		"a{foo}{b}": 12182,
		"{}foo":     testredis.Slot("{}foo"),
		"":          0,
		"{06S}":     0,
	} {
		assert.Equal(t, want, testredis.Slot(key), key)
	}
	n := testredis.Shared(t, small).Nodes()[0]
	for _, key := range []string{"", "{}foo", "foo{}{bar}", "foo{{bar}}zap", "{a", "}{b}", "\xff\x00"} {
		assert.EqualValues(t, n.MustDo(t, "CLUSTER", "KEYSLOT", key), testredis.Slot(key), key)
	}
}
