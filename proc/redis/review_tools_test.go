package redis

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// errorText receives one reply that has to be an error.
func errorText(t testing.TB, c *testredis.Conn) string {
	t.Helper()
	v, err := c.Receive()
	var e testredis.Error
	require.ErrorAs(t, err, &e, "%v", v)
	return string(e)
}

// waitingAt is how many requests wait for a reply of a node.
func (p *testProxy) waitingAt(addr string) (n int) {
	p.onWorkers(func(w *worker) {
		if node := w.nodes[addr]; node != nil {
			for _, c := range node.clients {
				if c != nil {
					n += c.inFlight()
				}
			}
		}
	})
	return n
}

// ownsItsConnections asserts that every connection of the proxy belongs to a session or
// to a client that its worker knows: no other is ever closed.
func (p *testProxy) ownsItsConnections(t testing.TB) {
	t.Helper()
	open, known := 0, 0
	p.onWorkers(func(w *worker) {
		open += w.loop.Conns()
		known += len(w.sessions)
		for _, n := range w.nodes {
			for _, c := range n.clients {
				known += btoi(c != nil && c.conn != nil)
			}
		}
	})
	assert.Equal(t, known, open, "connections that nobody knows")
}

// receiveWithin receives one reply, whatever it is, or fails the test.
func receiveWithin(t testing.TB, c *testredis.Conn, limit time.Duration) any {
	t.Helper()
	got := make(chan any, 1)
	go func() {
		v, err := c.Receive()
		if err != nil {
			v = err
		}
		got <- v
	}()
	select {
	case v := <-got:
		return v
	case <-time.After(limit):
		c.Close() // ends the goroutine
		<-got
		require.Fail(t, "no reply")
		return nil
	}
}
