package redis

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"samaritan/api/redis"
	"samaritan/api/service"
)

// TestChecksChangeLive: they are switched on and off, and changed, under a client that
// does not notice.
func TestChecksChangeLive(t *testing.T) {
	t.Parallel()
	m, first, second := startSet(t)
	sick(second, "second")
	p := startProxy(t, proxyOptions{read: redis.ReadStrategy_REPLICA, loops: 2}, m.Addr).ready(t)
	conn := connect(t, p.Addr)
	asked := func() map[any]bool {
		all := map[any]bool{}
		for range 20 {
			all[must(t, conn, "GET", "k")] = true
		}
		return all
	}
	two, one := map[any]bool{"first k": true, "second k": true}, map[any]bool{"first k": true}
	for range 3 {
		assert.Equal(t, two, asked(), "nobody is checked")
		assert.Empty(t, p.status(second.Addr))
		p.setCheck(t, checking())
		p.judged(t, second.Addr, false)
		assert.Equal(t, one, asked(), "it refuses PING")
		p.setCheck(t, checkingTCP())
		p.judged(t, second.Addr, true)
		assert.Equal(t, two, asked(), "it accepts connections")
		p.setCheck(t, checking())
		p.judged(t, second.Addr, false)
		assert.Equal(t, one, asked())
		p.setCheck(t, nil)
	}
	assert.Equal(t, 1, p.counter("downstream.cx_total"), "the same connection all the time")
	assert.Zero(t, p.counter("upstream.rq_failure_total"))
	well(second, "second")
	p.setCheck(t, checking())
	p.judged(t, second.Addr, true)
	assert.Equal(t, two, asked())
	assert.Positive(t, first.count("GET"))
}

// TestAVerdictTakesTheThresholds: after its first one.
func TestAVerdictTakesTheThresholds(t *testing.T) {
	t.Parallel()
	n := startStub(t)
	check := checking()
	check.FallThreshold, check.RiseThreshold = 5, 4
	p := startProxy(t, proxyOptions{check: check}, n.Addr).ready(t)
	p.judged(t, n.Addr, true)
	failed := p.status(n.Addr).Failed
	sick(n, "n")
	p.judged(t, n.Addr, false)
	fell := p.status(n.Addr)
	assert.GreaterOrEqual(t, fell.Failed-failed, uint64(5))
	assert.Contains(t, fell.LastError, "no")
	well(n, "n")
	p.judged(t, n.Addr, true)
	assert.GreaterOrEqual(t, p.status(n.Addr).Passed-fell.Passed, uint64(4))
}

// TestEndpointsThatComeAndGoAreChecked: by Update, while the check stays as it is.
func TestEndpointsThatComeAndGoAreChecked(t *testing.T) {
	t.Parallel()
	m, first, second := startSet(t)
	away := startStub(t) // of no cluster: known from the configuration alone
	p := startProxy(t, proxyOptions{check: checking()}, m.Addr).ready(t)
	p.judged(t, m.Addr, true)
	passed := p.status(m.Addr).Passed
	p.alter(t, func(*service.Config) {}, m.Addr, away.Addr)
	p.judged(t, away.Addr, true)
	assert.Empty(t, p.endpoint(away.Addr).Role)
	assert.GreaterOrEqual(t, p.status(m.Addr).Passed, passed, "what is known of the others is kept")
	p.alter(t, func(*service.Config) {}, m.Addr)
	assert.Nil(t, p.endpoint(away.Addr))
	reached, passed := settled(t, p, away, m), p.status(m.Addr).Passed
	eventually(t, func() bool { return p.status(m.Addr).Passed >= passed+5 }, "others are checked on")
	assert.Equal(t, reached, away.attempts(), "it is not checked any more")
	for _, n := range []*stub{first, second} {
		assert.True(t, p.status(n.Addr).Checked, "nodes of the map are, though not configured")
	}
}

// settled returns how often a node was connected to, once a check that was under way
// must have ended.
func settled(t *testing.T, p *testProxy, n, other *stub) int {
	t.Helper()
	passed := p.status(other.Addr).Passed
	eventually(t, func() bool { return p.status(other.Addr).Passed >= passed+3 }, "others are checked on")
	return n.attempts()
}

// TestANodeThatLeavesTheMapIsNotCheckedAnyMore: and is checked again when it returns.
func TestANodeThatLeavesTheMapIsNotCheckedAnyMore(t *testing.T) {
	t.Parallel()
	m, first, second := startSet(t)
	p := startProxy(t, proxyOptions{check: checking()}, m.Addr).ready(t)
	sick(second, "second")
	p.judged(t, second.Addr, false)
	for _, n := range []*stub{m, first} {
		n.setSlots(slotsWithReplicas(m, first))
	}
	p.topology.trigger(causeMoved, m.Addr)
	eventually(t, func() bool { return p.endpoint(second.Addr) == nil }, "it is gone")
	eventually(t, func() bool { return len(p.checkSamples("health.up")) == 2 }, "it is not checked any more")
	reached := settled(t, p, second, m)
	passed := p.status(m.Addr).Passed
	eventually(t, func() bool { return p.status(m.Addr).Passed >= passed+5 }, "others are checked on")
	assert.Equal(t, reached, second.attempts())

	for _, n := range []*stub{m, first} {
		n.setSlots(slotsWithReplicas(m, first, second))
	}
	p.topology.trigger(causeMoved, m.Addr)
	p.judged(t, second.Addr, false)
}

// The settings of an update that others make do not disturb the checks.
func TestAnUpdateOfSomethingElseKeepsVerdicts(t *testing.T) {
	t.Parallel()
	m, _, second := startSet(t)
	sick(second, "second")
	p := startProxy(t, proxyOptions{check: checking()}, m.Addr).ready(t)
	p.judged(t, second.Addr, false)
	since := p.status(second.Addr).Since
	for i := range 10 {
		p.alter(t, func(c *service.Config) { c.Listener.ConnectionLimit = uint32(100 + i) })
		assert.Equal(t, since, p.status(second.Addr).Since)
	}
}
