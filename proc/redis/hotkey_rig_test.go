package redis

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samaritan/api/redis"
	"samaritan/config"
	"samaritan/hotkey"
	"samaritan/internal/testredis"
)

// setHot changes what the service does about hot keys. Nothing else is changed.
func (p *testProxy) setHot(t testing.TB, h *redis.HotKeys) {
	t.Helper()
	old := p.svc.Load()
	c := proxyOptions{}.config()
	c.GetRedisOption().ReadStrategy = old.Config.GetRedisOption().GetReadStrategy()
	c.GetRedisOption().RequestTimeout = old.Config.GetRedisOption().GetRequestTimeout()
	c.GetRedisOption().HotKeys = h
	svc, err := config.NewService("test", c, old.Endpoints)
	require.NoError(t, err)
	require.NoError(t, p.Update(svc))
	p.onWorkers(func(*worker) {}) // they have it
}

// still is a proxy whose intervals end when the test says so.
func (p *testProxy) still(t testing.TB) *testProxy {
	t.Helper()
	p.setHot(t, &redis.HotKeys{Interval: duration(time.Hour), Window: duration(2 * time.Hour)})
	return p
}

// forget resets what is known, and lets the workers look at large values as after a sweep.
func (p *testProxy) forget() {
	p.resetHotKeys()
	p.onWorkers(func(w *worker) { w.hot.Pace(w.loop.Now()) })
}

// reshards lets the first nodes have all slots, and returns when the proxy knows those and no others.
func (p *testProxy) reshards(t testing.TB, nodes []*stub, owners int) {
	t.Helper()
	var ports []int
	for _, n := range nodes[:owners] {
		ports = append(ports, n.Port)
	}
	for _, n := range nodes {
		n.setSlots(slotsReply(ports...))
	}
	p.topology.trigger(causeMoved, "")
	eventually(t, func() bool {
		taken := true
		p.onWorkers(func(w *worker) {
			for i, n := range nodes {
				taken = taken && (w.nodes[n.Addr] != nil) == (i < owners)
			}
		})
		return taken
	}, fmt.Sprint("the slots are at ", ports))
}

// counted takes what was counted at nodes, and returns which these are.
func (w *worker) counted() (addrs []string) {
	spare := new(hotkey.Counts)
	for i := 0; ; {
		at := w.hot.CutNode(&i, spare)
		if at.Counts == nil {
			return addrs
		}
		addrs = append(addrs, at.Addr)
		spare = at.Counts
		spare.Clear()
	}
}

// hits are the counts by name.
func (p *testProxy) hits() map[string]int {
	all := map[string]int{}
	for name, k := range p.counted() {
		all[name] = int(k.Count)
	}
	return all
}

// hotProxy is a proxy before the shared cluster whose intervals end when the test says so.
func hotProxy(t testing.TB, o proxyOptions) *testProxy {
	t.Helper()
	return startProxy(t, o, testredis.Shared(t, testredis.Options{}).Addrs()...).ready(t).still(t)
}
