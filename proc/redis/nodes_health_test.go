package redis

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samaritan/internal/testredis"
)

// recovers waits until no node rests, and sends no request.
func (p *testProxy) recovers(t testing.TB) {
	t.Helper()
	require.Eventually(t, func() bool { return p.counter("upstream.nodes_resting") == 0 }, recovery, 2*time.Millisecond, "the node still rests")
}

func TestNodeThatTimedOutGetsNoTrafficUntilItAnswers(t *testing.T) {
	t.Parallel()
	nodes := startStubs(t, 2)
	hung := nodes[1]
	p := startProxy(t, proxyOptions{requestTimeout: shortLimit}, addrs(nodes)...).ready(t)
	conn, other := connect(t, p.Addr), connect(t, p.Addr)
	must(t, conn, "GET", there)
	hung.does(silent)
	assert.Equal(t, timedOut(hung.Addr), errorOf(t, conn, "GET", there))
	reached := hung.userRequests()

	start := time.Now()
	for range 100 {
		assert.Contains(t, errorOf(t, conn, "GET", there), unreachable(hung.Addr))
		assert.Contains(t, errorOf(t, conn, "MGET", here, there), unreachable(hung.Addr))
		assert.Equal(t, here, must(t, other, "GET", here))
	}
	within(t, start, 0, overdue) // each for itself at once, else it were 200 times the limit
	require.Equal(t, reached, hung.userRequests(), "requests of clients reach a node that rests")
	p.moves(t, "upstream.nodes_resting", 1)
	eventually(t, func() bool {
		assert.Contains(t, errorOf(t, conn, "SET", there, 1), unreachable(hung.Addr))
		return hung.count("PING") >= 2
	}, "it is asked again and again")
	require.Equal(t, reached, hung.userRequests(), "requests of clients reach a node that rests")

	hung.does(nil)
	p.recovers(t)
	require.Equal(t, reached, hung.userRequests(), "no client has asked")
	assert.Equal(t, there, must(t, conn, "GET", there), "it works at once")
	assert.Equal(t, []any{here, there}, must(t, other, "MGET", here, there))
	conns := hung.userConns()
	require.Len(t, conns, 2, "the connection of the probe is the one used")
	assert.Less(t, slices.Index(conns[1], "PING"), slices.Index(conns[1], "GET"))
	assert.GreaterOrEqual(t, slices.Index(conns[1], "PING"), 0)
}

// TestProbeThatIsAnsweredWithAnErrorIsAnswered: a node that still loads is there.
func TestProbeThatIsAnsweredWithAnErrorIsAnswered(t *testing.T) {
	t.Parallel()
	nodes := startStubs(t, 2)
	hung := nodes[1]
	p := startProxy(t, proxyOptions{requestTimeout: shortLimit}, addrs(nodes)...).ready(t)
	conn := connect(t, p.Addr)
	hung.does(silent)
	assert.Equal(t, timedOut(hung.Addr), errorOf(t, conn, "GET", there))
	p.moves(t, "upstream.nodes_resting", 1)
	const loading = "LOADING Redis is loading the dataset in memory"
	hung.does(func(c *stubConn, args []string) bool {
		return (args[0] == "PING" || !ownCommands[args[0]]) && c.say("-"+loading+"\r\n")
	})
	p.recovers(t)
	assert.Equal(t, loading, errorOf(t, conn, "GET", there), "it says itself what is the matter")
}

// TestNodeRestsForBothProtocolVersions: it is the node that does not answer, whatever
// the connection.
func TestNodeRestsForBothProtocolVersions(t *testing.T) {
	t.Parallel()
	nodes := startStubs(t, 2)
	hung := nodes[1]
	p := startProxy(t, proxyOptions{requestTimeout: shortLimit}, addrs(nodes)...).ready(t)
	old, modern := connect(t, p.Addr), connect(t, p.Addr)
	must(t, modern, "HELLO", 3)
	must(t, modern, "GET", there)
	must(t, old, "GET", there)
	hung.does(silent)
	assert.Equal(t, timedOut(hung.Addr), errorOf(t, old, "GET", there))
	reached := hung.userRequests()
	assert.Contains(t, errorOf(t, modern, "GET", there), unreachable(hung.Addr))
	assert.Equal(t, reached, hung.userRequests(), "requests of clients reach a node that rests")
	hung.does(nil)
	p.moves(t, "upstream.probe_total", 1)
	p.recovers(t)
	assert.Equal(t, there, must(t, old, "GET", there))
	assert.Equal(t, there, must(t, modern, "GET", there))
}

func TestNodeThatClosesWhatItAccepts(t *testing.T) {
	t.Parallel()
	const requests = 400
	nodes := startStubs(t, 2)
	bad := nodes[1]
	p := startProxy(t, proxyOptions{}, addrs(nodes)...).ready(t)
	conn, other := connect(t, p.Addr), connect(t, p.Addr)
	must(t, conn, "GET", there)
	bad.slams(true)
	before := bad.attempts()
	for range requests {
		assert.Contains(t, errorOf(t, conn, "GET", there), bad.Addr)
		assert.Equal(t, here, must(t, other, "GET", here))
	}
	attempts := bad.attempts() - before
	t.Logf("%d connections for %d requests", attempts, requests)
	assert.Less(t, attempts, requests/4, "user traffic makes the connections")
	bad.slams(false)
	eventually(t, func() bool { v, _ := conn.Do("GET", there); return v == there }, "it is used again")
}

func TestNodeThatRefusesComesBackByItself(t *testing.T) {
	t.Parallel()
	nodes := startStubs(t, 2)
	away := nodes[1]
	p := startProxy(t, proxyOptions{}, addrs(nodes)...).ready(t)
	conn := connect(t, p.Addr)
	must(t, conn, "GET", there)
	away.leave()
	eventually(t, func() bool { _, err := conn.Do("GET", there); return err != nil }, "it is away")
	for range 100 {
		assert.Contains(t, errorOf(t, conn, "GET", there), unreachable(away.Addr))
	}
	shown, err := json.Marshal(p.Topology())
	require.NoError(t, err)
	assert.Contains(t, string(shown), unreachable(away.Addr), "the admin page says so")
	p.moves(t, "upstream.probe_failure", 3)
	connects := p.counter("upstream.cx_connect_fail")
	for range 100 {
		assert.Contains(t, errorOf(t, conn, "SET", there, 1), unreachable(away.Addr))
	}
	assert.Less(t, p.counter("upstream.cx_connect_fail")-connects, 20, "user traffic makes attempts")
	reached := away.userRequests()
	away.returns(t)
	p.recovers(t)
	assert.Equal(t, reached, away.userRequests(), "no client has asked")
	assert.Positive(t, away.count("PING"))
	assert.Equal(t, there, must(t, conn, "GET", there), "it works at once")
}

func TestProbesStopWhenTheNodeLeavesTheCluster(t *testing.T) {
	t.Parallel()
	nodes := startStubs(t, 2)
	gone := nodes[1]
	p := startProxy(t, proxyOptions{requestTimeout: shortLimit}, addrs(nodes)...).ready(t)
	conn := connect(t, p.Addr)
	gone.does(silent)
	assert.Equal(t, timedOut(gone.Addr), errorOf(t, conn, "GET", there))
	p.moves(t, "upstream.probe_total", 2)
	for _, n := range nodes {
		n.setSlots(slotsReply(nodes[0].Port))
	}
	gone.does(func(_ *stubConn, args []string) bool { return args[0] != "CLUSTER" })
	p.topology.SetSeeds([]string{nodes[0].Addr})
	eventually(t, func() bool { return len(p.topology.Map().Nodes()) == 1 }, "the map is followed")
	p.recovers(t)
	assert.Equal(t, there, must(t, conn, "GET", there), "the other one has its slots")
	// The gauge is down at once; longer than the longest pause nothing must come. The
	// topology may ask the seed, but does not PING.
	from := gone.count("PING")
	require.Never(t, func() bool { return gone.count("PING") > from+1 }, 1700*time.Millisecond, 50*time.Millisecond, "probes of a node that left")
}

func TestProbesStopWithTheProxy(t *testing.T) {
	before := goleak.IgnoreCurrent()
	for _, mode := range []string{"silent", "refuses", "slams", "black hole"} {
		t.Run(mode, func(t *testing.T) {
			nodes := startStubs(t, 2)
			bad, addr := nodes[1], nodes[1].Addr
			switch mode {
			case "silent":
				bad.does(silent)
			case "refuses":
				bad.leave()
			case "slams":
				bad.slams(true)
			default:
				hole, port := blackHole(t)
				addr = hole
				nodes[0].setSlots(slotsReply(nodes[0].Port, port))
			}
			p := startProxy(t, proxyOptions{requestTimeout: shortLimit, connectTimeout: shortLimit}, nodes[0].Addr).ready(t)
			conn := connect(t, p.Addr)
			assert.Contains(t, errorOf(t, conn, "GET", there), addr)
			p.moves(t, "upstream.probe_total", 1)
			start := time.Now()
			p.Stop()
			within(t, start, 0, time.Second+overdue)
		})
	}
	goleak.VerifyNone(t, before)
}

// pipelines sends pipelines of INCR to some keys, on a connection of its own, until it
// is ended. What a reply must be is known, as nobody else counts there.
type pipelines struct {
	failed atomic.Int64
	last   atomic.Value // string: the last error
	rounds atomic.Int64
	stop   chan struct{}
	done   sync.WaitGroup

	mu   sync.Mutex // guards the following
	took []time.Duration
}

// pipelineLength is the number of commands for each key in a pipeline.
const pipelineLength = 20

func startPipelines(t *testing.T, addr string, keys ...string) *pipelines {
	t.Helper()
	l := &pipelines{stop: make(chan struct{})}
	conn := connect(t, addr)
	var all [][]any
	for range pipelineLength {
		for _, k := range keys {
			all = append(all, cmd("INCR", k))
		}
	}
	l.done.Go(func() {
		for count := int64(0); ; count += pipelineLength {
			select {
			case <-l.stop:
				return
			default:
			}
			start := time.Now()
			err := conn.Send(all...)
			for i := range all {
				var v any
				if err == nil {
					v, err = conn.Receive()
				}
				if want := count + int64(i/len(keys)) + 1; err == nil && v != want {
					err = fmt.Errorf("%v instead of %d", v, want)
				}
			}
			if err != nil {
				l.last.Store(err.Error())
				l.failed.Add(1)
				return
			}
			l.mu.Lock()
			l.took = append(l.took, time.Since(start))
			l.mu.Unlock()
			l.rounds.Add(1)
		}
	})
	t.Cleanup(func() { close(l.stop); l.done.Wait() })
	return l
}

// goOn waits for n more pipelines.
func (l *pipelines) goOn(t *testing.T, n int64) {
	t.Helper()
	from := l.rounds.Load()
	eventually(t, func() bool { return l.failed.Load() > 0 || l.rounds.Load() >= from+n }, "pipelines go on")
}

// take returns how long each pipeline took since the last call.
func (l *pipelines) take() []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	took := l.took
	l.took = nil
	return took
}

func TestStoppedMasterHoldsUpNobodyElse(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{NodeTimeout: 30 * time.Second})
	const limit = time.Second
	p := startProxy(t, proxyOptions{requestTimeout: limit}, c.Addrs()...).ready(t)
	hung := c.Master(100)
	var loads []*pipelines
	for i := range 3 {
		loads = append(loads, startPipelines(t, p.Addr, key(8000, fmt.Sprint("a", i)), key(16000, fmt.Sprint("b", i))))
	}
	const count = 50
	for _, l := range loads {
		l.goOn(t, count)
		l.take()
	}
	// The clients of the hung node go on asking it.
	require.NoError(t, hung.Stop())
	defer func() { require.NoError(t, hung.Continue()) }()
	askers := []*load{startLoad(t, p.Addr, key(100, "n")), startLoad(t, p.Addr, key(200, "n"))}
	for _, a := range askers {
		eventually(t, func() bool { return a.errors.Load() > 0 }, "it has timed out")
	}
	for _, l := range loads {
		l.goOn(t, count)
		took := l.take()
		assert.Zero(t, l.failed.Load(), "%v", l.last.Load())
		slices.Sort(took)
		t.Logf("%d pipelines, median %v, longest %v", len(took), took[len(took)/2], took[len(took)-1])
		assert.Less(t, took[len(took)-1], limit, "a pipeline was held up")
	}
	for _, a := range askers {
		a.end()
		assert.Zero(t, a.badErrors.Load(), "%v", a.last.Load())
	}
}
