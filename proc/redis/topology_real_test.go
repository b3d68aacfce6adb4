package redis

import (
	"context"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
	"samaritan/proc/redis/cluster"
)

// realTopology follows a real cluster until the test ends.
func realTopology(t *testing.T, seeds ...string) *topology {
	t.Helper()
	tp := newTopology(slog.New(slog.NewTextHandler(t.Output(), nil)), seeds, func(*cluster.Map) {})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); tp.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	<-tp.tried
	require.NoError(t, tp.Err())
	return tp
}

// ownerOf is the address of the owner of a slot, "" without one.
func (t *topology) ownerOf(slot uint16) string {
	m := t.Map()
	if i := m.Master(slot); i >= 0 {
		return m.Nodes()[i].Addr
	}
	return ""
}

// The limits are ten times of what is measured on a machine that has nothing else to do.
func TestRealFailoverIsFollowed(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{Replicas: 1, NodeTimeout: time.Second})
	tp := realTopology(t, c.Addrs()...)
	const slot = 100
	master := c.Master(slot)
	heir := c.Replicas(master)[0]

	failOver(t, heir)
	eventually(t, func() bool { return c.Master(slot) == heir }, "the cluster has done it")
	began := time.Now()
	tp.trigger(causeMoved, heir.Addr())
	eventually(t, func() bool { return tp.ownerOf(slot) == heir.Addr() }, "followed")
	t.Log("after the MOVED:", time.Since(began))
	assert.Less(t, time.Since(began), 3*time.Second)

	require.NoError(t, c.WaitStable(patience))
	require.NoError(t, heir.Stop())
	tp.trigger(causeConnection, "")
	eventually(t, func() bool { return c.Master(slot) == master }, "the cluster has done it")
	began = time.Now()
	eventually(t, func() bool { return tp.ownerOf(slot) == master.Addr() }, "followed")
	t.Log("after the failover of a hung node:", time.Since(began))
	assert.Less(t, time.Since(began), 5*time.Second)

	require.NoError(t, heir.Continue())
	tp.trigger(causeMoved, heir.Addr())
	require.NoError(t, c.WaitStable(patience))
	assert.Equal(t, master.Addr(), tp.ownerOf(slot), "the node that was stopped is not believed")
}

func TestRealResetNodeDoesNotWipeTheMap(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{})
	tp := realTopology(t, c.Addrs()...)
	before := tp.Map()
	c.Nodes()[1].MustDo(t, "CLUSTER", "RESET", "HARD")
	total := tp.counters.total.Load()
	eventually(t, func() bool {
		tp.trigger(causeMoved, c.Nodes()[1].Addr())
		return tp.counters.total.Load() > total+3
	}, "asked some times")
	// The others may have given up the slots of the node, which has another name now.
	for _, slot := range []uint16{0, 16383} {
		assert.Equal(t, before.Nodes()[before.Master(slot)].Addr, tp.ownerOf(slot))
	}
}

// A reset node that was given slots of its own is a cluster of its own.
func TestRealStrangerAtAKnownAddress(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{})
	tp := realTopology(t, c.Addrs()...)
	before := tp.Map()
	n := c.Nodes()[1]
	for _, other := range []*testredis.Node{c.Nodes()[0], c.Nodes()[2]} {
		other.MustDo(t, "CLUSTER", "FORGET", infoID(t, n)) // so that they do not meet again
	}
	n.MustDo(t, "CLUSTER", "RESET", "HARD")
	n.MustDo(t, "CLUSTER", "ADDSLOTSRANGE", 0, 16383)
	n.MustDo(t, "CLUSTER", "SET-CONFIG-EPOCH", 1000)
	total := tp.counters.total.Load()
	eventually(t, func() bool {
		tp.trigger(causeMoved, n.Addr())
		return tp.counters.total.Load() > total+3
	}, "asked some times")
	assert.Equal(t, before.Nodes()[before.Master(0)].ID, tp.Map().Nodes()[tp.Map().Master(0)].ID)
	assert.NotEqual(t, n.Addr(), tp.ownerOf(16383))
}

func infoID(t *testing.T, n *testredis.Node) string {
	t.Helper()
	return n.MustDo(t, "CLUSTER", "MYID").(string)
}

func TestRealEndpointTypes(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{Replicas: 1})
	set := func(key, value string) {
		for _, n := range c.Nodes() {
			n.MustDo(t, "CONFIG", "SET", key, value)
		}
	}
	hosts := func(m *cluster.Map) string {
		seen := map[string]bool{}
		var all []string
		for _, n := range m.Nodes() {
			host, _, err := net.SplitHostPort(n.Addr)
			require.NoError(t, err)
			if !seen[host] {
				seen[host] = true
				all = append(all, host)
			}
		}
		return strings.Join(all, " ")
	}
	seeds := c.Addrs()[:1]
	tp := realTopology(t, seeds...)
	assert.Equal(t, "127.0.0.1", hosts(tp.Map()))

	set("cluster-announce-hostname", "localhost")
	set("cluster-preferred-endpoint-type", "hostname")
	eventually(t, func() bool { tp.trigger(causeMoved, ""); return hosts(tp.Map()) == "localhost" }, "names are taken up")
	p := startProxy(t, proxyOptions{}, seeds...).ready(t)
	conn := connect(t, p.Addr)
	for slot := uint16(0); slot < 16384; slot += 1000 {
		must(t, conn, "SET", key(slot, "k"), slot)
	}

	set("cluster-preferred-endpoint-type", "unknown-endpoint")
	_, port, err := net.SplitHostPort(seeds[0])
	require.NoError(t, err)
	byName := realTopology(t, net.JoinHostPort("localhost", port))
	assert.Equal(t, "localhost", hosts(byName.Map()), "the host that was asked")
	byAddr := realTopology(t, seeds...)
	assert.Equal(t, "127.0.0.1", hosts(byAddr.Map()), "the host that was asked")
	p = startProxy(t, proxyOptions{}, seeds...).ready(t)
	conn = connect(t, p.Addr)
	for slot := uint16(0); slot < 16384; slot += 1000 {
		assert.Equal(t, strconv.Itoa(int(slot)), must(t, conn, "GET", key(slot, "k")))
	}
}

func TestRealIPv6(t *testing.T) {
	ln, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("this machine has no IPv6: %v", err)
	}
	require.NoError(t, ln.Close())
	c := testredis.StartCluster(t, testredis.Options{Args: []string{"--bind", "127.0.0.1", "::1"}})
	for _, n := range c.Nodes() {
		n.MustDo(t, "CONFIG", "SET", "cluster-announce-ip", "::1")
	}
	_, port, err := net.SplitHostPort(c.Addrs()[0])
	require.NoError(t, err)
	seed := net.JoinHostPort("::1", port)
	tp := realTopology(t, seed)
	eventually(t, func() bool {
		tp.trigger(causeMoved, "")
		for _, n := range tp.Map().Nodes() {
			if !strings.HasPrefix(n.Addr, "[::1]:") {
				return false
			}
		}
		return true
	}, "all are at ::1")
	assert.Equal(t, cluster.Slots, tp.Map().Covered())
	conn := connect(t, startProxy(t, proxyOptions{}, seed).ready(t).Addr)
	for slot := uint16(0); slot < 16384; slot += 1000 {
		must(t, conn, "SET", key(slot, "k"), slot)
	}
}
