package redis

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api/redis"
	"samaritan/internal/testredis"
)

// Error replies of a node that has a reason of its own.
const (
	saysLoading     = "LOADING Redis is loading the dataset in memory"
	saysMasterDown  = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
	saysClusterDown = "CLUSTERDOWN The cluster is down"
	saysReadOnly    = "READONLY You can't write against a read only replica."
)

// answers is a node that answers reads with its name and the key.
func answers(name string) func(*stubConn, []string) bool {
	return func(c *stubConn, args []string) bool {
		return args[0] == "GET" && c.say(bulk(name+" "+args[1]))
	}
}

// refuses is a node that answers every request of a client with an error.
func refuses(text string) func(*stubConn, []string) bool {
	return func(c *stubConn, args []string) bool {
		return !ownCommands[args[0]] && c.say("-"+text+"\r\n")
	}
}

// startSet starts a master and two replicas of all slots that answer reads by name.
func startSet(t *testing.T) (master, first, second *stub) {
	t.Helper()
	master, first, second = startStub(t), startStub(t), startStub(t)
	for _, n := range []*stub{master, first, second} {
		n.setSlots(slotsWithReplicas(master, first, second))
	}
	master.does(answers("master"))
	first.does(answers("first"))
	second.does(answers("second"))
	return master, first, second
}

func TestReplicaThatCannotAnswerIsPassedOver(t *testing.T) {
	const gets = 60
	for _, tt := range []struct {
		read redis.ReadStrategy
		says string
	}{
		{redis.ReadStrategy_REPLICA, saysLoading},
		{redis.ReadStrategy_REPLICA, saysMasterDown},
		{redis.ReadStrategy_REPLICA, saysClusterDown},
		{redis.ReadStrategy_BOTH, saysLoading},
		{redis.ReadStrategy_BOTH, saysMasterDown},
	} {
		t.Run(fmt.Sprintf("%v %.10s", tt.read, tt.says), func(t *testing.T) {
			t.Parallel()
			master, first, second := startSet(t)
			first.does(refuses(tt.says))
			p := startProxy(t, proxyOptions{read: tt.read}, master.Addr).ready(t)
			conn := connect(t, p.Addr)
			before := time.Now()
			var others []any
			for range gets {
				others = append(others, must(t, conn, "GET", "k"))
			}
			if time.Since(before) < 500*time.Millisecond {
				assert.Equal(t, 1, first.count("GET"), "it is not asked again for about a second")
			}
			assert.NotContains(t, others, "first k")
			assert.Contains(t, others, "second k", "the other replica is asked")
			if tt.read == redis.ReadStrategy_REPLICA {
				assert.LessOrEqual(t, master.count("GET"), 1, "there is another replica")
			}
			p.moves(t, "upstream.replica_passed_over", 1)

			first.does(answers("first"))
			eventually(t, func() bool { return must(t, conn, "GET", "k") == "first k" }, "it is used again")
			within(t, before, 500*time.Millisecond, 2*time.Second+overdue)
			from := second.count("GET") + master.count("GET")
			for range gets {
				must(t, conn, "GET", "k")
			}
			assert.Less(t, second.count("GET")+master.count("GET")-from, gets, "they take turns again")
		})
	}
}

func TestPipelinedReadsPassOverAReplica(t *testing.T) {
	t.Parallel()
	master, first, second := startSet(t)
	first.does(refuses(saysLoading))
	p := startProxy(t, proxyOptions{read: redis.ReadStrategy_REPLICA}, master.Addr).ready(t)
	var conns []*testredis.Conn
	for range 8 {
		conns = append(conns, connect(t, p.Addr))
	}
	const gets = 50
	for i, c := range conns {
		var all [][]any
		for j := range gets {
			all = append(all, cmd("GET", fmt.Sprint(i, "-", j)))
		}
		require.NoError(t, c.Send(append(all, cmd("MGET", i, "b", "c"))...))
	}
	for i, c := range conns {
		got := receive(t, c, gets+1)
		for j, v := range got[:gets] {
			assert.Regexp(t, fmt.Sprintf("^(second|master) %d-%d$", i, j), v)
		}
		assert.Equal(t, []any{fmt.Sprint(i), "b", "c"}, got[gets])
	}
	assert.Positive(t, second.count("GET"))
}

func TestAllReplicasCannotAnswer(t *testing.T) {
	t.Parallel()
	master, first, second := startSet(t)
	first.does(refuses(saysLoading))
	second.does(refuses(saysMasterDown))
	p := startProxy(t, proxyOptions{read: redis.ReadStrategy_REPLICA}, master.Addr).ready(t)
	conn := connect(t, p.Addr)
	before := time.Now()
	for range 30 {
		assert.Equal(t, "master k", must(t, conn, "GET", "k"))
	}
	if time.Since(before) < 500*time.Millisecond {
		assert.LessOrEqual(t, first.count("GET"), 1)
		assert.LessOrEqual(t, second.count("GET"), 1)
	}
	master.does(refuses(saysLoading))
	assert.Equal(t, saysLoading, errorOf(t, conn, "GET", "k"), "nobody can answer")
	assert.Equal(t, saysLoading, errorOf(t, conn, "GET", "k"))
}

func TestReplicaThatTimesOutGetsNoMoreReads(t *testing.T) {
	t.Parallel()
	master, first, second := startSet(t)
	p := startProxy(t, proxyOptions{read: redis.ReadStrategy_REPLICA, requestTimeout: shortLimit}, master.Addr).ready(t)
	conn := connect(t, p.Addr)
	for range 2 { // by turns: both are connected to
		must(t, conn, "GET", "k")
	}
	first.does(func(_ *stubConn, args []string) bool { return args[0] == "GET" || args[0] == "PING" })
	failed := 0
	for range 4 {
		if v, err := conn.Do("GET", "k"); err != nil {
			assert.EqualError(t, err, timedOut(first.Addr))
			failed++
		} else {
			assert.Equal(t, "second k", v)
		}
	}
	assert.Equal(t, 1, failed, "only the first found out")
	reached := first.userRequests()
	for range 50 {
		assert.Equal(t, "second k", must(t, conn, "GET", "k"))
	}
	assert.Equal(t, reached, first.userRequests())
	second.leave()
	for range 50 {
		assert.Contains(t, []any{"master k", "second k"}, must(t, conn, "GET", "k"), "the master takes over")
	}
	first.does(answers("first"))
	eventually(t, func() bool { return must(t, conn, "GET", "k") == "first k" }, "it is used again")
}

// readers read keys whose values are known until they are ended, and keep account.
type readers struct {
	ok, failed atomic.Int64
	last       atomic.Value // string: what was wrong
	stop       chan struct{}
	done       sync.WaitGroup
}

func startReaders(t *testing.T, addr string, keys ...string) *readers {
	t.Helper()
	r := &readers{stop: make(chan struct{})}
	for range 3 {
		conn := connect(t, addr)
		r.done.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-r.stop:
					return
				default:
				}
				k := keys[i%len(keys)]
				v, err := conn.Do("GET", k)
				var e testredis.Error
				if err == nil && v == k {
					r.ok.Add(1)
					continue
				}
				r.last.Store(fmt.Sprintf("GET %s: %v %v", k, v, err))
				r.failed.Add(1)
				if err != nil && !errors.As(err, &e) {
					return
				}
			}
		})
	}
	t.Cleanup(r.end)
	return r
}

func (r *readers) end() {
	select {
	case <-r.stop:
	default:
		close(r.stop)
	}
	r.done.Wait()
}

func (r *readers) goOn(t *testing.T, n int64) {
	t.Helper()
	from := r.ok.Load()
	eventually(t, func() bool { return r.ok.Load() >= from+n }, "reads go on")
}

// calls is how often a node has executed a command.
func calls(t *testing.T, n *testredis.Node, command string) (count int) {
	t.Helper()
	_, _ = fmt.Sscanf(infoField(t, n, "commandstats", "cmdstat_"+strings.ToLower(command)), "calls=%d", &count)
	return count
}

// TestReadsFollowRoleChanges: a replica becomes the master and back under reads that
// go to replicas.
func TestReadsFollowRoleChanges(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{Replicas: 1})
	const slot = 100
	keys := []string{key(slot, "a"), key(slot, "b")}
	master := c.Master(slot)
	replica := c.Replicas(master)[0]
	for _, k := range keys {
		master.MustDo(t, "SET", k, k)
	}
	for _, slot := range []uint16{slot, 8000, 16000} { // their offsets must not be 0
		c.Master(slot).MustDo(t, "SET", key(slot, "offset"), 1)
	}
	eventually(t, func() bool { return infoField(t, replica, "keyspace", "db0") != "" }, "replicated")
	for _, n := range c.Nodes() {
		eventually(t, func() bool { return listed(t, n) == 2 }, "all replicas are in CLUSTER SLOTS")
	}
	only := startProxy(t, proxyOptions{read: redis.ReadStrategy_REPLICA}, c.Addrs()...).ready(t)
	both := startProxy(t, proxyOptions{read: redis.ReadStrategy_BOTH}, c.Addrs()...).ready(t)
	onlyReads, bothReads := startReaders(t, only.Addr, keys...), startReaders(t, both.Addr, keys...)
	onOnly, onBoth := connect(t, only.Addr), connect(t, both.Addr)

	// spread sends reads of a kind that nobody else sends and tells where they went.
	spread := func(conn *testredis.Conn, command string) (onMaster, onReplica int) {
		onMaster, onReplica = calls(t, master, command), calls(t, replica, command)
		for range 20 {
			must(t, conn, command, keys[0])
		}
		return calls(t, master, command) - onMaster, calls(t, replica, command) - onReplica
	}
	change := func(t *testing.T, write bool, promote func(*testredis.Node)) {
		onlyReads.goOn(t, 100)
		bothReads.goOn(t, 100)
		promote(replica)
		master, replica = replica, master
		eventually(t, func() bool { return infoField(t, replica, "replication", "role") == "slave" }, "the old master follows the new one")
		follows := func(conn *testredis.Conn, command string, ok func(onMaster, onReplica int) bool) func() bool {
			return func() bool {
				if write {
					must(t, conn, "SET", key(slot, "w"), 1)
				}
				return ok(spread(conn, command))
			}
		}
		none := func(onMaster, onReplica int) bool { return onMaster == 0 && onReplica > 0 }
		some := func(onMaster, onReplica int) bool { return onMaster > 0 && onReplica > 0 }
		require.Eventually(t, follows(onOnly, "STRLEN", none), recovery, 20*time.Millisecond, "with REPLICA all reads go to the new replica")
		require.Eventually(t, follows(onBoth, "TYPE", some), recovery, 20*time.Millisecond, "with BOTH some go to the master, some to the replica")
		onlyReads.goOn(t, 100)
		bothReads.goOn(t, 100)
		assert.Zero(t, onlyReads.failed.Load(), "%v", onlyReads.last.Load())
		assert.Zero(t, bothReads.failed.Load(), "%v", bothReads.last.Load())
	}
	t.Run("with writes", func(t *testing.T) {
		change(t, true, func(n *testredis.Node) { failOver(t, n) })
	})
	t.Run("reads alone", func(t *testing.T) {
		// The others do not vote for the same master again so soon.
		change(t, false, func(n *testredis.Node) { require.NoError(t, n.Failover("TAKEOVER")) })
	})
	onlyReads.end()
	bothReads.end()

	t.Run("the replica dies", func(t *testing.T) {
		for _, n := range c.Nodes() {
			eventually(t, func() bool { return listed(t, n) == 2 }, "all replicas are in CLUSTER SLOTS")
		}
		replica := c.Replicas(c.Master(slot))[0]
		var loads []*readers
		for _, read := range []redis.ReadStrategy{redis.ReadStrategy_REPLICA, redis.ReadStrategy_BOTH} {
			p := startProxy(t, proxyOptions{read: read}, c.Addrs()...).ready(t)
			loads = append(loads, startReaders(t, p.Addr, keys...))
		}
		for _, l := range loads {
			l.goOn(t, 100)
		}
		replica.Kill()
		for _, l := range loads {
			l.goOn(t, 300)
			assert.Zero(t, l.failed.Load(), "%v", l.last.Load())
		}
	})
}
