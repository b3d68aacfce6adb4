package redis

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api/redis"
	"samaritan/internal/testredis"
)

// faultStats are the counters and gauges of what goes wrong at nodes. All are there,
// and 0, before anything has.
var faultStats = []string{
	"upstream.cx_lost", "upstream.rq_lost", "upstream.rq_retried", "upstream.rq_unreachable", "upstream.rq_uncovered",
	"upstream.rq_timeout", "upstream.cx_timeout", "upstream.probe_total", "upstream.probe_failure", "upstream.nodes_resting",
	"upstream.tryagain", "upstream.key_by_key", "upstream.clusterdown", "upstream.loading", "upstream.masterdown",
	"upstream.readonly", "upstream.replica_passed_over", "upstream.redirect_malformed", "upstream.order_held",
	"upstream.cx_protocol_error", "upstream.hop_limit", "upstream.cx_connect_fail", "upstream.cx_connect_timeout",
}

// faultRig is a proxy before one node, at which nothing has gone wrong yet.
type faultRig struct {
	t     *testing.T
	n     *stub
	p     *testProxy
	lines *logLines
	conn  *testredis.Conn
}

func startFault(t *testing.T, o proxyOptions) *faultRig {
	t.Helper()
	t.Parallel()
	n := startStub(t)
	p, lines := startLogged(t, o, n.Addr)
	f := &faultRig{t: t, n: n, p: p, lines: lines, conn: connect(t, p.Addr)}
	must(t, f.conn, "GET", "k")
	return f
}

// only asserts the values of all faultStats: those given, 0 for the others.
func (f *faultRig) only(want map[string]int) {
	f.t.Helper()
	for name, value := range want {
		f.p.moves(f.t, name, value)
	}
	for _, name := range faultStats {
		assert.Equal(f.t, want[name], f.p.counter(name), name)
	}
}

func TestFaultsAreCountedFromZero(t *testing.T) {
	f := startFault(t, proxyOptions{})
	names := emitted(t)
	for _, name := range faultStats {
		assert.True(t, slices.Contains(names, name), name)
	}
	for range 20 {
		must(t, f.conn, "MSET", "{k}a", 1, "{k}b", 2)
		must(t, f.conn, "MGET", "{k}a", "{k}b", "other")
	}
	f.only(nil)
	assert.NotContains(t, f.lines.String(), "level=WARN")
}

func TestLostConnectionIsCounted(t *testing.T) {
	f := startFault(t, proxyOptions{})
	var gets atomic.Int64
	f.n.does(func(c *stubConn, args []string) bool {
		switch {
		case args[0] == "SET":
			c.say("+O")
			c.Close()
			return true
		case args[0] == "GET" && args[1] == "once" && gets.Add(1) == 1:
			c.Close()
			return true
		}
		return false
	})
	lost := "ERR samaritan: connection to node " + f.n.Addr + " lost"
	assert.Contains(t, errorOf(t, f.conn, "SET", "k", 1), lost)
	// A connection that has answered nothing is no reason to try another.
	assert.Equal(t, "k", must(t, f.conn, "GET", "k"))
	require.NoError(t, f.conn.Send(cmd("SET", "k", 1), cmd("INCR", "k"), cmd("DEL", "k")))
	for _, got := range receive(t, f.conn, 3) {
		assert.Contains(t, fmt.Sprint(got), lost)
	}
	assert.Equal(t, "k", must(t, f.conn, "GET", "k"))
	assert.Equal(t, "once", must(t, f.conn, "GET", "once"))
	f.only(map[string]int{"upstream.cx_lost": 3, "upstream.rq_lost": 4, "upstream.rq_retried": 1})
	f.lines.names(t, f.n.Addr, "lost")
}

func TestTimeoutAndRestAreCounted(t *testing.T) {
	f := startFault(t, proxyOptions{requestTimeout: shortLimit})
	f.n.does(silent)
	require.NoError(t, f.conn.Send(cmd("GET", "a"), cmd("SET", "b", 1), cmd("MGET", "a", "b", "c")))
	receive(t, f.conn, 3)
	f.p.moves(t, "upstream.nodes_resting", 1)
	assert.Equal(t, 1, f.p.counter("upstream.nodes_resting"))
	assert.Equal(t, 1, f.p.counter("upstream.cx_timeout"))
	assert.Equal(t, 5, f.p.counter("upstream.rq_timeout"), "a request and a part each")
	f.lines.names(t, f.n.Addr, "timed out|no reply")
	for range 7 {
		assert.Contains(t, errorOf(t, f.conn, "GET", "a"), unreachable(f.n.Addr))
	}
	assert.Equal(t, 7, f.p.counter("upstream.rq_unreachable"))
	f.p.moves(t, "upstream.probe_failure", 1)
	f.n.does(nil)
	f.p.recovers(t)
	assert.Greater(t, f.p.counter("upstream.probe_total"), f.p.counter("upstream.probe_failure"), "the last one succeeded")
	assert.Equal(t, "a", must(t, f.conn, "GET", "a"))
	assert.Equal(t, 7, f.p.counter("upstream.rq_unreachable"))
	assert.Equal(t, 5, f.p.counter("upstream.rq_timeout"))
}

func TestFailedConnectIsCounted(t *testing.T) {
	f := startFault(t, proxyOptions{})
	f.n.leave()
	eventually(t, func() bool { return strings.Contains(errorOf(t, f.conn, "GET", "k"), unreachable(f.n.Addr)) }, "away")
	f.p.moves(t, "upstream.cx_connect_fail", 1)
	f.p.moves(t, "upstream.nodes_resting", 1)
	f.p.moves(t, "upstream.probe_failure", 2)
	before := f.p.counter("upstream.rq_unreachable")
	for range 50 {
		errorOf(t, f.conn, "GET", "k")
	}
	assert.Equal(t, 50, f.p.counter("upstream.rq_unreachable")-before)
	f.lines.names(t, f.n.Addr, "connect|reach")
	assert.Less(t, strings.Count(f.lines.String(), "level=WARN"), 60, "throttled")
}

func TestConnectTimeoutIsCounted(t *testing.T) {
	f := startFault(t, proxyOptions{connectTimeout: shortLimit})
	hole, port := blackHole(t)
	f.n.setSlots(slotsReply(f.n.Port, port))
	f.p.topology.SetSeeds([]string{f.n.Addr})
	eventually(t, func() bool { return len(f.p.topology.Map().Nodes()) == 2 }, "the map is followed")
	eventually(t, func() bool { _, err := f.conn.Do("GET", there); return err != nil }, "it cannot be reached")
	f.p.moves(t, "upstream.cx_connect_timeout", 1)
	f.p.moves(t, "upstream.probe_failure", 1)
	f.lines.names(t, hole, "connect|reach")
}

func TestUncoveredSlotIsCounted(t *testing.T) {
	f := startFault(t, proxyOptions{})
	id := bulk(strings.Repeat("a", 40))
	f.n.setSlots(fmt.Sprintf("*1\r\n*3\r\n:0\r\n:8191\r\n*3\r\n$9\r\n127.0.0.1\r\n:%d\r\n%s", f.n.Port, id))
	f.p.topology.SetSeeds([]string{f.n.Addr})
	eventually(t, func() bool { return f.p.topology.Map().Covered() == 8192 }, "the map is followed")
	eventually(t, func() bool { _, err := f.conn.Do("GET", there); return err != nil }, "it has no owner")
	before := f.p.counter("upstream.rq_uncovered")
	for range 5 {
		assert.Equal(t, "CLUSTERDOWN Hash slot not served", errorOf(t, f.conn, "GET", there))
		assert.Equal(t, "CLUSTERDOWN Hash slot not served", errorOf(t, f.conn, "MGET", here, there))
	}
	assert.Equal(t, here, must(t, f.conn, "GET", here))
	f.only(map[string]int{"upstream.rq_uncovered": before + 10})
	f.lines.names(t, "9000", "slot")
}

func TestRequestWithoutAMapIsCounted(t *testing.T) {
	t.Parallel()
	n := startStub(t)
	n.setSlots("-ERR This instance has cluster support disabled\r\n")
	p := startProxy(t, proxyOptions{}, n.Addr)
	conn := connect(t, p.Addr)
	assert.Contains(t, errorOf(t, conn, "GET", "k"), "ERR samaritan: the slot map of the cluster is not known yet")
	p.moves(t, "upstream.rq_uncovered", 1)
}

func TestTryAgainIsCounted(t *testing.T) {
	f := startFault(t, proxyOptions{})
	f.n.does(func(c *stubConn, args []string) bool {
		keys := len(args) - 1
		if args[0] == "MSET" {
			keys /= 2
		}
		return !ownCommands[args[0]] && (keys > 1 || args[0] == "SUNION") && c.say("-TRYAGAIN Multiple keys request during rehashing of slot\r\n")
	})
	assert.Equal(t, int64(3), must(t, f.conn, "DEL", "{k}a", "{k}b", "{k}c"))
	f.only(map[string]int{"upstream.tryagain": 7, "upstream.key_by_key": 1})
	assert.Equal(t, []any{"{k}a", "{k}b"}, must(t, f.conn, "MGET", "{k}a", "{k}b"))
	assert.Equal(t, "OK", must(t, f.conn, "MSET", "{k}a", 1, "{k}b", 2))
	f.only(map[string]int{"upstream.tryagain": 21, "upstream.key_by_key": 3})
	assert.Equal(t, "TRYAGAIN Multiple keys request during rehashing of slot", errorOf(t, f.conn, "SUNION", "{k}a", "{k}b"))
	f.only(map[string]int{"upstream.tryagain": 28, "upstream.key_by_key": 3})
}

func TestPassedOverReplicaIsCounted(t *testing.T) {
	t.Parallel()
	master, first, second := startSet(t)
	p, lines := startLogged(t, proxyOptions{read: redis.ReadStrategy_REPLICA}, master.Addr)
	first.does(refuses(saysLoading))
	second.does(refuses(saysMasterDown))
	conn := connect(t, p.Addr)
	for range 4 {
		assert.Equal(t, "master k", must(t, conn, "GET", "k"))
	}
	p.moves(t, "upstream.replica_passed_over", 2)
	p.moves(t, "upstream.loading", 1)
	p.moves(t, "upstream.masterdown", 1)
	lines.names(t, first.Addr, "loading")
	lines.names(t, second.Addr, "masterdown")
}

func TestMalformedRedirectIsCounted(t *testing.T) {
	f := startFault(t, proxyOptions{})
	bad := []string{"MOVED", "MOVED x 127.0.0.1:1", "ASK 1 :", "MOVED 99999 127.0.0.1:1"}
	f.n.does(func(c *stubConn, args []string) bool { return args[0] == "SET" && c.say("-"+args[2]+"\r\n") })
	for _, b := range bad {
		assert.Equal(t, b, errorOf(t, f.conn, "SET", "k", b))
	}
	f.only(map[string]int{"upstream.redirect_malformed": len(bad)})
	f.lines.names(t, f.n.Addr, "redirect|malformed")
}

func TestHopLimitIsCounted(t *testing.T) {
	f := startFault(t, proxyOptions{})
	f.n.does(func(c *stubConn, args []string) bool {
		return args[0] == "SET" && c.say("-MOVED 1 "+f.n.Addr+"\r\n")
	})
	assert.Contains(t, errorOf(t, f.conn, "SET", "k", 1), "MOVED 1 ")
	f.only(map[string]int{"upstream.hop_limit": 1})
	f.lines.names(t, f.n.Addr, "hop|redirect")
}

func TestNonsenseIsCounted(t *testing.T) {
	f := startFault(t, proxyOptions{})
	f.n.does(func(c *stubConn, args []string) bool { return args[0] == "SET" && c.say("hello\r\n") })
	assert.Contains(t, errorOf(t, f.conn, "SET", "k", 1), f.n.Addr)
	f.only(map[string]int{"upstream.cx_protocol_error": 1, "upstream.cx_lost": 1, "upstream.rq_lost": 1})
	f.lines.names(t, f.n.Addr, "protocol")
}

// TestHeldOrderIsCounted: a command with several keys of one slot holds back what
// touches one of them, and nothing else.
func TestHeldOrderIsCounted(t *testing.T) {
	f := startFault(t, proxyOptions{})
	require.NoError(t, f.conn.Send(cmd("MSET", "{k}a", 1, "{k}b", 2), cmd("MSET", "{k}a", 1, "{k}b", 3), cmd("GET", "{k}c"), cmd("GET", "other")))
	assert.Equal(t, []any{"OK", "OK", "{k}c", "other"}, receive(t, f.conn, 4))
	assert.Zero(t, f.p.counter("upstream.order_held"), "no key is shared, or all in the same order")
	require.NoError(t, f.conn.Send(cmd("MSET", "{k}a", 1, "{k}b", 2), cmd("GET", "{k}b")))
	assert.Equal(t, []any{"OK", "{k}b"}, receive(t, f.conn, 2))
	f.p.moves(t, "upstream.order_held", 1)
}
