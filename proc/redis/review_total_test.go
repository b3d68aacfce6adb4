package redis

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCounterOfRequestsNeverFalls: a request that is parked is still one.
func TestCounterOfRequestsNeverFalls(t *testing.T) {
	t.Parallel()
	first, second, last := make(chan *wireConn, 1), make(chan *wireConn, 1), make(chan *wireConn, 1)
	nodes := startWires(t, 2, 1, func(_ []*wireNode, c *wireConn, args []string) {
		switch {
		case c.at == 1:
			last <- c
		case args[2] == "1":
			first <- c
		default:
			second <- c
		}
	})
	p := startProxy(t, proxyOptions{}, nodes[0].Addr).ready(t)
	conn := connect(t, p.Addr)
	require.NoError(t, conn.Send(cmd("SET", "k", 1), cmd("SET", "k", 2)))
	c := <-first
	<-second
	before := p.counter("upstream.rq_total")
	moved := redirectTo("MOVED", []string{"SET", "k", "1"}, nodes[1])
	c.say(moved + moved)
	l := <-last
	eventually(t, func() bool { return p.counter("upstream.moved") == 2 }, "both are told")
	assert.GreaterOrEqual(t, p.counter("upstream.rq_total"), before)
	l.say("+OK\r\n")
	receive(t, conn, 1)
	(<-last).say("+OK\r\n")
	receive(t, conn, 1)
	assert.Equal(t, 2, p.counter("upstream.rq_total"))
}
