package redis

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// patience is how long a test waits for what comes by itself.
const patience = 15 * time.Second

// connect opens a client connection that ends with the test.
func connect(t testing.TB, addr string) *testredis.Conn {
	t.Helper()
	c, err := testredis.Dial(addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// must sends one command that has to succeed.
func must(t testing.TB, c *testredis.Conn, args ...any) any {
	t.Helper()
	v, err := c.Do(args...)
	require.NoError(t, err, "%v", args)
	return v
}

// errorOf sends one command that has to fail with an error reply, and returns it.
func errorOf(t testing.TB, c *testredis.Conn, args ...any) string {
	t.Helper()
	v, err := c.Do(args...)
	var e testredis.Error
	require.ErrorAs(t, err, &e, "%v: %v", args, v)
	return string(e)
}

// receive reads n replies; an error reply is an element.
func receive(t testing.TB, c *testredis.Conn, n int) []any {
	t.Helper()
	all := make([]any, n)
	for i := range all {
		v, err := c.Receive()
		if e, ok := err.(testredis.Error); ok {
			v, err = e, nil
		}
		require.NoError(t, err, "reply %d of %d", i, n)
		all[i] = v
	}
	return all
}

// cmd makes one command of a pipeline.
func cmd(args ...any) []any { return args }

// tags has a hash tag for every slot, made on first use.
var tags = sync.OnceValue(func() []string {
	all := make([]string, 16384)
	for i, left := 0, len(all); left > 0; i++ {
		tag := fmt.Sprintf("t%d", i)
		if s := testredis.Slot(tag); all[s] == "" {
			all[s] = tag
			left--
		}
	}
	return all
})

// key makes a key in a slot.
func key(slot uint16, name string) string { return "{" + tags()[slot] + "}" + name }

// started waits for the map of a shared cluster's proxy with default options.
func sharedProxy(t testing.TB) (*testProxy, *testredis.Cluster) {
	t.Helper()
	c := testredis.Shared(t, testredis.Options{})
	return startProxy(t, proxyOptions{}, c.Addrs()...).ready(t), c
}

// infoField is one field of a node's INFO section, "" when it is not there.
func infoField(t testing.TB, n *testredis.Node, section, field string) string {
	t.Helper()
	text := n.MustDo(t, "INFO", section).(string)
	_, after, ok := strings.Cut(text, "\r\n"+field+":")
	if !ok {
		return ""
	}
	value, _, _ := strings.Cut(after, "\r\n")
	return value
}

// counters adds up what all workers of the proxy have counted.
func (p *testProxy) upstream(t testing.TB) (moved, ask, hopLimit, protocolErrors, timeouts uint64) {
	t.Helper()
	for _, w := range p.allWorkers() {
		got := make(chan *snapshot, 1)
		require.True(t, w.loop.Post(func() { got <- w.snapshot() }))
		u := (<-got).upstream
		moved, ask, hopLimit = moved+u.moved, ask+u.ask, hopLimit+u.hopLimit
		protocolErrors, timeouts = protocolErrors+u.protocolErrors, timeouts+u.timeouts
	}
	return
}

// eventually polls until ok holds.
func eventually(t testing.TB, ok func() bool, what string) {
	t.Helper()
	require.Eventually(t, ok, patience, 2*time.Millisecond, what)
}

// failOver makes a replica the master. A replica of a cluster that has just started
// refuses while it has no link to its master yet.
func failOver(t *testing.T, replica *testredis.Node) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) { assert.NoError(c, replica.Failover()) }, 30*time.Second, 20*time.Millisecond)
}
