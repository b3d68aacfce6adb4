package redis

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api/redis"
	"samaritan/internal/testredis"
)

// TestStoppedReplicaIsPassedOverByItsChecks: the checks are faster than the request
// timeout, so that few requests find out.
func TestStoppedReplicaIsPassedOverByItsChecks(t *testing.T) {
	// Nobody gives a node up while it is stopped, and so all stay in the slot map.
	c := testredis.StartCluster(t, testredis.Options{Masters: 1, Replicas: 2, NodeTimeout: time.Minute})
	master := c.Nodes()[0]
	replicas := c.Replicas(master)
	require.Len(t, replicas, 2)
	stopped, other := replicas[0], replicas[1]
	for _, k := range []string{"a", "b"} {
		master.MustDo(t, "SET", k, k)
	}
	master.MustDo(t, "WAIT", 2, 5000)
	eventually(t, func() bool { return listed(t, master) == 3 }, "both replicas are in CLUSTER SLOTS")

	p := startProxy(t, proxyOptions{read: redis.ReadStrategy_REPLICA, requestTimeout: 3 * time.Second, check: checkingStopped()}, master.Addr()).ready(t)
	for _, n := range c.Nodes() {
		p.judged(t, n.Addr(), true)
	}
	conn, early := connect(t, p.Addr), connect(t, p.Addr)
	reads := func(conn *testredis.Conn, n int) (onStopped, onOther int) {
		onStopped, onOther = -calls(t, stopped, "get"), -calls(t, other, "get")
		for range n {
			assert.Equal(t, "a", must(t, conn, "GET", "a"))
		}
		return onStopped + calls(t, stopped, "get"), onOther + calls(t, other, "get")
	}
	onStopped, onOther := reads(conn, 20)
	assert.Equal(t, 10, onStopped, "by turns")
	assert.Equal(t, 10, onOther)

	require.NoError(t, stopped.Stop())
	require.NoError(t, early.Send(cmd("GET", "a"), cmd("GET", "a"))) // one of them meets it
	p.judged(t, stopped.Addr(), false)
	timeouts := p.counter("upstream.rq_timeout")
	assert.Zero(t, timeouts, "the requests were not the ones to find out")
	before := time.Now()
	for range 200 {
		assert.Equal(t, "b", must(t, conn, "GET", "b"))
	}
	assert.Less(t, time.Since(before), 2*time.Second, "nobody waits for the stopped one")
	for range 2 {
		_, _ = early.Receive()
	}
	assert.LessOrEqual(t, p.counter("upstream.rq_timeout"), 1, "of the one that was on its way")

	require.NoError(t, stopped.Continue())
	p.judged(t, stopped.Addr(), true)
	eventually(t, func() bool { onStopped, _ = reads(conn, 4); return onStopped > 0 }, "it is used again")
	onStopped, onOther = reads(conn, 20)
	assert.Equal(t, 10, onStopped)
	assert.Equal(t, 10, onOther)
	assert.Zero(t, calls(t, master, "get"), "there was a replica all the time")
	assert.Equal(t, 2, p.counter("downstream.cx_total"))
}

// TestStoppedMasterIsReadFromReplicas: with BOTH, and the writes wait for it.
func TestStoppedMasterIsReadFromReplicas(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{Masters: 1, Replicas: 1, NodeTimeout: time.Minute})
	master, replica := c.Nodes()[0], c.Nodes()[1]
	master.MustDo(t, "SET", "a", "a")
	master.MustDo(t, "WAIT", 1, 5000)
	eventually(t, func() bool { return listed(t, master) == 2 }, "the replica is in CLUSTER SLOTS")
	p := startProxy(t, proxyOptions{read: redis.ReadStrategy_BOTH, requestTimeout: time.Second, check: checkingStopped()}, c.Addrs()...).ready(t)
	conn := connect(t, p.Addr)
	for range 10 {
		must(t, conn, "GET", "a")
	}
	require.NoError(t, master.Stop())
	p.judged(t, master.Addr(), false)
	for range 100 {
		assert.Equal(t, "a", must(t, conn, "GET", "a"))
	}
	assert.Zero(t, p.counter("upstream.rq_timeout"))
	assert.Contains(t, errorOf(t, conn, "SET", "a", "b"), master.Addr(), "nobody else takes it")
	require.NoError(t, master.Continue())
	p.judged(t, master.Addr(), true)
	eventually(t, func() bool { _, err := conn.Do("SET", "a", "c"); return err == nil }, "it takes writes again")
	assert.Positive(t, calls(t, replica, "get"))
}

// TestChecksLogIn: the data path has no passwords, so the service is not ready; its
// checks pass all the same.
func TestChecksLogIn(t *testing.T) {
	const password, secret = "open-sesame", "a-secret-nobody-may-see"
	server := testredis.StartServer(t, "--requirepass", password)
	server.MustDo(t, "ACL", "SETUSER", "checker", "on", ">"+secret, "+ping")
	addr := server.Addr()
	lines := new(logLines)
	p := startProxy(t, proxyOptions{check: checking(password), log: lines}, addr)
	p.judged(t, addr, true)
	for _, tt := range []struct {
		login []string
		up    bool
	}{
		{[]string{"wrong-" + secret}, false},
		{[]string{secret, "checker"}, true},
		{[]string{secret, "somebody"}, false},
		{nil, false},
		{[]string{password}, true},
		{[]string{password, "default"}, true},
	} {
		p.setCheck(t, checking(tt.login...))
		p.judged(t, addr, tt.up)
		assert.Equal(t, tt.up, p.status(addr).LastError == "", p.status(addr).LastError)
		assert.NotContains(t, p.status(addr).LastError, secret)
	}
	assert.NotContains(t, lines.String(), secret)
	assert.NotContains(t, lines.String(), password)
}

// TestANodeThatLeavesTheClusterIsNotCheckedAnyMore: its checks are what makes the slot
// map be asked, as there is no traffic.
func TestANodeThatLeavesTheClusterIsNotCheckedAnyMore(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{Masters: 3, Replicas: 1})
	masters := c.Masters()
	leaves := c.Replicas(masters[1])[0]
	for i, slot := range []uint16{0, 8000, 16000} { // offsets must not be 0
		masters[i].MustDo(t, "SET", key(slot, "offset"), 1)
	}
	for _, m := range masters {
		eventually(t, func() bool { return listed(t, m) == 2 }, "all replicas are in CLUSTER SLOTS")
	}
	p := startProxy(t, proxyOptions{check: checking()}, masters[0].Addr()).ready(t)
	p.judged(t, leaves.Addr(), true)
	assert.Len(t, p.checkSamples("health.up"), 6)
	require.NoError(t, c.RemoveNode(leaves))
	eventually(t, func() bool { return p.endpoint(leaves.Addr()) == nil }, "it is gone")
	eventually(t, func() bool { return len(p.checkSamples("health.up")) == 5 }, "it is not checked any more")
	assert.NotContains(t, p.checkSamples("health.up"), leaves.Addr())

	comes, err := c.AddReplica(masters[1])
	require.NoError(t, err)
	p.topology.trigger(causeConnection, "")
	p.judged(t, comes.Addr(), true)
	assert.Len(t, p.checkSamples("health.up"), 6)
}

// TestCheckedReadsAllocateNothing: neither the turns over replicas, nor a verdict.
func TestCheckedReadsAllocateNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	c := testredis.StartCluster(t, testredis.Options{Masters: 1, Replicas: 2, NodeTimeout: time.Minute})
	c.Nodes()[0].MustDo(t, "SET", "k", "v") // their offsets must not be 0
	eventually(t, func() bool { return listed(t, c.Nodes()[0]) == 3 }, "both replicas are in CLUSTER SLOTS")
	for _, read := range []redis.ReadStrategy{redis.ReadStrategy_REPLICA, redis.ReadStrategy_BOTH} {
		for _, down := range []bool{false, true} {
			t.Run(read.String()+" "+strconv.FormatBool(down), func(t *testing.T) {
				check := checking()
				check.Interval.Seconds = 3600 // checks allocate
				p := startProxy(t, proxyOptions{read: read, check: check}, c.Addrs()...).ready(t)
				for _, n := range c.Nodes() {
					p.judged(t, n.Addr(), true)
				}
				conn := dialWire(t, p.Addr)
				expectReply(t, conn, "$-1\r\n", "GET", "none")
				if down {
					p.onWorkers(func(w *worker) { w.nodes[c.Nodes()[1].Addr()].down = true })
				}
				assert.Less(t, allocations(t, conn, commands("GET none"), "$-1\r\n", 1, 3000), 0.02)
			})
		}
	}
}
