package redis

import (
	"fmt"
	"math"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// Slots 0..8191 are those of the first of two stubs, the others are the second's.
var (
	here  = key(100, "here")
	there = key(9000, "there")
	stuck = key(9000, "stuck") // is never answered
)

func TestSilentNodeEndsRequestsAtTheLimit(t *testing.T) {
	for _, tt := range []struct {
		name  string
		proto int
		args  []any
		away  string // how the first node sends this on
	}{
		{name: "read", args: cmd("GET", stuck)},
		{name: "write", args: cmd("SET", stuck, "v")},
		{name: "RESP3", proto: 3, args: cmd("GET", stuck)},
		{name: "part of MGET", args: cmd("MGET", here, stuck, there)},
		{name: "part of MSET", args: cmd("MSET", stuck, 1, here, 2)},
		{name: "part of DEL", args: cmd("DEL", here, stuck)},
		{name: "MOVED", args: cmd("SET", here, stuck), away: "MOVED"},
		{name: "ASK", args: cmd("SET", here, stuck), away: "ASK"},
		{name: "part that is redirected", args: cmd("MSET", here, stuck, there, 1), away: "ASK"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			nodes := startStubs(t, 2)
			hung := nodes[1]
			hung.does(hangsOn(stuck))
			nodes[0].does(func(c *stubConn, args []string) bool {
				return tt.away != "" && len(args) == 3 && args[2] == stuck && c.say(fmt.Sprintf("-%s 100 %s\r\n", tt.away, hung.Addr))
			})
			p := startProxy(t, proxyOptions{requestTimeout: shortLimit}, addrs(nodes)...).ready(t)
			conn := connect(t, p.Addr)
			if tt.proto == 3 {
				must(t, conn, "HELLO", 3)
			}
			must(t, conn, "GET", here)
			start := time.Now()
			assert.Equal(t, timedOut(hung.Addr), errorOf(t, conn, tt.args...))
			within(t, start, shortLimit, shortLimit+overdue)
			assert.Equal(t, here, must(t, conn, "GET", here), "the session goes on")
			eventually(t, func() bool { v, _ := conn.Do("GET", there); return v == there }, "the node is used again")
		})
	}
}

// TestReplyThatComesAfterTheErrorGoesToNobody: the node falls silent with requests of
// many sessions in line, and says it all when they have been given up.
func TestReplyThatComesAfterTheErrorGoesToNobody(t *testing.T) {
	t.Parallel()
	nodes := startStubs(t, 2)
	hung := nodes[1]
	givenUp := make(chan struct{})
	hung.does(func(c *stubConn, args []string) bool {
		if !strings.HasSuffix(args[len(args)-1], "old") {
			return false
		}
		select {
		case <-givenUp:
		case <-hung.ended:
		}
		return false
	})
	p := startProxy(t, proxyOptions{requestTimeout: shortLimit}, addrs(nodes)...).ready(t)
	var conns []*testredis.Conn
	for range 10 {
		conns = append(conns, connect(t, p.Addr))
	}
	old := func(i int) string { return key(uint16(9000+i), "old") }
	for i, c := range conns {
		require.NoError(t, c.Send(cmd("GET", here), cmd("GET", old(i)), cmd("MGET", here, old(i)), cmd("SET", there, old(i))))
	}
	for _, c := range conns {
		got := receive(t, c, 4)
		assert.Equal(t, here, got[0])
		for _, e := range got[1:] {
			assert.Equal(t, testredis.Error(timedOut(hung.Addr)), e)
		}
	}
	close(givenUp)
	eventually(t, func() bool { v, _ := conns[0].Do("GET", there); return v == there }, "the node is used again")
	for i, c := range conns {
		k := key(uint16(9100+i), "new")
		require.NoError(t, c.Send(cmd("GET", k), cmd("MGET", k, here), cmd("GET", here)))
		assert.Equal(t, []any{k, []any{k, here}, here}, receive(t, c, 3))
	}
}

// startSlow starts a node that answers a GET of "old..." only every 50 ms, those that
// wait for it all at once when it gets "fresh", and is well from then on. The last of
// them gets the given reply.
func startSlow(t *testing.T, last, lastReply string) *stub {
	t.Helper()
	n := startStub(t)
	var mu sync.Mutex
	var held []string
	next := func() (reply string) {
		mu.Lock()
		defer mu.Unlock()
		if len(held) > 0 {
			reply, held = held[0], held[1:]
		}
		return reply
	}
	started := false
	n.does(func(c *stubConn, args []string) bool {
		switch {
		case args[0] != "GET":
			return false
		case args[1] == "fresh":
			mu.Lock()
			defer mu.Unlock()
			c.say(strings.Join(held, "") + bulk("fresh"))
			held = nil
			n.does(nil)
			return true
		}
		mu.Lock()
		defer mu.Unlock()
		reply := bulk(args[1])
		if args[1] == last {
			reply = lastReply
		}
		held = append(held, reply)
		if !started {
			started = true
			c.every(50*time.Millisecond, next)
		}
		return true
	})
	return n
}

// TestNodeThatIsSlowButAnswersKeepsItsConnection: the requests that have waited too
// long get the error, what the node says to them later goes to nobody, whatever it is,
// and a request that came after them gets its own reply.
func TestNodeThatIsSlowButAnswersKeepsItsConnection(t *testing.T) {
	const requests = 40
	last := fmt.Sprint("old", requests-1)
	for name, late := range map[string]string{
		"bulk":      bulk(last),
		"array":     "*2\r\n$1\r\na\r\n*1\r\n:1\r\n",
		"error":     "-ERR late\r\n",
		"null":      "$-1\r\n",
		"MOVED":     "-MOVED 100 127.0.0.1:1\r\n",
		"TRYAGAIN":  "-TRYAGAIN late\r\n",
		"large":     bulk(strings.Repeat("v", 1<<20)),
		"of a push": ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n" + bulk(last),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startSlow(t, last, late)
			p := startProxy(t, proxyOptions{requestTimeout: shortLimit}, n.Addr).ready(t)
			conn, other := connect(t, p.Addr), connect(t, p.Addr)
			var pipeline [][]any
			for i := range requests {
				pipeline = append(pipeline, cmd("GET", fmt.Sprint("old", i)))
			}
			start := time.Now()
			require.NoError(t, conn.Send(pipeline...))
			answered := 0
			for ; answered < requests; answered++ {
				got := receive(t, conn, 1)[0]
				if !assertOwn(t, fmt.Sprint("old", answered), got, n.Addr) {
					assert.Equal(t, testredis.Error(timedOut(n.Addr)), got)
					within(t, start, shortLimit, shortLimit+overdue)
					break
				}
			}
			require.Less(t, answered, requests, "none has timed out, the last was answered after %v", time.Since(start))
			require.Positive(t, answered, "those that were in time have their replies")

			assert.Equal(t, "fresh", must(t, other, "GET", "fresh"))
			for _, got := range receive(t, conn, requests-answered-1) {
				assert.Equal(t, testredis.Error(timedOut(n.Addr)), got, "it is as old as the first")
			}
			for i := range 20 {
				k := fmt.Sprint("new", i)
				require.NoError(t, conn.Send(cmd("GET", k), cmd("GET", k+"b")))
				assert.Equal(t, []any{k, k + "b"}, receive(t, conn, 2))
				assert.Equal(t, k, must(t, other, "GET", k))
			}
			assert.Len(t, n.userConns(), 1, "the connection stays")
			assert.Equal(t, requests-answered, p.counter("upstream.rq_timeout"))
			assert.Zero(t, p.counter("upstream.cx_timeout"))
		})
	}
}

// drips is a node that says a reply to "drip" byte by byte, and never gets to its end.
func drips(c *stubConn, args []string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if args[0] != "GET" || (args[1] != "drip" && !c.mute) {
		return c.mute
	}
	if !c.mute {
		c.mute = true
		head := "$1000000\r\n"
		c.every(50*time.Millisecond, func() string { s := head; head = "v"; return s })
	}
	return true
}

func TestNodeThatDripsEndsAtTheLimit(t *testing.T) {
	t.Parallel()
	n := startStub(t)
	n.does(drips)
	p := startProxy(t, proxyOptions{requestTimeout: shortLimit}, n.Addr).ready(t)
	conn, behind := connect(t, p.Addr), connect(t, p.Addr)
	start := time.Now()
	require.NoError(t, conn.Send(cmd("GET", "drip")))
	eventually(t, func() bool { return n.count("GET") == 1 }, "it drips")
	require.NoError(t, behind.Send(cmd("GET", "a"), cmd("SET", "b", 1)))
	assert.Equal(t, []any{testredis.Error(timedOut(n.Addr))}, receive(t, conn, 1))
	within(t, start, shortLimit, shortLimit+overdue)
	for _, got := range receive(t, behind, 2) {
		assert.Contains(t, fmt.Sprint(got), "ERR samaritan: node "+n.Addr)
	}
	within(t, start, shortLimit, shortLimit+overdue)
	// The drip goes on; on another connection the node is well.
	eventually(t, func() bool { v, _ := behind.Do("GET", "c"); return v == "c" }, "it is not waited for on that connection for ever")
}

func TestLargeReplyMayTakeLongerThanTheLimit(t *testing.T) {
	t.Parallel()
	const size = 20 << 20
	n := startStub(t)
	n.does(func(c *stubConn, args []string) bool {
		if args[0] != "GET" || args[1] != "large" {
			return false
		}
		// On this goroutine, so that what is behind it waits.
		tick := time.NewTicker(40 * time.Millisecond)
		defer tick.Stop()
		c.say(fmt.Sprintf("$%d\r\n", size))
		for range size >> 20 {
			<-tick.C
			c.say(strings.Repeat("v", 1<<20))
		}
		return c.say("\r\n")
	})
	p := startProxy(t, proxyOptions{requestTimeout: shortLimit}, n.Addr).ready(t)
	conn, behind := connect(t, p.Addr), connect(t, p.Addr)
	start := time.Now()
	require.NoError(t, conn.Send(cmd("GET", "large")))
	eventually(t, func() bool { return n.count("GET") == 1 }, "it comes")
	require.NoError(t, behind.Send(cmd("GET", "behind")))
	got := receive(t, conn, 1)[0]
	within(t, start, 2*shortLimit, patience)
	s, ok := got.(string)
	require.True(t, ok, "%.100v", got)
	assert.Len(t, s, size)
	assertOwn(t, "behind", receive(t, behind, 1)[0], n.Addr)
	for range 3 {
		assert.Equal(t, "a", must(t, conn, "GET", "a"))
		assert.Equal(t, "b", must(t, behind, "GET", "b"))
	}
	assert.Len(t, n.userConns(), 2, "the connection stays; the session with the large value takes one of its own from now on")
	assert.Zero(t, p.counter("upstream.cx_destroy_total"))
	assert.Zero(t, p.counter("upstream.cx_timeout"))
}

// TestLimitForEver: the longest request_timeout that there can be leaves room for the
// time that a large reply has beyond it.
func TestLimitForEver(t *testing.T) {
	t.Parallel()
	const size = 8 << 20
	n := startStub(t)
	n.does(func(c *stubConn, args []string) bool {
		if args[0] != "GET" || args[1] != "large" {
			return false
		}
		tick := time.NewTicker(sweepEvery)
		defer tick.Stop()
		c.say(fmt.Sprintf("$%d\r\n", size))
		for range size >> 20 {
			c.say(strings.Repeat("v", 1<<20))
			<-tick.C
		}
		return c.say("\r\n")
	})
	p := startProxy(t, proxyOptions{requestTimeout: math.MaxInt64}, n.Addr).ready(t)
	got := must(t, connect(t, p.Addr), "GET", "large")
	s, ok := got.(string)
	require.True(t, ok, "%.100v", got)
	assert.Len(t, s, size)
}

func TestLargeReplyThatStopsInTheMiddleEnds(t *testing.T) {
	t.Parallel()
	n := startStub(t)
	n.does(func(c *stubConn, args []string) bool {
		if args[0] != "GET" || args[1] != "large" {
			return false
		}
		c.say("$20000000\r\n" + strings.Repeat("v", 2<<20))
		<-n.ended
		return true
	})
	p := startProxy(t, proxyOptions{requestTimeout: shortLimit}, n.Addr).ready(t)
	conn := connect(t, p.Addr)
	start := time.Now()
	assert.Equal(t, timedOut(n.Addr), errorOf(t, conn, "GET", "large"))
	within(t, start, shortLimit, shortLimit+2*time.Second+overdue)
	eventually(t, func() bool { v, _ := conn.Do("GET", "a"); return v == "a" }, "the node is used again")
}

// blackHole is an address where a connection is neither made nor refused: its backlog
// is full and nobody accepts.
func blackHole(t testing.TB) (addr string, port int) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, syscall.Listen(fd, 0))
	name, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	port = name.(*syscall.SockaddrInet4).Port
	addr = fmt.Sprintf("127.0.0.1:%d", port)
	for range 100 {
		c, err := net.DialTimeout("tcp", addr, 100*time.Millisecond)
		if err != nil {
			return addr, port
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("its backlog does not fill up")
	return "", 0
}

func TestNodeThatCannotBeConnectedEndsRequests(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options proxyOptions
	}{
		{"connect timeout", proxyOptions{connectTimeout: shortLimit, requestTimeout: time.Minute}},
		{"request timeout", proxyOptions{connectTimeout: time.Minute, requestTimeout: shortLimit}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := startStub(t)
			hole, port := blackHole(t)
			n.setSlots(slotsReply(n.Port, port))
			p := startProxy(t, tt.options, n.Addr).ready(t)
			conn, other := connect(t, p.Addr), connect(t, p.Addr)
			start := time.Now()
			require.NoError(t, conn.Send(cmd("GET", here), cmd("GET", there), cmd("SET", there, 1), cmd("MGET", here, there)))
			eventually(t, func() bool { return p.inFlight(t) > 0 }, "in flight")
			assert.Equal(t, here, must(t, other, "GET", here), "the loop goes on")
			got := receive(t, conn, 4)
			within(t, start, shortLimit*9/10, shortLimit+overdue)
			assert.Equal(t, here, got[0])
			for _, e := range got[1:] {
				assert.Regexp(t, "^ERR samaritan: node "+hole+" (is not reachable|timed out)", e)
			}
			assert.Equal(t, here, must(t, conn, "GET", here))
			p.Stop()
			within(t, start, 0, shortLimit+3*overdue) // it does not wait for the dial
		})
	}
}

func TestHandshakeWithoutAReplyEndsRequests(t *testing.T) {
	t.Parallel()
	nodes := startStubs(t, 2)
	nodes[1].does(func(_ *stubConn, args []string) bool { return args[0] == "HELLO" || args[0] == "PING" })
	p := startProxy(t, proxyOptions{connectTimeout: shortLimit}, addrs(nodes)...).ready(t)
	conn := connect(t, p.Addr)
	must(t, conn, "HELLO", 3)
	start := time.Now()
	require.NoError(t, conn.Send(cmd("GET", here), cmd("GET", there), cmd("MGET", here, there)))
	got := receive(t, conn, 3)
	within(t, start, shortLimit*9/10, shortLimit+overdue)
	assert.Equal(t, here, got[0])
	for _, e := range got[1:] {
		assert.Contains(t, fmt.Sprint(e), unreachable(nodes[1].Addr))
	}
	nodes[1].does(nil)
	eventually(t, func() bool { v, _ := conn.Do("GET", there); return v == there }, "it is used again")
}
