package redis

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestParkedRequestFindsItsNodeForgotten: the node that a parked request is to go to is
// not in the slot map, and is dropped while the request waits. When it is asked
// nevertheless, it is as any other node: who gets no reply is told so in time.
func TestParkedRequestFindsItsNodeForgotten(t *testing.T) {
	t.Parallel()
	const limit = 4 * shortLimit
	told := make(chan *wireConn, 1)
	nodes := startWires(t, 3, 1, func(nodes []*wireNode, c *wireConn, args []string) {
		switch {
		case c.at == 0: // the owner, as the map says
			c.say(redirectTo("MOVED", args, nodes[1]))
		case c.at == 1 && args[2] == "1":
			c.say(redirectTo("MOVED", args, nodes[2]))
		case c.at == 2:
			told <- c
		}
	})
	p := startProxy(t, proxyOptions{requestTimeout: limit}, nodes[0].Addr).ready(t)
	conn := connect(t, p.Addr)
	start := time.Now()
	require.NoError(t, conn.Send(cmd("SET", "k", 1), cmd("SET", "k", 2)))
	last := <-told
	eventually(t, func() bool {
		known := false
		p.onWorkers(func(w *worker) { known = known || w.nodes[nodes[1].Addr] != nil })
		return !known
	}, "the node is dropped")
	last.say("+OK\r\n")
	assert.Equal(t, "OK", receiveWithin(t, conn, overdue))
	got := receiveWithin(t, conn, overdue)
	assert.Equal(t, "ERR samaritan: node "+nodes[1].Addr+" timed out: no reply within "+limit.String(), fmt.Sprint(got))
	within(t, start, limit*9/10, limit+overdue)
	p.ownsItsConnections(t)
}
