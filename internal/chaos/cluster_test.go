package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// settleTimeout is how long a test waits for the nodes to talk to each other.
const settleTimeout = 10 * time.Second

// startCluster is StartCluster for a test.
func startCluster(t *testing.T) *Cluster {
	t.Helper()
	c, err := StartCluster(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.Close()) })
	return c
}

// clusterClient is a client that follows the slot map and redirections.
func clusterClient(t *testing.T, c *Cluster) *goredis.ClusterClient {
	t.Helper()
	client := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: c.AnnouncedAddrs()})
	t.Cleanup(func() { client.Close() })
	return client
}

func TestClusterIsReachedThroughRelays(t *testing.T) {
	c := startCluster(t)
	client := clusterClient(t, c)
	relayed := map[string]bool{}
	for i, r := range c.Relays() {
		relayed[r.Addr()] = true
		require.Equal(t, r.Addr(), c.AnnouncedAddrs()[i])
		require.NotEqual(t, r.Addr(), c.Nodes()[i].Addr())
	}
	require.Eventually(t, func() bool {
		reply, err := c.Nodes()[0].Do("CLUSTER", "SLOTS")
		assert.NoError(t, err)
		listed := 0
		for _, s := range reply.([]any) {
			for _, n := range s.([]any)[2:] {
				addr := fmt.Sprintf("%v:%v", n.([]any)[0], n.([]any)[1])
				assert.True(t, relayed[addr], addr)
				listed++
			}
		}
		return listed == 2*Shards
	}, settleTimeout, 50*time.Millisecond, "replicas are listed after their first heartbeat")
	for shard := range Shards {
		for _, slot := range ShardSlots(shard) {
			require.NoError(t, client.Set(t.Context(), keyOf(slot), slot, 0).Err())
		}
	}

	// MOVED and ASK name relays, before and after the owner has another address.
	a, err := c.Owner(0)
	require.NoError(t, err)
	b, err := c.Owner(1)
	require.NoError(t, err)
	_, err = b.Do("GET", keyOf(ShardSlots(0)[0]))
	require.EqualError(t, err, fmt.Sprintf("MOVED %d %s", ShardSlots(0)[0], c.Relay(a).Addr()))
	before := c.Relay(a).Addr()
	require.NoError(t, c.Readdress(a))
	require.NotEqual(t, before, c.Relay(a).Addr())
	require.NoError(t, c.Whole())
	_, err = b.Do("GET", keyOf(ShardSlots(0)[0]))
	require.EqualError(t, err, fmt.Sprintf("MOVED %d %s", ShardSlots(0)[0], c.Relay(a).Addr()))
	client = clusterClient(t, c)
	require.NoError(t, client.Get(t.Context(), keyOf(ShardSlots(0)[0])).Err())

	// A node that restarts keeps its relay, and its data.
	c.Kill(b)
	_, err = testredis.Dial(c.Relay(b).Addr())
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	addr := c.Relay(b).Addr()
	require.NoError(t, c.Restart(b))
	require.NoError(t, c.Whole())
	require.Equal(t, addr, b.Announced())
	got, err := client.Get(t.Context(), keyOf(ShardSlots(1)[0])).Int()
	require.NoError(t, err)
	require.EqualValues(t, ShardSlots(1)[0], got)

	// A node that moves keeps it too.
	require.NoError(t, b.Move())
	require.NoError(t, c.Whole())
	require.Equal(t, addr, b.Announced())
}

func TestReplicasReplicateThroughRelays(t *testing.T) {
	c := startCluster(t)
	master, replica, err := c.Pair(2)
	require.NoError(t, err)
	key := keyOf(ShardSlots(2)[0])
	stale := func() any {
		_, err := replica.Do("CONFIG", "SET", "replica-serve-stale-data", "no")
		require.NoError(t, err)
		conn, err := testredis.Dial(c.Relay(replica).Addr())
		require.NoError(t, err)
		defer conn.Close()
		_, err = conn.Do("READONLY")
		require.NoError(t, err)
		v, err := conn.Do("GET", key)
		if err != nil {
			return err.Error()
		}
		return v
	}
	_, err = master.Do("SET", key, "v")
	require.NoError(t, err)
	_, err = master.Do("WAIT", 1, 5000)
	require.NoError(t, err)
	require.Equal(t, "v", stale())
	c.Relay(master).Sever()
	require.Eventually(t, func() bool { s, _ := stale().(string); return len(s) > 10 && s[:10] == "MASTERDOWN" }, peerTimeout, 10*time.Millisecond)
	require.NoError(t, c.Relay(master).Restore())
	require.NoError(t, c.Whole())
	require.Equal(t, "v", stale())
}

func TestCutReplyOfARedis(t *testing.T) {
	c := startCluster(t)
	master, err := c.Owner(0)
	require.NoError(t, err)
	_, err = master.Do("SET", keyOf(ShardSlots(0)[0]), "0123456789")
	require.NoError(t, err)
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		conn, err := testredis.Dial(c.Relay(master).Addr())
		require.NoError(t, err)
		defer conn.Close()
		require.Eventually(t, func() bool { return c.Relay(master).Live() > 1 }, peerTimeout, time.Millisecond)
		_, err = conn.Do("GET", keyOf(ShardSlots(0)[0]))
		require.NoError(t, err)
		c.Relay(master).CutMidReply(random)
		_, err = conn.Do("GET", keyOf(ShardSlots(0)[0]))
		require.ErrorIs(t, err, syscall.ECONNRESET)
	}
	require.NoError(t, c.Whole(), "the replica's link is untouched")
	require.NoError(t, clusterClient(t, c).Set(context.Background(), "k", "v", 0).Err())
}
