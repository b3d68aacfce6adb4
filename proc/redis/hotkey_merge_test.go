package redis

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"samaritan/proc/redis/filter"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"samaritan/api/redis"
	"samaritan/internal/stats"
)

// sample is a value of the proxy's statistics.
func (p *testProxy) sample(t testing.TB, name string) (found stats.Sample) {
	t.Helper()
	n := 0
	p.Stats(func(s stats.Sample) {
		if s.Name == name {
			found = s
			n++
		}
	})
	require.Equal(t, 1, n, name)
	return found
}

func TestAllLoopsAndNodesAreMerged(t *testing.T) {
	p := hotProxy(t, proxyOptions{loops: 2})
	for range 8 {
		conn := connect(t, p.Addr)
		must(t, conn, "MGET", "a", "b", "c", "d", "e")
		must(t, conn, "SET", "a", strings.Repeat("v", 2000))
	}
	loops := 0
	p.onWorkers(func(w *worker) {
		loops += min(1, len(w.sessions))
	})
	got := p.counted()
	require.Len(t, got, 5)
	places := map[string]bool{}
	for name, k := range got {
		assert.EqualValues(t, 8+8*btoi(name == "a"), k.Count)
		assert.Zero(t, k.Error)
		assert.InDelta(t, float64(k.Count)/48, k.Share, 1e-9)
		places[k.Node] = true
	}
	assert.Greater(t, len(places), 1)
	r := p.hotKeys()
	assert.EqualValues(t, 48, r.Hits)
	assert.Len(t, r.Values, 1)
	total := uint64(0)
	for _, s := range r.SlotsByRequests {
		total += s.Requests
	}
	assert.EqualValues(t, 48, total)
	t.Logf("%d loops have counted", loops)
}

func TestAWindowIsTwoIntervals(t *testing.T) {
	p := hotProxy(t, proxyOptions{})
	conn := connect(t, p.Addr)
	must(t, conn, "GET", "k")
	assert.Equal(t, map[string]int{"k": 1}, p.hits())
	must(t, conn, "GET", "k")
	must(t, conn, "GET", "other")
	assert.Equal(t, map[string]int{"k": 2, "other": 1}, p.hits())
	assert.Equal(t, map[string]int{"k": 1, "other": 1}, p.hits())
	assert.Equal(t, map[string]int{"k": 0, "other": 0}, p.hits(), "they are still warm")
}

// What was counted at a node that has left the cluster is not lost, and its memory is.
func TestHitsAtANodeThatLeavesAreStillMerged(t *testing.T) {
	nodes := startStubs(t, 2)
	p := startProxy(t, proxyOptions{}, addrs(nodes)...).ready(t).still(t)
	conn := connect(t, p.Addr)
	leaving := key(16000, "leaves")
	for range 7 {
		must(t, conn, "GET", leaving)
	}
	must(t, conn, "GET", key(1, "stays"))
	p.reshards(t, nodes, 1)
	must(t, conn, "GET", leaving)

	k := p.counted()[leaving]
	assert.EqualValues(t, 8, k.Count)
	assert.Equal(t, nodes[1].Addr, k.Node, "7 of 8")
	p.onWorkers(func(w *worker) {
		assert.Equal(t, []string{nodes[0].Addr}, w.counted())
	})
	assert.EqualValues(t, 8, p.counted()[leaving].Count)
	must(t, conn, "GET", leaving)
	k = p.counted()[leaving]
	assert.EqualValues(t, 1, k.Count)
	assert.Equal(t, nodes[0].Addr, k.Node)
}

// A node may come back before its counts have been read.
func TestANodeThatComesBackIsCountedOnAtOnce(t *testing.T) {
	nodes := startStubs(t, 2)
	p := startProxy(t, proxyOptions{}, addrs(nodes)...).ready(t).still(t)
	conn := connect(t, p.Addr)
	name := key(16000, "k")
	for range 3 {
		must(t, conn, "GET", name)
		p.reshards(t, nodes, 1)
		p.reshards(t, nodes, 2)
	}
	k := p.counted()[name]
	assert.EqualValues(t, 3, k.Count)
	assert.Equal(t, nodes[1].Addr, k.Node)
	assert.EqualValues(t, 1, k.NodeShare)
}

func TestHotKeysAreSwitchedOffAndOnLive(t *testing.T) {
	p := hotProxy(t, proxyOptions{loops: 2})
	conn := connect(t, p.Addr)
	for range 3 {
		must(t, conn, "SET", "before", strings.Repeat("v", 3000))
		require.Len(t, p.counted(), 1)
		require.Len(t, p.hotKeys().Values, 1)

		p.setHot(t, &redis.HotKeys{Enable: proto.Bool(false), Interval: duration(time.Hour)})
		p.onWorkers(func(w *worker) {
			assert.Nil(t, w.hot)
			for _, n := range w.nodes {
				assert.Equal(t, filter.Node{Addr: n.addr}, n.filters, "memory goes back")
			}
		})
		eventually(t, func() bool { return len(p.hotKeys().Keys) == 0 && len(p.hotKeys().Values) == 0 }, "all is forgotten")
		must(t, conn, "SET", "while off", strings.Repeat("v", 3000))
		assert.Empty(t, p.counted())

		p.still(t)
		must(t, conn, "GET", "after")
		assert.Equal(t, map[string]int{"after": 1}, p.hits())
		p.resetHotKeys()
	}
}

// Requests that are on their way when hot keys are switched off and on again have their
// replies counted nowhere, and nothing breaks.
func TestRepliesMayComeAfterHotKeysWereSwitchedOffAndOn(t *testing.T) {
	n := startStub(t)
	p := startProxy(t, proxyOptions{}, n.Addr).ready(t).still(t)
	hold := n.holds("GET")
	conn, other := connect(t, p.Addr), connect(t, p.Addr)
	require.NoError(t, conn.Send(cmd("GET", "a"), cmd("GET", "b")))
	eventually(t, func() bool { return n.count("GET") > 0 }, "sent")
	p.setHot(t, &redis.HotKeys{Enable: proto.Bool(false)})
	p.still(t)
	require.NoError(t, other.Send(cmd("SET", "c", 1)))
	eventually(t, func() bool { return p.hits()["c"] == 1 }, "there is a counter again")
	close(hold)
	assert.Equal(t, []any{"a", "b"}, receive(t, conn, 2))
	assert.Equal(t, []any{"OK"}, receive(t, other, 1))
	assert.NotContains(t, p.hits(), "a")
}

func TestTheIntervalChangesLive(t *testing.T) {
	p := hotProxy(t, proxyOptions{})
	conn := connect(t, p.Addr)
	must(t, conn, "GET", "k")
	assert.Zero(t, p.hotKeys().Time, "an hour has not passed")
	p.setHot(t, &redis.HotKeys{Interval: duration(time.Second), Capacity: 2})
	eventually(t, func() bool { return len(p.hotKeys().Keys) == 1 }, "a second has")
	first := p.hotKeys()
	assert.EqualValues(t, 1, first.Keys[0].Count)
	for i := range 5 {
		must(t, conn, "GET", fmt.Sprint("k", i))
	}
	eventually(t, func() bool { return p.hotKeys() != first && len(p.hotKeys().Keys) == 2 }, "and the capacity is another")
	assert.InDelta(t, 1, p.hotKeys().Interval.Seconds(), 0.9)
}

func TestTheHottestKeysAreLogged(t *testing.T) {
	n := startStub(t)
	p, lines := startLogged(t, proxyOptions{}, n.Addr)
	p.still(t)
	conn := connect(t, p.Addr)
	p.mergeOnce()
	p.logHotKeys(3)
	for range 3 {
		must(t, conn, "GET", "hot\nkey")
	}
	must(t, conn, "GET", "second")
	must(t, conn, "GET", "second")
	must(t, conn, "GET", "third")
	p.mergeOnce()
	p.logHotKeys(0)
	assert.NotContains(t, lines.String(), "hot keys", "not asked for, or nothing to tell")
	p.logHotKeys(2)
	text := lines.String()
	require.Equal(t, 1, strings.Count(text, `msg="hot keys"`))
	_, line, _ := strings.Cut(text, `msg="hot keys"`)
	assert.Regexp(t, `^ qps=.* window=.* keys=.*hot\\+nkey.* \d+/s 50\.0%, second \d+/s 33\.3%"\n$`, line)
}

func TestHotKeysHaveStatistics(t *testing.T) {
	p := hotProxy(t, proxyOptions{})
	assert.Zero(t, p.sample(t, "hotkeys.hits_total").Value)
	assert.Zero(t, p.sample(t, "hotkeys.tracked").Value)
	assert.EqualValues(t, 1, p.sample(t, "hotkeys.sample_rate").Value)
	conn := connect(t, p.Addr)
	must(t, conn, "MGET", "a", "b", "c")
	must(t, conn, "GET", "a")
	p.mergeOnce()
	must(t, conn, "GET", "a")
	p.mergeOnce()
	assert.EqualValues(t, 5, p.sample(t, "hotkeys.hits_total").Value)
	assert.Equal(t, stats.Counter, p.sample(t, "hotkeys.hits_total").Kind)
	assert.EqualValues(t, 3, p.sample(t, "hotkeys.tracked").Value)
	assert.EqualValues(t, 1, p.sample(t, "hotkeys.sample_rate").Value)
	merges := 0
	p.Stats(func(s stats.Sample) {
		merges += btoi(strings.HasPrefix(s.Name, "hotkeys.merge_micros"))
		for _, name := range []string{"a", "b", "c"} {
			assert.NotContains(t, s.Name, "hotkeys."+name, "never a key")
		}
	})
	assert.Positive(t, merges)
	p.resetHotKeys()
	assert.EqualValues(t, 5, p.sample(t, "hotkeys.hits_total").Value, "it only grows")
	assert.Zero(t, p.sample(t, "hotkeys.tracked").Value)
}

// Merging, resetting, changed settings and traffic at the same time.
func TestMergingDisturbsNobody(t *testing.T) {
	p := hotProxy(t, proxyOptions{loops: 2})
	stop := make(chan struct{})
	var running sync.WaitGroup
	for i := range 3 {
		conn := connect(t, p.Addr)
		running.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				_, err := conn.Do("MSET", fmt.Sprint("a", n%50), strings.Repeat("v", 1500), fmt.Sprint("b", n%50), i)
				if !assert.NoError(t, err) {
					return
				}
			}
		})
	}
	conn := connect(t, p.Addr)
	for i := range 60 {
		switch i % 6 {
		case 0, 1, 2:
			p.mergeOnce()
		case 3:
			p.resetHotKeys()
		case 4:
			_, _ = conn.Do("HOTKEY", "LIST") // they may be switched off
			must(t, conn, "HOTKEY", "RESET")
		case 5:
			p.setHot(t, &redis.HotKeys{Enable: proto.Bool(i%12 == 5), Interval: duration(time.Hour), Capacity: uint32(1 + i)})
		}
	}
	close(stop)
	running.Wait()
}
