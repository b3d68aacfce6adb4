package redis

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// After a MOVED the slot may come back at any time. A session that had two requests on
// their way then would see the second executed and the first redirected once more.
func TestASlotThatHasJustMovedGetsOneRequestAtATime(t *testing.T) {
	const name = "{t}k"
	arrived, answer := make(chan string, 10), make(chan struct{})
	nodes := startWires(t, 2, 1, func(nodes []*wireNode, c *wireConn, args []string) {
		if c.at == 0 && args[1] == name {
			c.say(redirectTo("MOVED", args, nodes[1]))
			return
		}
		if c.at == 1 {
			arrived <- args[0] + " " + args[1]
			<-answer
		}
		c.say("+OK\r\n")
	})
	p := startProxy(t, proxyOptions{}, nodes[0].Addr).ready(t)
	conn := connect(t, p.Addr)
	require.NoError(t, conn.Send(cmd("SET", name, 1)))
	assert.Equal(t, "SET "+name, <-arrived)
	answer <- struct{}{}
	assert.Equal(t, []any{"OK"}, receive(t, conn, 1))

	// The slot map has not changed: these begin at the first node.
	require.NoError(t, conn.Send(cmd("SET", name, 2), cmd("APPEND", name, 3), cmd("MSET", name, 4, "{t}l", 5)))
	for i, want := range []string{"SET", "APPEND", "MSET"} {
		assert.Equal(t, want+" "+name, <-arrived)
		inFlight := askWorkers(p.Proc, func(w *worker) (n int) {
			for _, s := range w.sessions {
				n += s.inFlight
			}
			return n
		})
		assert.Equal(t, []int{1}, inFlight, "%d: nothing behind it is on its way", i)
		answer <- struct{}{}
	}
	assert.Equal(t, []any{"OK", "OK", "OK"}, receive(t, conn, 3))
	p.onWorkers(func(w *worker) {
		require.Len(t, w.unsettled, 1)
		w.settle(w.loop.Now() + int64(time.Second))
		assert.Nil(t, w.unsettled, "a second later it is as any other")
	})
}
