package redis

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api/redis"
	"samaritan/config"
	"samaritan/internal/testredis"
)

// load sends INCRs one by one on a connection of its own until it is stopped, and
// keeps the account.
type load struct {
	key       string
	ok        atomic.Int64
	errors    atomic.Int64
	badErrors atomic.Int64 // not of the form an error of the proxy or of a node has
	last      atomic.Value // string: the last error
	stop      chan struct{}
	done      sync.WaitGroup
}

func startLoad(t *testing.T, addr, key string) *load {
	t.Helper()
	l := &load{key: key, stop: make(chan struct{})}
	c := connect(t, addr)
	l.done.Go(func() {
		for {
			select {
			case <-l.stop:
				return
			default:
			}
			_, err := c.Do("INCR", key)
			var e testredis.Error
			switch {
			case err == nil:
				l.ok.Add(1)
			case errors.As(err, &e):
				l.errors.Add(1)
				l.last.Store(string(e))
			default:
				l.badErrors.Add(1)
				l.last.Store(err.Error())
				return
			}
		}
	})
	t.Cleanup(l.end)
	return l
}

func (l *load) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.done.Wait()
}

// goesOn waits for n more successes.
func (l *load) goesOn(t *testing.T, n int64) {
	t.Helper()
	from := l.ok.Load()
	eventually(t, func() bool { return l.ok.Load() >= from+n }, "requests succeed: "+l.key)
}

func TestMasterIsKilledUnderLoad(t *testing.T) {
	// Without full coverage the other masters go on.
	c := testredis.StartCluster(t, testredis.Options{Replicas: 1, NodeTimeout: time.Second, Args: []string{"--cluster-require-full-coverage", "no"}})
	p := startProxy(t, proxyOptions{}, c.Addrs()...).ready(t)
	masters := c.Masters()
	var loads []*load
	for i := range masters {
		loads = append(loads, startLoad(t, p.Addr, key(uint16(i*5461+100), "n")))
	}
	for _, l := range loads {
		l.goesOn(t, 100)
	}
	masters[1].Kill()
	eventually(t, func() bool { return loads[1].errors.Load() > 0 }, "its slots are away")
	assert.Contains(t, loads[1].last.Load(), masters[1].Addr(), "the error names the node")
	loads[0].goesOn(t, 100)
	loads[2].goesOn(t, 100)
	loads[1].goesOn(t, 500) // by itself
	for _, l := range loads {
		l.end()
		assert.Zero(t, l.badErrors.Load(), "no connection may break")
	}
	assert.Zero(t, loads[0].errors.Load(), "%v", loads[0].last.Load())
	assert.Zero(t, loads[2].errors.Load(), "%v", loads[2].last.Load())
	conn := connect(t, p.Addr)
	for _, i := range []int{0, 2} {
		assert.Equal(t, fmt.Sprint(loads[i].ok.Load()), must(t, conn, "GET", loads[i].key), "nothing lost, nothing doubled")
	}
}

func TestReplicaIsPromotedWithoutAnError(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{Replicas: 1})
	p := startProxy(t, proxyOptions{}, c.Addrs()...).ready(t)
	l := startLoad(t, p.Addr, key(100, "n"))
	l.goesOn(t, 100)
	master := c.Master(100)
	failOver(t, c.Replicas(master)[0])
	l.goesOn(t, 500)
	l.end()
	assert.Zero(t, l.errors.Load(), "%v", l.last.Load())
	assert.Equal(t, fmt.Sprint(l.ok.Load()), must(t, connect(t, p.Addr), "GET", l.key), "nothing lost, nothing doubled")
}

func TestHungNodeHoldsUpNobodyElse(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{NodeTimeout: 15 * time.Second})
	p := startProxy(t, proxyOptions{requestTimeout: 300 * time.Millisecond}, c.Addrs()...).ready(t)
	hung := c.Master(100)
	conn := connect(t, p.Addr)
	must(t, conn, "MSET", key(100, "k"), "v", key(16000, "k"), "w")
	other := startLoad(t, p.Addr, key(16000, "n"))
	require.NoError(t, hung.Stop())
	before := time.Now()
	first := errorOf(t, conn, "GET", key(100, "k"))
	took := time.Since(before)
	assert.Contains(t, first, "ERR samaritan: node "+hung.Addr())
	assert.Contains(t, first, "300ms")
	assert.GreaterOrEqual(t, took, 300*time.Millisecond)
	assert.Less(t, took, 2*time.Second)
	other.goesOn(t, 200)
	assert.Contains(t, errorOf(t, conn, "MGET", key(16000, "k"), key(100, "k")), hung.Addr())
	assert.Equal(t, "w", must(t, conn, "GET", key(16000, "k")))
	require.NoError(t, hung.Continue())
	eventually(t, func() bool { v, _ := conn.Do("GET", key(100, "k")); return v == "v" }, "it is used again")
	other.end()
	assert.Zero(t, other.errors.Load(), "%v", other.last.Load())
}

func TestSeedsThatAreDownAtStart(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{Masters: 1})
	node := c.Nodes()[0]
	node.Kill()
	p := startProxy(t, proxyOptions{}, node.Addr())
	conn := connect(t, p.Addr)
	assert.Equal(t, "PONG", must(t, conn, "PING"))
	assert.Contains(t, errorOf(t, conn, "GET", "k"), "ERR samaritan: the slot map of the cluster is not known yet")
	eventually(t, func() bool { return strings.Contains(p.Status().Reason, node.Addr()) }, "the status says why")
	assert.False(t, p.Status().Ready)
	require.NoError(t, node.Restart())
	p.ready(t)
	eventually(t, func() bool { _, err := conn.Do("SET", "k", "v"); return err == nil }, "it works by itself")
	assert.Equal(t, "v", must(t, conn, "GET", "k"))
}

func TestConnectionIsCutInTheMiddleOfAReply(t *testing.T) {
	var gets atomic.Int64
	n := startScripted(t, func(_ *scriptedNode, args []string) (string, bool) {
		switch {
		case args[0] == "SET" && args[1] == "cut":
			return "$100\r\nhalf", false
		case args[0] == "GET" && args[1] == "once" && gets.Add(1) == 1:
			return "$5\r\nwr", false
		case args[0] == "GET" && args[1] == "never":
			return "$5\r\nwr", false
		case args[0] == "GET":
			return fmt.Sprintf("$%d\r\n%s\r\n", len(args[1]), args[1]), true
		}
		return "", true
	})
	p := startProxy(t, proxyOptions{}, n.Addr).ready(t)
	conn, other := connect(t, p.Addr), connect(t, p.Addr)
	lost := "ERR samaritan: connection to node " + n.Addr + " lost before the reply"

	assert.Contains(t, errorOf(t, conn, "SET", "cut", "v"), lost, "a write is not sent again")
	assert.Equal(t, "a", must(t, other, "GET", "a"), "it connects again")
	assert.Equal(t, "once", must(t, conn, "GET", "once"), "a read is sent once more")
	assert.Contains(t, errorOf(t, conn, "GET", "never"), lost, "but only once")

	require.NoError(t, conn.Send(cmd("GET", "a"), cmd("SET", "cut", 1), cmd("SET", "b", 1), cmd("GET", "c"), cmd("GET", "d")))
	got := receive(t, conn, 5)
	assert.Equal(t, "a", got[0])
	assert.Contains(t, got[1], lost)
	assert.Contains(t, got[2], lost, "nobody knows whether it was executed")
	assert.Equal(t, []any{"c", "d"}, got[3:], "no reply goes to another request")
}

func TestNodeThatAnswersNonsense(t *testing.T) {
	for name, nonsense := range map[string]string{
		"text":          "hello\r\n",
		"bulk too long": "$1\r\nabc\r\n",
		"one too many":  "+OK\r\n+OK\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			n := startScripted(t, func(_ *scriptedNode, args []string) (string, bool) {
				if args[0] == "SET" && args[1] == "bad" {
					return nonsense, false
				}
				return "", true
			})
			p := startProxy(t, proxyOptions{}, n.Addr).ready(t)
			conn := connect(t, p.Addr)
			v, err := conn.Do("SET", "bad", "v")
			if name == "one too many" {
				require.NoError(t, err)
				assert.Equal(t, "OK", v)
			} else {
				require.Error(t, err)
				assert.Contains(t, err.Error(), "ERR samaritan: connection to node "+n.Addr)
			}
			for range 3 {
				assert.Equal(t, "OK", must(t, conn, "SET", "good", "v"))
			}
		})
	}
}

func TestMovedInCirclesEnds(t *testing.T) {
	var asked atomic.Int64
	var ports [2]atomic.Int64
	moved := func(to int) func(n *scriptedNode, args []string) (string, bool) {
		return func(_ *scriptedNode, args []string) (string, bool) {
			switch args[0] {
			case "CLUSTER":
				return slotsReply(int(ports[0].Load())), true
			case "SET":
				asked.Add(1)
				return fmt.Sprintf("-MOVED %d 127.0.0.1:%d\r\n", testredis.Slot(args[1]), ports[to].Load()), true
			}
			return "", true
		}
	}
	a, b := startScripted(t, moved(1)), startScripted(t, moved(0))
	ports[0].Store(int64(a.Port))
	ports[1].Store(int64(b.Port))
	p := startProxy(t, proxyOptions{}, a.Addr).ready(t)
	conn := connect(t, p.Addr)
	got := errorOf(t, conn, "SET", "k", "v")
	assert.Regexp(t, fmt.Sprintf(`^MOVED %d 127\.0\.0\.1:\d+$`, testredis.Slot("k")), got)
	assert.EqualValues(t, maxHops+1, asked.Load())
	assert.Equal(t, "OK", must(t, conn, "DEL", "k"), "the connection goes on")
	_, _, limit, _, _ := p.upstream(t)
	assert.EqualValues(t, 1, limit)
}

func TestMovedToNowhere(t *testing.T) {
	n := startScripted(t, func(_ *scriptedNode, args []string) (string, bool) {
		if args[0] == "SET" {
			return "-" + args[2] + "\r\n", true
		}
		return "", true
	})
	p := startProxy(t, proxyOptions{connectTimeout: 300 * time.Millisecond}, n.Addr).ready(t)
	conn := connect(t, p.Addr)
	for _, bad := range []string{
		"MOVED", "MOVED ", "MOVED x 127.0.0.1:1", "MOVED 99999 127.0.0.1:1", "MOVED 1", "MOVED 1 host", "MOVED 1 host:", "MOVED 1 host:x",
		"MOVED 1 127.0.0.1:99999", "MOVED 1 127.0.0.1:0", "MOVED -1 127.0.0.1:1", "ASK", "ASK 1 :", "MOVED 1 127.0.0.1:-1",
	} {
		assert.Equal(t, bad, strings.TrimSuffix(errorOf(t, conn, "SET", "k", bad), "\r"), "it is passed on")
	}
	// Well-formed, but nobody is there.
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	free.Close()
	for _, to := range []string{free.Addr().String(), "nowhere.invalid:7000", "[::1]:1"} {
		assert.Contains(t, errorOf(t, conn, "SET", "k", "MOVED 1 "+to), "ERR samaritan: node "+to+" is not reachable")
	}
	assert.Equal(t, "OK", must(t, conn, "DEL", "k"), "the connection goes on")
}

// reads is how many GETs a node has executed.
func reads(t *testing.T, n *testredis.Node) int {
	t.Helper()
	var calls int
	_, _ = fmt.Sscanf(infoField(t, n, "commandstats", "cmdstat_get"), "calls=%d", &calls)
	return calls
}

// listed is the least number of nodes that a node lists for a slot range.
func listed(t *testing.T, n *testredis.Node) int {
	t.Helper()
	least := 99
	for _, e := range n.MustDo(t, "CLUSTER", "SLOTS").([]any) {
		least = min(least, len(e.([]any))-2)
	}
	return least
}

func TestReadsGoWhereTheStrategySays(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{Replicas: 2})
	const slot = 100
	master := c.Master(slot)
	replicas := c.Replicas(master)
	k := key(slot, "k")
	master.MustDo(t, "SET", k, "v")
	for _, r := range replicas {
		eventually(t, func() bool { return infoField(t, r, "keyspace", "db0") != "" }, "replicated")
	}
	for _, slot := range []uint16{slot, 8000, 16000} { // their offsets must not be 0
		c.Master(slot).MustDo(t, "SET", key(slot, "offset"), 1)
	}
	for _, n := range c.Nodes() {
		eventually(t, func() bool { return listed(t, n) == 3 }, "all replicas are in CLUSTER SLOTS, which waits for their first heartbeat")
	}
	tests := []struct {
		read                   redis.ReadStrategy
		onMaster, onEachOfRest int
	}{
		{redis.ReadStrategy_MASTER, 60, 0},
		{redis.ReadStrategy_REPLICA, 0, 30},
		{redis.ReadStrategy_BOTH, 20, 20},
	}
	for _, tt := range tests {
		t.Run(tt.read.String(), func(t *testing.T) {
			p := startProxy(t, proxyOptions{read: tt.read}, c.Addrs()...).ready(t)
			conn := connect(t, p.Addr)
			for _, n := range c.Nodes() {
				n.MustDo(t, "CONFIG", "RESETSTAT")
			}
			for range 60 {
				assert.Equal(t, "v", must(t, conn, "GET", k))
				must(t, conn, "SET", key(slot, "other"), 1) // writes go to the master in any case
			}
			assert.Equal(t, tt.onMaster, reads(t, master), "master")
			for _, r := range replicas {
				assert.Equal(t, tt.onEachOfRest, reads(t, r), "replica")
			}
		})
	}

	t.Run("changed live", func(t *testing.T) {
		p := startProxy(t, proxyOptions{}, c.Addrs()...).ready(t)
		conn := connect(t, p.Addr)
		id := must(t, conn, "CLIENT", "ID")
		for _, tt := range append(tests, tests[0], tests[1]) {
			p.update(t, proxyOptions{read: tt.read})
			for _, n := range c.Nodes() {
				n.MustDo(t, "CONFIG", "RESETSTAT")
			}
			for range 60 {
				assert.Equal(t, "v", must(t, conn, "GET", k))
			}
			assert.Equal(t, tt.onMaster, reads(t, master), "%v", tt.read)
		}
		assert.Equal(t, id, must(t, conn, "CLIENT", "ID"), "the client stays connected")
	})

	t.Run("replicas die", func(t *testing.T) {
		p := startProxy(t, proxyOptions{read: redis.ReadStrategy_REPLICA}, c.Addrs()...).ready(t)
		conn := connect(t, p.Addr)
		for range 4 {
			assert.Equal(t, "v", must(t, conn, "GET", k))
		}
		for _, r := range replicas {
			r.Kill()
		}
		for range 50 {
			assert.Equal(t, "v", must(t, conn, "GET", k), "the master takes over")
		}
		require.NoError(t, conn.Send(cmd("GET", k), cmd("MGET", k, "elsewhere"), cmd("GET", k)))
		assert.Equal(t, []any{"v", []any{"v", nil}, "v"}, receive(t, conn, 3))
	})
}

// update applies changed options.
func (p *testProxy) update(t *testing.T, o proxyOptions) {
	t.Helper()
	svc, err := config.NewService("test", o.config(), p.svc.Load().Endpoints)
	require.NoError(t, err)
	require.NoError(t, p.Update(svc))
	for _, w := range p.allWorkers() {
		done := make(chan struct{})
		require.True(t, w.loop.Post(func() { close(done) }))
		<-done
	}
}

func TestLimitsChangeWhileClientsStay(t *testing.T) {
	c := testredis.Shared(t, testredis.Options{})
	p := startProxy(t, proxyOptions{}, c.Addrs()...).ready(t)
	first, second := connect(t, p.Addr), connect(t, p.Addr)
	must(t, first, "SET", "k", "v")
	must(t, second, "GET", "k")
	p.update(t, proxyOptions{limit: 2})
	third := connect(t, p.Addr)
	_, err := third.Do("PING")
	assert.Equal(t, testredis.Error("ERR max number of clients reached"), err)
	assert.Equal(t, "v", must(t, first, "GET", "k"))
	assert.Equal(t, "v", must(t, second, "GET", "k"))
	p.update(t, proxyOptions{})
	assert.Equal(t, "PONG", must(t, connect(t, p.Addr), "PING"))

	p.update(t, proxyOptions{idleTimeout: 50 * time.Millisecond})
	_, err = first.Receive()
	assert.ErrorIs(t, err, io.EOF, "the new idle timeout holds for those that are connected")
}

func TestRequestTimeoutChangesLive(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{Masters: 1})
	p := startProxy(t, proxyOptions{}, c.Addrs()...).ready(t)
	conn := connect(t, p.Addr)
	must(t, conn, "SET", "k", "v")
	p.update(t, proxyOptions{requestTimeout: 200 * time.Millisecond})
	require.NoError(t, c.Nodes()[0].Stop())
	assert.Contains(t, errorOf(t, conn, "GET", "k"), "200ms")
	require.NoError(t, c.Nodes()[0].Continue())
}

func TestAddedNodeIsFollowed(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{Masters: 2})
	p := startProxy(t, proxyOptions{}, c.Addrs()...).ready(t)
	conn := connect(t, p.Addr)
	const slot = 5
	k := key(slot, "k")
	must(t, conn, "SET", k, "v")
	n, err := c.AddNode()
	require.NoError(t, err)
	require.NoError(t, c.MigrateSlot(slot, n))
	require.NoError(t, c.MigrateSlot(slot+1, n)) // RemoveNode needs one for each of the others
	assert.Equal(t, "v", must(t, conn, "GET", k))
	var moved uint64
	require.Eventually(t, func() bool {
		before, _, _, _, _ := p.upstream(t)
		must(t, conn, "GET", k)
		moved, _, _, _, _ = p.upstream(t)
		return moved == before
	}, 2*time.Second, time.Millisecond, "the map is up to date about a second after the first MOVED")

	require.NoError(t, c.RemoveNode(n))
	eventually(t, func() bool { v, _ := conn.Do("GET", k); return v == "v" }, "found where it went")
	eventually(t, func() bool { return len(p.topology.Map().Nodes()) == 2 }, "forgotten")
	eventually(t, func() bool {
		left := make(chan int)
		w := p.allWorkers()[0]
		w.loop.Post(func() { left <- len(w.nodes) })
		return <-left == 2
	}, "its connections are closed")
}

func TestNodeAtAnotherAddressIsFollowed(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{})
	p := startProxy(t, proxyOptions{}, c.Addrs()...).ready(t)
	conn := connect(t, p.Addr)
	must(t, conn, "SET", key(100, "k"), "v")
	require.NoError(t, c.Master(100).Move())
	eventually(t, func() bool { _, err := conn.Do("SET", key(100, "k"), "w"); return err == nil }, "found at its new address")
	assert.Equal(t, "w", must(t, conn, "GET", key(100, "k")))
}

func TestStopAnswersWhatIsInFlight(t *testing.T) {
	c := testredis.Shared(t, testredis.Options{})
	p := startProxy(t, proxyOptions{drain: 10 * time.Second}, c.Addrs()...).ready(t)
	var conns []*testredis.Conn
	for range 20 {
		conns = append(conns, connect(t, p.Addr))
		must(t, conns[len(conns)-1], "MGET", key(1, "a"), key(8000, "b"), key(16000, "c"))
	}
	const requests = 3
	// Slow enough to be in flight when the end comes.
	slow := "local t = redis.call('TIME'); repeat local n = redis.call('TIME') until (n[1]-t[1])*1000000+n[2]-t[2] > 50000; return redis.call('INCR', KEYS[1])"
	for i, conn := range conns {
		k := key(uint16(i*800), "n")
		require.NoError(t, conn.Send(cmd("EVAL", slow, 1, k), cmd("INCR", k), cmd("MGET", k, "a", "b")))
	}
	eventually(t, func() bool { return p.inFlight(t) == requests*len(conns) }, "all are in flight")
	done := make(chan struct{})
	go func() { defer close(done); p.Stop() }()
	for i, conn := range conns {
		got := receive(t, conn, requests)
		assert.Equal(t, []any{int64(1), int64(2), []any{"2", nil, nil}}, got, "client %d", i)
		_, err := conn.Receive()
		assert.ErrorIs(t, err, io.EOF)
	}
	<-done
	assert.NoError(t, p.result)
	_, err := net.Dial("tcp", p.Addr)
	assert.Error(t, err, "it does not listen any more")
}

func TestStopEndsWithinTheDrainTime(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{Masters: 1})
	p := startProxy(t, proxyOptions{drain: time.Second}, c.Addrs()...).ready(t)
	conn := connect(t, p.Addr)
	must(t, conn, "SET", "k", "v")
	require.NoError(t, c.Nodes()[0].Stop())
	require.NoError(t, conn.Send(cmd("GET", "k")))
	eventually(t, func() bool { return p.inFlight(t) == 1 }, "in flight")
	before := time.Now()
	p.Stop()
	assert.Less(t, time.Since(before), 4*time.Second)
	assert.NoError(t, p.result)
	require.NoError(t, c.Nodes()[0].Continue())
}

// inFlight is the number of requests without a reply.
func (p *testProxy) inFlight(t *testing.T) (n int) {
	t.Helper()
	for _, w := range p.allWorkers() {
		got := make(chan *snapshot, 1)
		require.True(t, w.loop.Post(func() { got <- w.snapshot() }))
		n += (<-got).inFlight
	}
	return n
}
