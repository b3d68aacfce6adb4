package redis

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestClientConnectsOnceThoughItsNodeRecoversDuringAProbe: a sibling of the client hears
// from the node while the client is being probed, and so the next request does not find
// the client resting. It has to wait for the probe's connection, and not make another.
func TestClientConnectsOnceThoughItsNodeRecoversDuringAProbe(t *testing.T) {
	t.Parallel()
	const limit = 4 * shortLimit
	n := startStub(t)
	p := startProxy(t, proxyOptions{requestTimeout: limit}, n.Addr).ready(t)
	old, modern := connect(t, p.Addr), connect(t, p.Addr)
	must(t, modern, "HELLO", 3)
	must(t, modern, "GET", "warm")
	must(t, old, "GET", "warm")

	probed, late := make(chan *stubConn, 1), make(chan *stubConn, 1)
	n.does(func(c *stubConn, args []string) bool {
		switch {
		case args[0] == "PING":
			select {
			case probed <- c:
			default:
			}
			return true
		case args[0] == "GET" && args[1] == "late":
			late <- c
			return true
		}
		return args[0] == "SET"
	})
	require.NoError(t, old.Send(cmd("SET", "k", 1)))
	<-time.After(limit * 2 / 3) // so that the sibling's request is young when the client gives up its own
	require.NoError(t, modern.Send(cmd("GET", "late")))
	sibling := <-late
	assert.Contains(t, errorText(t, old), "timed out")
	probe := <-probed
	made := p.counter("upstream.cx_total")

	sibling.say(bulk("late"))
	assert.Equal(t, []any{"late"}, receive(t, modern, 1))
	require.NoError(t, old.Send(cmd("GET", "next")))
	eventually(t, func() bool { return p.waitingAt(n.Addr) == 1 }, "the request waits for the probe's connection")
	probe.say("+PONG\r\n")
	assert.Equal(t, []any{"next"}, receive(t, old, 1))
	assert.Equal(t, made+1, p.counter("upstream.cx_total"), "a second connection was made")
	p.ownsItsConnections(t)
}
