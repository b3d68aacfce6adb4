package redis

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api/redis"
	"samaritan/proc/redis/cluster"
)

// The names of the nodes of startSet, in order.
var setNames = []string{"master", "first", "second"}

// TestReadsGoToNodesWhoseChecksPass: a node whose checks fail answers all the same, so
// who is asked is the doing of the checks alone.
func TestReadsGoToNodesWhoseChecksPass(t *testing.T) {
	const master, replica, both = redis.ReadStrategy_MASTER, redis.ReadStrategy_REPLICA, redis.ReadStrategy_BOTH
	for _, tt := range []struct {
		read redis.ReadStrategy
		sick []int // of setNames
		want []int
	}{
		{replica, nil, []int{1, 2}},
		{replica, []int{1}, []int{2}},
		{replica, []int{2}, []int{1}},
		{replica, []int{0}, []int{1, 2}},
		{replica, []int{0, 1}, []int{2}},
		{replica, []int{1, 2}, []int{0}},
		{replica, []int{0, 1, 2}, []int{1, 2}}, // as if nobody had been checked
		{both, nil, []int{0, 1, 2}},
		{both, []int{1}, []int{0, 2}},
		{both, []int{0}, []int{1, 2}},
		{both, []int{0, 1}, []int{2}},
		{both, []int{1, 2}, []int{0}},
		{both, []int{0, 1, 2}, []int{0, 1, 2}},
		{master, []int{0}, []int{0}},
	} {
		t.Run(fmt.Sprint(tt.read, tt.sick), func(t *testing.T) {
			t.Parallel()
			m, first, second := startSet(t)
			set := []*stub{m, first, second}
			for _, i := range tt.sick {
				sick(set[i], setNames[i])
			}
			p := startProxy(t, proxyOptions{read: tt.read, check: checking()}, m.Addr).ready(t)
			conn := connect(t, p.Addr)
			for i, n := range set {
				p.judged(t, n.Addr, !slices.Contains(tt.sick, i))
			}
			for range 30 {
				must(t, conn, "GET", "before") // so that the workers have made all clients
			}
			var want []any
			for _, i := range tt.want {
				want = append(want, setNames[i]+" k")
			}
			got := map[any]bool{}
			for range 30 {
				got[must(t, conn, "GET", "k")] = true
			}
			assert.Len(t, got, len(want))
			for _, w := range want {
				assert.Contains(t, got, w)
			}
			before := m.count("SET")
			must(t, conn, "SET", "k", "v")
			assert.Equal(t, before+1, m.count("SET"), "the master gets the writes in any case")
			p.moves(t, "upstream.rq_total", 61)
			assert.Zero(t, p.counter("upstream.rq_failure_total"))
		})
	}
}

// TestTheFirstClientFindsVerdicts: the event loop that it comes to has not been told of
// any before.
func TestTheFirstClientFindsVerdicts(t *testing.T) {
	t.Parallel()
	m, _, second := startSet(t)
	sick(second, "second")
	p := startProxy(t, proxyOptions{read: redis.ReadStrategy_REPLICA, check: checking()}, m.Addr).ready(t)
	p.judged(t, second.Addr, false)
	conn := connect(t, p.Addr)
	for range 20 {
		assert.Equal(t, "first k", must(t, conn, "GET", "k"))
	}
}

// Unlike the owner of a slot, any other master can take these.
func TestCommandsWithoutKeysGoToMastersWhoseChecksPass(t *testing.T) {
	t.Parallel()
	nodes := startStubs(t, 3)
	sick(nodes[1], "one")
	sick(nodes[2], "two")
	p := startProxy(t, proxyOptions{check: checking()}, addrs(nodes)...).ready(t)
	conn := connect(t, p.Addr)
	p.judged(t, nodes[1].Addr, false)
	p.judged(t, nodes[2].Addr, false)
	for range 30 {
		must(t, conn, "XINFO", "HELP")
	}
	assert.Equal(t, 30, nodes[0].count("XINFO"))
	for _, n := range nodes {
		sick(n, "any")
	}
	for _, n := range nodes {
		p.judged(t, n.Addr, false)
	}
	for range 30 {
		must(t, conn, "XINFO", "HELP")
	}
	assert.Positive(t, nodes[1].count("XINFO"), "all are down: as if nobody had been checked")
}

func TestTheSlotMapIsAskedOfHealthyNodesFirst(t *testing.T) {
	reply := "*1\r\n*5\r\n:0\r\n:16383\r\n" +
		"*3\r\n$1\r\nm\r\n:1\r\n$1\r\nm\r\n" + "*3\r\n$1\r\nr\r\n:1\r\n$1\r\nr\r\n" + "*3\r\n$1\r\ns\r\n:1\r\n$1\r\ns\r\n"
	m, err := cluster.ParseSlots([]byte(reply), "x:1")
	require.NoError(t, err)
	tp := newTopology(nil, []string{"seed:1"}, nil)
	var down map[string]bool
	tp.unhealthy = func() map[string]bool { return down }
	down = map[string]bool{"m:1": true, "r:1": true}
	assert.Equal(t, []string{"seed:1", "s:1", "m:1", "r:1"}, tp.order(m, wish{}))
	assert.Equal(t, []string{"seed:1", "s:1", "m:1", "r:1"}, tp.order(m, wish{causeMoved, "m:1"}), "a hint, too")
	tp.silent["s:1"] = time.Now()
	assert.Equal(t, "seed:1", tp.order(m, wish{})[0])
	down = map[string]bool{"m:1": true, "r:1": true, "s:1": true, "seed:1": true}
	all := tp.order(m, wish{})
	slices.Sort(all[2:])
	assert.Equal(t, []string{"m:1", "seed:1", "r:1", "s:1"}, all, "nobody is left out, and the order stays")
}

func TestChecksThatChangeSomethingMakeTheMapBeAsked(t *testing.T) {
	t.Parallel()
	m, first, second := startSet(t)
	p := startProxy(t, proxyOptions{check: checking()}, m.Addr).ready(t)
	for _, n := range []*stub{m, first, second} {
		p.judged(t, n.Addr, true)
	}
	refreshes := p.counter("upstream.slots_refresh.total")
	sick(second, "second")
	p.judged(t, second.Addr, false)
	p.moves(t, "upstream.slots_refresh.total", refreshes+2) // and go on for a while
}

// TestEndpointsShowWhatIsKnown also holds the shape that tools read.
func TestEndpointsShowWhatIsKnown(t *testing.T) {
	t.Parallel()
	m, first, second := startSet(t)
	sick(second, "second")
	p := startProxy(t, proxyOptions{check: checking()}, first.Addr, m.Addr).ready(t)
	for _, n := range []*stub{m, first, second} {
		p.judged(t, n.Addr, n != second)
	}
	text, err := json.Marshal(p.Endpoints())
	require.NoError(t, err)
	var got []map[string]any
	require.NoError(t, json.Unmarshal(text, &got))
	require.Len(t, got, 3)
	for i, want := range []map[string]any{
		{"address": first.Addr, "type": "MAIN", "state": "UP", "configured": true, "role": "replica"},
		{"address": m.Addr, "type": "MAIN", "state": "UP", "configured": true, "role": "master"},
		{"address": second.Addr, "configured": false, "role": "replica"},
	} {
		check := got[i]["health"].(map[string]any)
		delete(got[i], "health")
		assert.Equal(t, want, got[i])
		assert.Equal(t, i != 2, check["healthy"])
		assert.Equal(t, true, check["checked"])
		assert.Equal(t, i == 2, check["last_error"] != nil)
	}
	assert.Equal(t, map[string]float64{m.Addr: 1, first.Addr: 1, second.Addr: 0}, p.checkSamples("health.up"))
	topology, err := json.Marshal(p.Topology())
	require.NoError(t, err)
	for _, n := range []*stub{m, first, second} {
		assert.Contains(t, string(topology), n.Addr)
	}
	assert.Contains(t, string(topology), `"check":"down"`)
	assert.Contains(t, string(topology), `"check":"up"`)

	p.setCheck(t, nil)
	for _, e := range p.Endpoints().([]endpointView) {
		assert.Nil(t, e.Health)
	}
	assert.Empty(t, p.checkSamples("health.up"))
}
