package minicluster_test

import (
	"context"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samaritan/examples/demo/minicluster"
	"samaritan/proc/redis/cluster"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, masters int) *minicluster.Cluster {
	t.Helper()
	c, err := minicluster.Start(masters)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// dial returns a client that knows one node and follows no redirection.
func dial(t *testing.T, addr string) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func key(i int) string { return "key:" + strconv.Itoa(i) }

func TestClusterClientReachesEveryKey(t *testing.T) {
	c := start(t, 3)
	ctx := context.Background()
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs()[:1]})
	defer func() { _ = client.Close() }()

	for i := range 1000 {
		require.NoError(t, client.Set(ctx, key(i), i, 0).Err())
	}
	for i := range 1000 {
		n, err := client.Get(ctx, key(i)).Int()
		require.NoError(t, err)
		require.Equal(t, i, n)
	}
	total := 0
	for i, keys := range c.Keys() {
		assert.Greaterf(t, keys, 200, "keys of node %d", i)
		total += keys
	}
	assert.Equal(t, 1000, total)
	assert.Zero(t, c.Redirects(), "the client knew the slots")
}

func TestForeignKeysAreMovedToTheirOwner(t *testing.T) {
	c := start(t, 3)
	client := dial(t, c.Addrs()[0])
	moved := 0
	for i := range 1000 {
		err := client.Set(context.Background(), key(i), i, 0).Err()
		if err == nil {
			continue
		}
		moved++
		redirect, ok := cluster.ParseRedirect([]byte(err.Error()))
		require.Truef(t, ok, "%v", err)
		require.Equal(t, cluster.KindMoved, redirect.Kind)
		require.Equal(t, cluster.Slot([]byte(key(i))), redirect.Slot)
		owner := net.JoinHostPort(string(redirect.Host), strconv.Itoa(int(redirect.Port)))
		require.Contains(t, c.Addrs()[1:], owner)
		require.NoError(t, dial(t, owner).Set(context.Background(), key(i), i, 0).Err())
	}
	assert.InDelta(t, 667, moved, 100)
	assert.Equal(t, uint64(moved), c.Redirects())
}

func TestClusterClientFollowsMoved(t *testing.T) {
	c := start(t, 3)
	ctx := context.Background()
	// A client that believes that the first node owns everything.
	client := redis.NewClusterClient(&redis.ClusterOptions{
		ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
			return []redis.ClusterSlot{{Start: 0, End: 16383, Nodes: []redis.ClusterNode{{Addr: c.Addrs()[0]}}}}, nil
		},
	})
	defer func() { _ = client.Close() }()
	for i := range 100 {
		require.NoError(t, client.Set(ctx, key(i), i, 0).Err())
	}
	assert.Greater(t, c.Redirects(), uint64(40))
}

func TestKeysInDifferentSlots(t *testing.T) {
	c := start(t, 3)
	ctx := context.Background()
	client := dial(t, c.Addrs()[0])
	const crossSlot = "CROSSSLOT Keys in request don't hash to the same slot"
	for _, args := range [][]any{
		{"MGET", "a", "b"},
		{"MSET", "a", "1", "b", "2"},
		{"EVAL", "return 1", "2", "a", "b"},
		{"ZUNIONSTORE", "a", "1", "b"},
		{"XREAD", "STREAMS", "a", "b", "0", "0"},
	} {
		assert.EqualError(t, client.Do(ctx, args...).Err(), crossSlot, "%v", args)
	}
	// One slot, of the first node.
	require.Less(t, cluster.Slot([]byte("{b}")), uint16(5461))
	assert.NoError(t, client.Do(ctx, "MSET", "{b}1", "1", "{b}2", "2").Err())
}

func TestTransactionWithAForeignKeyDoesNotExecute(t *testing.T) {
	c := start(t, 3)
	reply := ask(t, c.Addrs()[0], "MULTI", "SET b 1", "SET a 1", "EXEC", "GET b", "MULTI", "SET b 2", "EXEC")
	assert.Contains(t, reply, "+OK\r\n+QUEUED\r\n-MOVED 15495 ")
	assert.Contains(t, reply, "-EXECABORT")
	assert.Contains(t, reply, "\r\n$-1\r\n+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n", "the next transaction is clean")
}

func TestLayoutIsTheSameInEveryFormat(t *testing.T) {
	c := start(t, 3)
	addrs := c.Addrs()
	want := []cluster.Range{{First: 0, Last: 5460}, {First: 5461, Last: 10922}, {First: 10923, Last: 16383}}

	check := func(t *testing.T, m *cluster.Map, err error) {
		t.Helper()
		require.NoError(t, err)
		require.Len(t, m.Nodes(), 3)
		for i, r := range want {
			for _, slot := range []uint16{r.First, r.Last} {
				n := m.Master(slot)
				require.GreaterOrEqual(t, n, 0)
				assert.Equal(t, addrs[i], m.Nodes()[n].Addr)
			}
		}
	}
	for _, addr := range addrs {
		m, err := cluster.ParseSlots([]byte(ask(t, addr, "CLUSTER SLOTS")), addr)
		check(t, m, err)
		m, err = cluster.ParseShards([]byte(ask(t, addr, "CLUSTER SHARDS")), addr, false)
		check(t, m, err)
		text, err := dial(t, addr).ClusterNodes(context.Background()).Result()
		require.NoError(t, err)
		m, err = cluster.ParseNodes([]byte(text), addr)
		check(t, m, err)
	}
}

func TestClusterSubcommands(t *testing.T) {
	c := start(t, 3)
	ctx := context.Background()
	client := dial(t, c.Addrs()[0])
	require.NoError(t, client.Set(ctx, "b", 1, 0).Err())

	slot, err := client.ClusterKeySlot(ctx, "b").Result()
	require.NoError(t, err)
	assert.EqualValues(t, cluster.Slot([]byte("b")), slot)

	n, err := client.ClusterCountKeysInSlot(ctx, int(slot)).Result()
	require.NoError(t, err)
	assert.EqualValues(t, 1, n)

	keys, err := client.ClusterGetKeysInSlot(ctx, int(slot), 10).Result()
	require.NoError(t, err)
	assert.Equal(t, []string{"b"}, keys)

	info, err := client.ClusterInfo(ctx).Result()
	require.NoError(t, err)
	assert.Contains(t, info, "cluster_state:ok\r\n")

	id, err := client.ClusterMyID(ctx).Result()
	require.NoError(t, err)
	nodes, err := client.ClusterNodes(ctx).Result()
	require.NoError(t, err)
	assert.Regexp(t, "(?m)^"+id+" .* myself,master ", nodes)

	server, err := client.Info(ctx).Result()
	require.NoError(t, err)
	assert.Contains(t, server, "cluster_enabled:1\r\n")

	for _, args := range [][]any{{"CLUSTER"}, {"CLUSTER", "NONSENSE"}, {"CLUSTER", "COUNTKEYSINSLOT", "16384"}, {"CLUSTER", "GETKEYSINSLOT", "1", "-1"}} {
		assert.Error(t, client.Do(ctx, args...).Err(), "%v", args)
	}
	for _, cmd := range []string{"READONLY", "READWRITE", "ASKING"} {
		assert.NoError(t, client.Do(ctx, cmd).Err(), cmd)
	}
}

func TestMessagesReachSubscribersOfEveryNode(t *testing.T) {
	c := start(t, 3)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	sub := dial(t, c.Addrs()[2]).Subscribe(ctx, "news")
	defer func() { _ = sub.Close() }()
	_, err := sub.Receive(ctx) // the confirmation
	require.NoError(t, err)

	require.NoError(t, dial(t, c.Addrs()[0]).Publish(ctx, "news", "hello").Err())
	msg, err := sub.ReceiveMessage(ctx)
	require.NoError(t, err)
	assert.Equal(t, "hello", msg.Payload)
}

func TestStartRefusesSenselessSizes(t *testing.T) {
	for _, n := range []int{-1, 0, 1001} {
		_, err := minicluster.Start(n)
		assert.Error(t, err)
	}
}

func TestCloseIsIdempotent(t *testing.T) {
	c := start(t, 1)
	addr := c.Addrs()[0]
	c.Close()
	c.Close()
	_, err := net.DialTimeout("tcp", addr, time.Second)
	assert.Error(t, err, "nobody listens any more")
}

// ask sends the commands, whose words have no spaces in them, then QUIT, and
// returns all that the node answers before the OK of QUIT.
func ask(t *testing.T, addr string, commands ...string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	var b strings.Builder
	for _, command := range append(commands, "QUIT") {
		words := strings.Fields(command)
		b.WriteString("*" + strconv.Itoa(len(words)) + "\r\n")
		for _, word := range words {
			b.WriteString("$" + strconv.Itoa(len(word)) + "\r\n" + word + "\r\n")
		}
	}
	_, err = io.WriteString(conn, b.String())
	require.NoError(t, err)
	reply, err := io.ReadAll(conn)
	require.NoError(t, err)
	answer, ok := strings.CutSuffix(string(reply), "+OK\r\n")
	require.True(t, ok, "%q", reply)
	return answer
}
