package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

func TestHotKeysAreFoundInSkewedTraffic(t *testing.T) {
	cluster := testredis.StartCluster(t, testredis.Options{})
	z := newZipf(1.1, 5000)
	z.fill(t, cluster)
	c := launch(t, cluster.Addrs(), hot(t, "hot_keys: {interval: 1s, window: 2s, log_top: 3}"))
	c.await("/ready", 200, "")
	listings, plain := c.listings(), c.goRedis(3, "")
	var truth ledger
	end := begin(t, newSenders(t, c, z), &truth, 10*time.Millisecond, 0)
	c.awaitReport(func(t *assert.CollectT, r *hotReport) { assert.Greater(t, r.Hits, 3000) })

	for name, list := range listings {
		require.EventuallyWithT(t, func(ct *assert.CollectT) {
			keys, err := list()
			require.NoError(ct, err, name)
			assert.Len(ct, keys, 50, name)
			truth.inOrder(ct, keysOf(keys[:min(10, len(keys))]), byHits)
		}, patience, 20*time.Millisecond, name)
	}
	require.EventuallyWithT(t, func(ct *assert.CollectT) {
		keys, err := plain.Do(t.Context(), "HOTKEYS", "GET").Slice() // no session: Valkey's form
		require.NoError(ct, err)
		all, _ := flat(keys, nil)
		truth.inOrder(ct, keysOf(all[:min(10, len(all))]), byHits)
		for _, k := range all {
			assert.Equal(ct, "0", k["db"])
			assert.Len(ct, k, 3)
		}
	}, patience, 20*time.Millisecond)
	require.EventuallyWithT(t, func(ct *assert.CollectT) {
		found := make(map[string]bool)
		for _, line := range c.hotText(ct) {
			found[line.key] = true
		}
		for _, y := range truth.by(byHits)[:10] {
			assert.True(ct, found[y.key], y.key)
		}
	}, patience, 20*time.Millisecond)
	c.awaitReport(func(ct *assert.CollectT, r *hotReport) {
		slot := testredis.Slot(z.keys[0])
		require.NotEmpty(ct, r.Slots)
		assert.EqualValues(ct, slot, r.Slots[0].Slot)
		assert.Equal(ct, cluster.Master(slot).Addr(), r.Slots[0].Node)
		assert.InDelta(ct, r.Keys[0].QPS, float64(r.Slots[0].Requests), 0.5*r.Keys[0].QPS, "a request has one key of the slot, an interval is 1 s")
	})
	hottest := truth.by(byHits)[:3]
	awaitLine(t, c, fmt.Sprintf(`keys="%s \d+/s \d+\.\d%%, %s \d+/s \d+\.\d%%, %s \d+/s \d+\.\d%%"`, hottest[0].key, hottest[1].key, hottest[2].key))

	end()
	stopped := time.Now()
	r := c.awaitReport(func(ct *assert.CollectT, r *hotReport) { assert.True(ct, r.intervalAfter(stopped)) })
	assert.Zero(t, r.QPS)
	for _, k := range r.Keys {
		assert.Zero(t, k.QPS, k.Key)
	}
	assertResetForgets(t, c, listings)
}

// awaitLine waits until the log has what matches the expression.
func awaitLine(t *testing.T, c *child, expression string) {
	t.Helper()
	require.EventuallyWithT(t, func(ct *assert.CollectT) { assert.Regexp(ct, expression, c.out.String()) }, patience, 50*time.Millisecond)
}

// late is how much later than its end the time of an interval may be at most for the tests to be
// right. If it is more, they wait for one interval more than they have to.
const late = 100 * time.Millisecond

// intervalAfter tells whether the report's last interval began after a moment, windowAfter whether
// its whole window did.
func (r *hotReport) intervalAfter(moment time.Time) bool {
	return r.Time.Add(-time.Duration(r.IntervalMS)*time.Millisecond - late).After(moment)
}

func (r *hotReport) windowAfter(moment time.Time) bool {
	return r.Time.Add(-time.Duration(r.WindowMS)*time.Millisecond - late).After(moment)
}

// assertResetForgets is for when there is no traffic any more.
func assertResetForgets(t *testing.T, c *child, listings map[string]listing) {
	t.Helper()
	assert.Equal(t, "OK", c.redisCLI("HOTKEY", "RESET"))
	assert.Equal(t, "Collect 0 keys in this period!", c.redisCLI("HOTKEY"))
	for name, list := range listings {
		keys, err := list()
		require.NoError(t, err, name)
		assert.Empty(t, keysOf(keys), name)
	}
	for _, command := range [][]string{{"HOTKEY", "SLOTS"}, {"HOTKEY", "BIG"}, {"HOTKEYS", "GET"}} {
		assert.Empty(t, c.redisCLI(command...), command)
	}
	r, ok := c.report(t)
	require.True(t, ok)
	assert.Zero(t, r.Hits)
	assert.Zero(t, r.QPS)
	assert.Empty(t, r.Slots)
	assert.Empty(t, r.Values)
}

func TestHotKeysAreCountedExactly(t *testing.T) {
	cluster := testredis.StartCluster(t, testredis.Options{})
	z := newZipf(1.1, 5000)
	z.fill(t, cluster)
	c := launch(t, cluster.Addrs(), hot(t, "hot_keys: {interval: 2s, window: 20s}"))
	c.await("/ready", 200, "")
	listings, session := c.listings(), c.goRedis(3, "")
	require.NoError(t, session.HotKeysStart(t.Context(), &goredis.HotKeysStartArgs{
		Metrics: []goredis.HotKeysMetric{goredis.HotKeysMetricCPU, goredis.HotKeysMetricNET}, Count: 10,
	}).Err())
	var truth ledger
	begin(t, newSenders(t, c, z), &truth, 20*time.Millisecond, 100)()
	assertSession(t, session, &truth)

	r := c.awaitReport(func(ct *assert.CollectT, r *hotReport) { assert.Equal(ct, truth.total(), r.Hits) })
	assert.InDelta(t, 1, r.SampleRate, 0, "nothing is left to chance")
	hottest := truth.by(byHits)[0]
	var shown []map[string]string
	for name, list := range listings {
		keys, err := list()
		require.NoError(t, err, name)
		shown = keys
		truth.inOrder(t, keysOf(keys)[:10], byHits)
		for _, k := range keys[:10] {
			assert.InDelta(t, truth.of(k["key"]).hits, whole(t, k["count"]), float64(whole(t, k["error"])), "%s: %v", name, k)
		}
		assertHottest(t, cluster, &hottest, keys[0])
	}
	assertText(t, c.hotText(t), shown)
	c.awaitReport(func(ct *assert.CollectT, r *hotReport) {
		k, ok := r.of(hottest.key)
		require.True(ct, ok)
		assert.Zero(ct, k.QPS)
		assert.GreaterOrEqual(ct, k.Count, hottest.hits)
	})
	require.NoError(t, session.HotKeysStop(t.Context()).Err())
	require.NoError(t, session.HotKeysReset(t.Context()).Err())
	assertResetForgets(t, c, listings)
	assert.Equal(t, truth.total(), c.stat("hotkeys.hits_total"), "a counter does not go back")
}

func whole(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

// assertSession compares what HOTKEYS GET says with the ledger.
func assertSession(t *testing.T, g *goredis.Client, truth *ledger) {
	t.Helper()
	got, err := g.HotKeysGet(t.Context()).Result()
	require.NoError(t, err)
	require.NotNil(t, got)
	assert.True(t, got.TrackingActive)
	byBytes := func(y *tally) float64 { return y.in + y.out }
	byCost := func(y *tally) float64 { return y.cost + byBytes(y)/4096 }
	var bytes, cost float64
	for _, y := range truth.by(byHits) {
		bytes += byBytes(&y)
		cost += byCost(&y)
	}
	assert.InEpsilon(t, bytes, got.TotalNetBytes, 0.001)
	micros := float64(got.AllCommandsAllSlots.Microseconds())
	assert.Positive(t, micros)
	for _, metric := range []struct {
		found []goredis.HotKeysKeyEntry
		most  func(*tally) float64
		scale float64
	}{{got.ByNetBytes, byBytes, 1}, {got.ByCPUTime, byCost, micros / cost}} {
		var keys []string
		for _, k := range metric.found {
			keys = append(keys, k.Key)
			assert.InEpsilon(t, metric.scale*metric.most(truth.of(k.Key)), k.Value, 0.05, k.Key)
		}
		truth.inOrder(t, keys, metric.most)
	}
}

// assertHottest compares all that is known of the hottest key, a string, with the ledger.
func assertHottest(t *testing.T, cluster *testredis.Cluster, want *tally, got map[string]string) {
	t.Helper()
	slot := testredis.Slot(want.key)
	for field, value := range map[string]any{
		"key": want.key, "key-length": len(want.key), "count": want.hits, "error": 0, "sampling-error": 0,
		"reads": want.reads, "writes": want.writes, "bytes-in": want.in,
		"slot": slot, "node": cluster.Master(slot).Addr(),
	} {
		assert.Equal(t, fmt.Sprint(value), got[field], "%s: %v", field, got)
	}
	// Of a fast burst, the replies are a sample; and those that come after the end of an interval may be lost.
	assert.InEpsilon(t, want.out, whole(t, got["bytes-out"]), 0.3, got)
	for prefix, parts := range map[string]map[string]int{"commands.": want.commands, "clients.": want.clients} {
		for name, hits := range parts {
			assert.Equal(t, strconv.Itoa(hits), got[prefix+name], "%s: %v", prefix+name, got)
		}
	}
}

// assertText compares HOTKEY with the same report in another form.
func assertText(t *testing.T, lines []textLine, shown []map[string]string) {
	t.Helper()
	assert.Len(t, lines, len(shown))
	assert.True(t, slices.IsSortedFunc(lines, func(a, b textLine) int { return b.counter - a.counter }), lines)
	counters := make(map[string]int)
	for _, k := range shown {
		counters[k["key"]] = whole(t, k["counter"])
	}
	for _, line := range lines {
		assert.Equal(t, counters[line.key], line.counter, line.key)
	}
	// The counters are left to chance, so that only much hotter keys are sure to be before others.
	assert.Less(t, slices.IndexFunc(lines, func(l textLine) bool { return l.key == shown[0]["key"] }), 5, lines)
}

// history is the reports of a service, one by one.
type history struct {
	mu      sync.Mutex // guards the following
	reports []hotReport
}

// follow polls until ctx ends.
func (h *history) follow(ctx context.Context, c *child) {
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for ctx.Err() == nil {
		if r, ok := c.report(c.t); ok {
			h.add(r)
		}
		select {
		case <-ctx.Done():
		case <-poll.C:
		}
	}
}

func (h *history) add(r hotReport) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.reports); !r.Time.IsZero() && (n == 0 || !h.reports[n-1].Time.Equal(r.Time)) {
		h.reports = append(h.reports, r)
	}
}

// last returns the newest report.
func (h *history) last() (r hotReport) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.reports); n > 0 {
		r = h.reports[n-1]
	}
	return r
}

// missed is how many reports nobody has seen, which shows in their times.
func (h *history) missed() (n int) {
	for i := 1; i < len(h.reports); i++ {
		began := h.reports[i].Time.Add(-time.Duration(h.reports[i].IntervalMS) * time.Millisecond)
		if began.Sub(h.reports[i-1].Time) > 500*time.Millisecond {
			n++
		}
	}
	return n
}

func TestHottestKeyIsFollowedWhenItsSlotMoves(t *testing.T) {
	cluster := testredis.StartCluster(t, testredis.Options{})
	z := newZipf(1.1, 200)
	z.fill(t, cluster)
	key := z.keys[0]
	slot := testredis.Slot(key)
	from := cluster.Master(slot)
	to := cluster.Masters()[0]
	if to == from {
		to = cluster.Masters()[1]
	}
	c := launch(t, cluster.Addrs(), hot(t, "hot_keys: {interval: 1s, window: 2s}"))
	c.await("/ready", 200, "")
	var h history
	ctx, cancel := context.WithCancel(t.Context())
	var following sync.WaitGroup
	following.Go(func() { h.follow(ctx, c) })
	t.Cleanup(func() { cancel(); following.Wait() })
	awaitHistory := func(check func(hotReport, reportedKey) bool) {
		t.Helper()
		require.Eventually(t, func() bool {
			r := h.last()
			k, ok := r.of(key)
			return ok && check(r, k)
		}, patience, 20*time.Millisecond)
	}
	var truth ledger
	end := begin(t, newSenders(t, c, z), &truth, 10*time.Millisecond, 0)
	begun := time.Now()
	awaitHistory(func(r hotReport, k reportedKey) bool { return r.windowAfter(begun) && k.Node == from.Addr() })
	require.NoError(t, cluster.BeginMigrate(slot, to))
	n, err := cluster.MigrateKeys(slot, 10)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Eventually(t, func() bool { return c.stat("upstream.ask") > 200 }, patience, 20*time.Millisecond, "each command is redirected")
	require.NoError(t, cluster.FinishMigrate(slot))
	moved := time.Now()
	awaitHistory(func(r hotReport, _ reportedKey) bool { return r.windowAfter(moved) })
	end()
	awaitHistory(func(_ hotReport, k reportedKey) bool { return k.Count == 0 })
	cancel()
	following.Wait()

	assertFollowed(t, &h, &truth, key, to.Addr(), moved)
	assert.Equal(t, truth.total(), c.stat("hotkeys.hits_total"), "what is redirected is sent twice and counted once")
	assert.Positive(t, c.stat("upstream.moved"))
}

// assertFollowed checks the reports from before the traffic to after it.
func assertFollowed(t *testing.T, h *history, truth *ledger, key, node string, moved time.Time) {
	t.Helper()
	sum, seen, since := 0, false, 0
	for _, r := range h.reports {
		k, ok := r.of(key)
		if seen = seen || ok; !seen {
			continue
		}
		if assert.True(t, ok, "absent at %v", r.Time) && k.Count > 0 {
			assert.Equal(t, key, r.Keys[0].Key)
			assert.Zero(t, k.Error, "there are fewer keys than can be counted")
		}
		sum += k.Count
		if r.Time.After(moved) && k.Count > 0 && k.Node != node {
			since++
		}
		if r.windowAfter(moved) && k.Count > 0 {
			assert.Equal(t, node, k.Node, r.Time)
		}
	}
	assert.LessOrEqual(t, since, 2, "reports that have the old node, in the two intervals")
	if n := h.missed(); n > 0 {
		t.Logf("the machine is too busy: %d reports were missed, so they cannot be added up", n)
		return
	}
	assert.Equal(t, truth.of(key).hits, sum/2, "each interval is in two windows")
}

func TestHotKeysOfReplicasAddUp(t *testing.T) {
	cluster := testredis.StartCluster(t, testredis.Options{Replicas: 1})
	const key = "key:both"
	master := cluster.Master(testredis.Slot(key))
	replica := cluster.Replicas(master)[0]
	newZipf(1, 100).fill(t, cluster)
	master.MustDo(t, "SET", key, "1")
	awaitReplicas(t, cluster)
	c := launch(t, cluster.Addrs(), hot(t, "read_strategy: BOTH, hot_keys: {interval: 1s, window: 10s}"))
	c.await("/ready", 200, "")
	g := c.goRedis(2, "")
	hits := 0
	require.Eventually(t, func() bool { // the proxy asks the replica as soon as it is connected to it
		pipe := g.Pipeline()
		for range 10 {
			pipe.Get(t.Context(), key)
		}
		replies, err := pipe.Exec(t.Context())
		hits += len(replies)
		return assert.NoError(t, err) && calls(t, replica, "get") >= 100
	}, patience, time.Millisecond, "reads go to both")

	// Writes go to the master, which has more of the hits by that.
	const writes = 60
	pipe := g.Pipeline()
	for range writes {
		pipe.Incr(t.Context(), key)
	}
	_, err := pipe.Exec(t.Context())
	require.NoError(t, err)
	hits += writes

	r := c.awaitReport(func(ct *assert.CollectT, r *hotReport) { assert.Equal(ct, hits, r.Hits) })
	atMaster, atReplica := writes+calls(t, master, "get"), calls(t, replica, "get")
	assert.Equal(t, hits, atMaster+atReplica)
	assert.Greater(t, atMaster, atReplica)
	require.Len(t, r.Keys, 1)
	k := r.Keys[0]
	assert.Equal(t, hits, k.Count)
	assert.Zero(t, k.Error)
	assert.Equal(t, master.Addr(), k.Node)
	assert.InDelta(t, 1, k.NodeShare, 0, "nobody else uses the node")
}

// awaitReplicas waits until the replicas have everything and all nodes list them. For that each has to
// have something.
func awaitReplicas(t *testing.T, cluster *testredis.Cluster) {
	t.Helper()
	for _, master := range cluster.Masters() {
		for _, replica := range cluster.Replicas(master) {
			require.Eventually(t, func() bool {
				return replica.MustDo(t, "DBSIZE") == master.MustDo(t, "DBSIZE")
			}, patience, 5*time.Millisecond)
		}
	}
	for _, n := range cluster.Nodes() {
		require.Eventually(t, func() bool {
			ranges, _ := n.MustDo(t, "CLUSTER", "SLOTS").([]any)
			// A range is its first and last slot, its master, and its replicas.
			return !slices.ContainsFunc(ranges, func(r any) bool { return len(r.([]any)) < 4 })
		}, patience, 5*time.Millisecond)
	}
}

func TestNothingIsCountedWhileHotKeysAreSwitchedOff(t *testing.T) {
	cluster := testredis.StartCluster(t, testredis.Options{})
	c := launch(t, cluster.Addrs(), hot(t, "hot_keys: {enable: false, interval: 1s, log_top: 3}"))
	c.await("/ready", 200, "")
	var truth ledger
	z := newZipf(1.1, 100)
	z.fill(t, cluster)
	begin(t, newSenders(t, c, z), &truth, time.Millisecond, 20)()
	assert.Never(t, func() bool {
		r, ok := c.report(t)
		return ok && (r.Enabled || r.Hits > 0 || len(r.Keys) > 0) || c.stat("hotkeys.hits_total") > 0
	}, 1200*time.Millisecond, 100*time.Millisecond, "an interval is 1 s")
	assert.Equal(t, "Collect 0 keys in this period!", c.redisCLI("HOTKEY"))
	assert.Contains(t, c.redisCLI("HOTKEY", "LIST"), "hot keys are switched off")
	assert.Empty(t, c.redisCLI("HOTKEYS", "GET"))
	assert.NotContains(t, c.out.String(), "hot keys")
	// A session is another matter: it counts because somebody asks for it.
	assert.Equal(t, "OK", c.redisCLI("HOTKEYS", "START", "METRICS", "1", "NET"))
	c.redisCLI("GET", z.keys[0])
	assert.Contains(t, c.redisCLI("HOTKEYS", "GET"), z.keys[0])
}
