package redis

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRedirectedRequestTimesOutBehindAYoungerOne: what counts is when the client has sent
// it, not when the last node has got it.
func TestRedirectedRequestTimesOutBehindAYoungerOne(t *testing.T) {
	t.Parallel()
	const limit = 6 * shortLimit
	sent := make(chan *wireConn, 1)
	young := make(chan bool, 1)
	nodes := startWires(t, 2, 2, func(nodes []*wireNode, c *wireConn, args []string) {
		switch args[1] {
		case here:
			if c.at == 0 {
				sent <- c
			}
		case there:
			young <- true
		}
	})
	p := startProxy(t, proxyOptions{requestTimeout: limit}, nodes[0].Addr).ready(t)
	conn, other := connect(t, p.Addr), connect(t, p.Addr)
	start := time.Now()
	require.NoError(t, conn.Send(cmd("SET", here, 1)))
	first := <-sent
	<-time.After(limit * 3 / 4)
	require.NoError(t, other.Send(cmd("SET", there, 1)))
	<-young
	first.say(redirectTo("MOVED", []string{"SET", here, "1"}, nodes[1]))
	got := receiveWithin(t, conn, overdue)
	assert.Contains(t, fmt.Sprint(got), nodes[1].Addr+" timed out")
	within(t, start, limit*9/10, limit+limit/2)
	assert.Contains(t, fmt.Sprint(receiveWithin(t, other, overdue)), "timed out")
}

// TestKeyByKeyEndsAtTheLimit: the time that a command may take is not had anew by each of
// its keys.
func TestKeyByKeyEndsAtTheLimit(t *testing.T) {
	t.Parallel()
	const limit = 3 * shortLimit
	n := startStub(t)
	n.does(func(c *stubConn, args []string) bool {
		switch {
		case args[0] != "MGET":
			return false
		case len(args) > 2:
			return c.say(tryAgainReply)
		}
		select {
		case <-time.After(limit / 3):
		case <-n.ended:
		}
		return false
	})
	p := startProxy(t, proxyOptions{requestTimeout: limit}, n.Addr).ready(t)
	conn := connect(t, p.Addr)
	start := time.Now()
	require.NoError(t, conn.Send(cmd("MGET", "{t}a", "{t}b", "{t}c", "{t}d", "{t}e", "{t}f", "{t}g", "{t}h", "{t}i", "{t}j")))
	assert.Contains(t, fmt.Sprint(receiveWithin(t, conn, 2*overdue)), n.Addr+" timed out")
	within(t, start, limit*9/10, 2*limit)
}
