package redis

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestClientIsUsedAgainThoughItsSiblingNeverIs: the clients of a node rest together as
// one of them gets no answer. When that one learns that the node answers, but does not
// speak its protocol version, the others have no reason to rest any more; they have a
// connection, so nobody probes them.
func TestClientIsUsedAgainThoughItsSiblingNeverIs(t *testing.T) {
	t.Parallel()
	nodes := startStubs(t, 2)
	n := nodes[1]
	p := startProxy(t, proxyOptions{connectTimeout: shortLimit}, addrs(nodes)...).ready(t)
	old, modern := connect(t, p.Addr), connect(t, p.Addr)
	must(t, modern, "HELLO", 3)
	must(t, old, "GET", there)
	n.does(func(_ *stubConn, args []string) bool { return args[0] == "HELLO" })
	assert.Contains(t, errorOf(t, modern, "GET", there), unreachable(n.Addr))
	assert.Contains(t, errorOf(t, old, "GET", there), unreachable(n.Addr))
	n.does(func(c *stubConn, args []string) bool {
		return args[0] == "HELLO" && c.say("-NOPROTO unsupported protocol version\r\n")
	})
	eventually(t, func() bool { v, _ := old.Do("GET", there); return v == there }, "it is used again")
	assert.Contains(t, errorOf(t, modern, "GET", there), unreachable(n.Addr))
	for range 20 {
		assert.Equal(t, there, must(t, old, "GET", there))
		assert.Contains(t, errorOf(t, modern, "GET", there), "NOPROTO")
	}
}
