package redis

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// churnReply is what a node of TestNothingIsLeftBehind makes of a command.
func churnReply(nodes []*wireNode, c *wireConn, args []string) {
	keys := effectsKeys(args)
	other := nodes[(c.at+1)%len(nodes)]
	switch n := rand.IntN(100); {
	case len(keys) > 1 && keys[len(keys)-1] == "{c}2":
		c.say(tryAgainReply)
	case n < 10:
		c.say(redirectTo("MOVED", args, other))
	case n < 20:
		c.say(redirectTo("ASK", args, other))
	case n < 35 && len(keys) > 1:
		c.say(tryAgainReply)
	case n < 37:
		c.Close()
	case n < 38 && c.node == nodes[0]:
		c.say("$50000000\r\nhal") // whatever follows belongs to it, and it never ends
	default:
		c.say(echoReply(args))
	}
}

// TestNothingIsLeftBehind: sessions that come, send all sorts of things and go at any
// moment leave nothing in the proxy, while its nodes do all that makes requests wait.
func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	nodes := startWires(t, 3, 2, churnReply)
	p := startProxy(t, proxyOptions{requestTimeout: shortLimit}, nodes[0].Addr).ready(t)
	end := time.Now().Add(2 * time.Second)
	var sessions sync.WaitGroup
	for range 8 {
		sessions.Go(func() {
			for time.Now().Before(end) {
				churn(t, p.Addr)
			}
		})
	}
	sessions.Wait()
	for _, name := range []string{"moved", "ask", "tryagain", "key_by_key", "cx_lost", "rq_timeout", "order_held"} {
		assert.Positive(t, p.counter("upstream."+name), name)
	}
	eventually(t, func() bool { return p.leftBehind() == "" }, "all is given back")
	if left := p.leftBehind(); left != "" {
		t.Error(left)
	}
}

// churn is the life of one session.
func churn(t *testing.T, addr string) {
	c, err := testredis.Dial(addr)
	if !assert.NoError(t, err) {
		return
	}
	defer c.Close()
	cmds := make([][]any, 1+rand.IntN(40))
	quiet := false
	for i := range cmds {
		tag := [...]string{"{a}", "{b}", "{c}", "{d}"}[rand.IntN(4)]
		x, y := tag+fmt.Sprint(rand.IntN(3)), tag+fmt.Sprint(rand.IntN(3))
		switch rand.IntN(9) {
		case 0:
			cmds[i] = cmd("SET", x, i)
		case 1:
			cmds[i] = cmd("MGET", x, y, "{a}0", "{b}0")
		case 2:
			cmds[i] = cmd("MSET", x, i, y, i)
		case 3:
			cmds[i] = cmd("MSET", x, i, "{c}1", i, "{c}2", i)
		case 4:
			cmds[i] = cmd("DEL", x, y)
		case 5:
			cmds[i] = cmd("RENAME", x, y)
		case 6:
			if rand.IntN(10) == 0 {
				cmds[i], quiet = cmd("CLIENT", "REPLY", "SKIP"), true
			} else {
				cmds[i] = cmd("HELLO", 2+rand.IntN(2))
			}
		default:
			cmds[i] = cmd("GET", x)
		}
	}
	require.NoError(t, c.Send(cmds...))
	if quiet {
		_, _ = c.Receive()
		return
	}
	for i := range rand.IntN(len(cmds) + 1) {
		v, err := c.Receive()
		if _, refused := err.(testredis.Error); refused {
			continue
		}
		if assert.NoError(t, err) && cmds[i][0] == "GET" {
			assert.Equal(t, cmds[i][1], v, "the reply of another request")
		}
	}
}

// leftBehind says what a proxy without clients still has, "" when there is nothing.
func (p *testProxy) leftBehind() (left string) {
	note := func(is bool, format string, args ...any) {
		if is {
			left += fmt.Sprintf(format, args...) + "\n"
		}
	}
	p.onWorkers(func(w *worker) {
		note(len(w.sessions) > 0, "%d sessions", len(w.sessions))
		note(w.hold != nil && !w.hold.Sole(), "early replies are referred to")
		known := 0
		for addr, n := range w.nodes {
			for l, c := range n.clients {
				if c == nil {
					continue
				}
				known += btoi(c.conn != nil)
				note(c.inFlight() > 0, "%s %d: %d requests", addr, l, c.inFlight())
				note(c.bytes != 0, "%s %d: %d bytes", addr, l, c.bytes)
				note(len(c.waiting) > 0, "%s %d: %d sessions wait", addr, l, len(c.waiting))
				note(c.window != nil && !c.window.Sole(), "%s %d: the window is referred to", addr, l)
				note(c.dialling, "%s %d: dials", addr, l)
			}
		}
		note(w.loop.Conns() != known, "%d connections, %d known", w.loop.Conns(), known)
		for r, seen := w.free, map[*request]bool{}; r != nil; r = r.next {
			if seen[r] {
				note(true, "a request was recycled twice")
				break
			}
			seen[r] = true
		}
	})
	return left
}
