package redis

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// redirectTo is a MOVED or ASK for a command's slot.
func redirectTo(kind string, args []string, n *wireNode) string {
	return fmt.Sprintf("-%s %d %s\r\n", kind, testredis.Slot(effectsKeys(args)[0]), n.Addr)
}

const tryAgainReply = "-TRYAGAIN Multiple keys request during rehashing of slot\r\n"

// echoReply answers reads with the names of the keys, and anything else with OK or a number.
func echoReply(args []string) string {
	keys := effectsKeys(args)
	switch args[0] {
	case "GET":
		return wireForm(keys[0])
	case "MGET":
		return wireForm(listOf(keys))
	case "DEL", "EXISTS":
		return wireForm(int64(len(keys)))
	}
	return "+OK\r\n"
}

func TestAskingAndItsCommandAreOneOnTheWire(t *testing.T) {
	var wrong journal
	nodes := startWires(t, 2, 2, func(nodes []*wireNode, c *wireConn, args []string) {
		low := testredis.Slot(effectsKeys(args)[0]) < 8192
		switch {
		case c.at == 0:
			c.say(redirectTo("ASK", args, nodes[1]))
			return
		case low != c.asked():
			wrong.add(fmt.Sprintf("%.60q after %.60q", args, c.last))
		}
		c.say(echoReply(args))
	})
	p := startProxy(t, proxyOptions{loops: 2}, nodes[0].Addr).ready(t)
	large := strings.Repeat("x", 40<<10)
	var running sync.WaitGroup
	for i := range 12 {
		conn := connect(t, p.Addr)
		if i%3 == 2 {
			must(t, conn, "HELLO", 3)
		}
		rng := rand.New(rand.NewPCG(7, uint64(i)))
		running.Go(func() {
			for range 4 {
				var cmds [][]any
				var want []any
				for range 1 + rng.IntN(120) {
					low, high := uint16(rng.IntN(300)), uint16(9000+rng.IntN(300))
					a, b, c := key(low, "a"), key(high, "b"), key(low, "c")
					switch rng.IntN(7) {
					case 0, 1:
						cmds, want = append(cmds, cmd("GET", a)), append(want, a)
					case 2:
						cmds, want = append(cmds, cmd("GET", b)), append(want, b)
					case 3:
						cmds, want = append(cmds, cmd("SET", a, large[:rng.IntN(len(large))])), append(want, "OK")
					case 4:
						cmds, want = append(cmds, cmd("MGET", a, b, c)), append(want, []any{a, b, c})
					case 5:
						cmds, want = append(cmds, cmd("MSET", a, "1", c, "2")), append(want, "OK")
					case 6:
						cmds, want = append(cmds, cmd("DEL", b, a, c)), append(want, int64(3))
					}
				}
				if !assert.NoError(t, conn.Send(cmds...)) {
					return
				}
				for j := range want {
					v, err := receiveOne(conn)
					if !assert.NoError(t, err) || !assert.Equal(t, want[j], v, "%.100q", cmds[j]) {
						return
					}
				}
			}
		})
	}
	running.Wait()
	assert.Empty(t, wrong.all())
	assert.Zero(t, nodes[1].asking, "ASKING follows ASKING")
}

// Two nodes send the first request from one to the other; those right behind it must not
// find the end of that before it does.
func TestNothingOvertakesARequestThatGoesBackAndForth(t *testing.T) {
	for hops := 1; hops <= 5; hops++ {
		for _, kind := range []string{"MOVED", "ASK"} {
			t.Run(fmt.Sprint(kind, " ", hops), func(t *testing.T) {
				var done journal
				var visits atomic.Int64
				var mu sync.Mutex // one command at a time, whatever node
				nodes := startWires(t, 2, 1, func(nodes []*wireNode, c *wireConn, args []string) {
					mu.Lock()
					defer mu.Unlock()
					first := args[2] == "1"
					if first {
						visits.Add(1)
					}
					// The first finds the owner changed each time, until it has made its
					// hops. Those behind it would be let in one visit earlier, but not
					// where they were sent to in the first place: they may be there still.
					n, end := visits.Load(), hops%2
					open := end == 1 && n >= max(int64(hops)-1, 2)
					if first {
						open = n == int64(hops)+1
					}
					if c.at == end && (open || len(done.all()) > 0) {
						done.add(args[2])
						c.say("+OK\r\n")
						return
					}
					c.say(redirectTo(kind, args, nodes[1-c.at]))
				})
				p := startProxy(t, proxyOptions{}, nodes[0].Addr).ready(t)
				conn := connect(t, p.Addr)
				const n = 30
				var cmds [][]any
				var want []string
				for i := 1; i <= n; i++ {
					cmds, want = append(cmds, cmd("SET", "{t}k", i)), append(want, fmt.Sprint(i))
				}
				require.NoError(t, conn.Send(cmds...))
				for i, v := range receive(t, conn, n) {
					assert.Equal(t, "OK", v, "reply %d", i)
				}
				assert.Equal(t, want, done.all())
			})
		}
	}
}

// The slot comes back to the old owner while the first request is still away.
func TestLaterRequestWaitsForOneThatIsBeingRedirected(t *testing.T) {
	for _, later := range [][]any{cmd("SET", "{t}k", 2), cmd("MSET", "{t}k", 2, "{t}l", 2), cmd("MSET", "{t}k", 2, "{u}l", 2)} {
		t.Run(fmt.Sprint(later...), func(t *testing.T) {
			var seen journal
			away := make(chan struct{})
			release := sync.OnceFunc(func() { close(away) })
			defer release()
			nodes := startWires(t, 2, 1, func(nodes []*wireNode, c *wireConn, args []string) {
				first := args[2] == "1"
				switch {
				case c.at == 0 && first && seen.count("1 away") == 0:
					c.say(redirectTo("MOVED", args, nodes[1]))
					return
				case c.at == 1:
					seen.add("1 away")
					<-away
					c.say(redirectTo("MOVED", args, nodes[0]))
					return
				case args[1] == "{t}k":
					seen.add(args[2])
				}
				c.say("+OK\r\n")
			})
			p := startProxy(t, proxyOptions{}, nodes[0].Addr).ready(t)
			conn, other := connect(t, p.Addr), connect(t, p.Addr)
			require.NoError(t, conn.Send(cmd("SET", "{t}k", 1)))
			eventually(t, func() bool { return seen.count("1 away") == 1 }, "the first is away")
			require.NoError(t, conn.Send(later))
			for range 3 { // by then the proxy has read it
				assert.Equal(t, "OK", must(t, other, "SET", "{v}other", "x"))
			}
			release()
			assert.Equal(t, []any{"OK", "OK"}, receive(t, conn, 2))
			assert.Equal(t, []string{"1 away", "1", "2"}, seen.all())
		})
	}
}

func TestHopLimitCountsMovedAndAsk(t *testing.T) {
	for _, pattern := range []string{"MMMMM", "AAAAA", "MAMAM", "AMAMA", "AMMAA"} {
		for _, endless := range []bool{false, true} {
			t.Run(fmt.Sprint(pattern, endless), func(t *testing.T) {
				var arrived atomic.Int64
				nodes := startWires(t, 2, 1, func(nodes []*wireNode, c *wireConn, args []string) {
					n := int(arrived.Add(1))
					switch {
					case n <= len(pattern) && pattern[n-1] == 'M':
						c.say(redirectTo("MOVED", args, nodes[1-c.at]))
					case n <= len(pattern) || endless:
						c.say(redirectTo("ASK", args, nodes[1-c.at]))
					default:
						c.say("+OK\r\n")
					}
				})
				p := startProxy(t, proxyOptions{}, nodes[0].Addr).ready(t)
				conn := connect(t, p.Addr)
				if endless {
					assert.Regexp(t, "^ASK ", errorOf(t, conn, "SET", "k", "v"), "the last error")
				} else {
					assert.Equal(t, "OK", must(t, conn, "SET", "k", "v"))
				}
				assert.EqualValues(t, 6, arrived.Load())
			})
		}
	}
}

// A client that goes away leaves no trace of what it had waiting.
func TestClientLeavesWhileItsRequestsAreRedirected(t *testing.T) {
	gone := make(chan struct{})
	release := sync.OnceFunc(func() { close(gone) })
	defer release()
	var away atomic.Int64
	nodes := startWires(t, 2, 1, func(nodes []*wireNode, c *wireConn, args []string) {
		if c.at == 0 {
			c.say(redirectTo("MOVED", args, nodes[1]))
			return
		}
		away.Add(1)
		<-gone
		c.say("+OK\r\n")
	})
	p := startProxy(t, proxyOptions{}, nodes[0].Addr).ready(t)
	for range 5 {
		conn := connect(t, p.Addr)
		var cmds [][]any
		for i := range 50 {
			cmds = append(cmds, cmd("SET", "{t}k", i), cmd("MSET", "{t}k", i, "{t}l", i), cmd("MSET", "{t}k", i, "{t}l", i, "{u}m", i))
		}
		require.NoError(t, conn.Send(cmds...))
		eventually(t, func() bool { return away.Load() > 0 }, "away")
		conn.Close()
	}
	release()
	conn := connect(t, p.Addr)
	for i := range 20 {
		assert.Equal(t, "OK", must(t, conn, "MSET", "{t}k", i, "{t}l", i))
	}
	eventually(t, func() bool { return p.inFlight(t) == 0 }, "nothing is left")
}

// The node that a redirection names may be away: each of those that wait gets the error.
func TestRequestsBehindARedirectionToNowhere(t *testing.T) {
	nodes := startWires(t, 1, 1, func(_ []*wireNode, c *wireConn, args []string) {
		if args[0] == "SET" {
			c.say("-MOVED 1 127.0.0.1:1\r\n")
			return
		}
		c.say("+OK\r\n")
	})
	p := startProxy(t, proxyOptions{connectTimeout: 200 * time.Millisecond}, nodes[0].Addr).ready(t)
	conn := connect(t, p.Addr)
	var cmds [][]any
	const n = 200
	for i := range n {
		cmds = append(cmds, cmd("SET", "{t}k", i))
	}
	require.NoError(t, conn.Send(append(cmds, cmd("APPEND", "{t}k", "x"))...))
	got := receive(t, conn, n+1)
	for _, v := range got[:n] {
		assert.Contains(t, v, "ERR samaritan: node 127.0.0.1:1 is not reachable")
	}
	assert.Equal(t, "OK", got[n])
}
