package redis

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// kept is the most bytes that a worker's buffers for small things hold: the send windows
// of its clients, and the early replies.
func (p *testProxy) kept() (windows, hold int) {
	p.onWorkers(func(w *worker) {
		for _, n := range w.nodes {
			for _, c := range n.clients {
				if c != nil && c.window != nil {
					windows = max(windows, cap(c.window.B))
				}
			}
		}
		if w.hold != nil {
			hold = max(hold, cap(w.hold.B))
		}
		hold = max(hold, cap(w.tmp))
	})
	return windows, hold
}

// TestLargeValuesLeaveNoBuffersBehind: what was made for a large value goes with it.
func TestLargeValuesLeaveNoBuffersBehind(t *testing.T) {
	t.Parallel()
	const large = 8 << 20
	nodes := startStubs(t, 2)
	asked := make(chan *stubConn, 1)
	nodes[0].does(func(c *stubConn, args []string) bool {
		if args[0] == "GET" {
			asked <- c
		}
		return args[0] == "GET"
	})
	p := startProxy(t, proxyOptions{}, addrs(nodes)...).ready(t)
	conn, other := connect(t, p.Addr), connect(t, p.Addr)
	value := strings.Repeat("v", large)
	assert.Equal(t, "OK", must(t, conn, "MSET", here, value, there, value))

	require.NoError(t, other.Send(cmd("GET", here), cmd("ECHO", value)))
	(<-asked).say(bulk(here))
	assert.Equal(t, []any{here, value}, receive(t, other, 2))
	eventually(t, func() bool {
		windows, hold := p.kept()
		return windows <= windowSize && hold < large/4
	}, "they are given back")
}
