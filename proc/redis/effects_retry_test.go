package redis

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// letdown is how a node lets a request down.
type letdown int

const (
	letdownCut    letdown = iota // closes the connection without a reply
	letdownInside                // closes it in the middle of the reply
	letdownSilent                // never answers
)

func (f letdown) String() string { return [...]string{"cut before", "cut inside", "no answer"}[f] }

// letDown ends a request as it says.
func (f letdown) letDown(c *wireConn) {
	switch f {
	case letdownCut:
		c.Close()
	case letdownInside:
		c.say("$1000\r\nhalf of")
		c.Close()
	}
}

func TestWritesAreNeverSentTwice(t *testing.T) {
	writes := []string{
		"SET {t}k 1", "INCR {t}k", "APPEND {t}k x", "GETDEL {t}k", "MSET {t}a 1 {t}b 2", "EVAL s 1 {t}a x", "RPUSH {t}k x", "DEL {t}k {t}l",
		"RENAME {t}a {t}b", "SINTERSTORE {t}x {t}y {t}z",
	}
	for _, how := range []letdown{letdownCut, letdownInside, letdownSilent} {
		for i, line := range writes {
			for j, redirect := range []string{"", "MOVED", "ASK"} {
				if how == letdownSilent && i%3 != j { // each takes its time
					continue
				}
				t.Run(fmt.Sprint(how, line, redirect), func(t *testing.T) {
					t.Parallel()
					var came journal
					nodes := startWires(t, 2, 1, func(nodes []*wireNode, c *wireConn, args []string) {
						switch {
						case args[0] == "GET":
							c.say("+OK\r\n")
						case c.at == 0 && redirect != "":
							c.say(redirectTo(redirect, args, nodes[1]))
						default:
							came.add(strings.Join(args, " "))
							how.letDown(c)
						}
					})
					p := startProxy(t, proxyOptions{requestTimeout: 150 * time.Millisecond}, nodes[0].Addr).ready(t)
					conn := connect(t, p.Addr)
					at := nodes[oneIf(redirect != "")].Addr
					got := errorOf(t, conn, argsOf(line)...)
					assert.Contains(t, got, "ERR samaritan: ")
					assert.Contains(t, got, at, "the error names the node")
					eventually(t, func() bool { v, _ := conn.Do("GET", "{t}k"); return v == "OK" }, "it goes on")
					assert.Equal(t, 1, came.count(line))
				})
			}
		}
	}
}

func TestSplitWritesAreNeverSentTwice(t *testing.T) {
	for _, how := range []letdown{letdownCut, letdownInside, letdownSilent} {
		for _, line := range []string{"MSET {t}a 1 {u}b 2 {v}c 3 {u}d 4", "DEL {t}a {u}b {v}c {u}d", "UNLINK {u}b {t}a {u}d"} {
			t.Run(fmt.Sprint(how, line), func(t *testing.T) {
				t.Parallel()
				var came journal
				nodes := startWires(t, 1, 1, func(_ []*wireNode, c *wireConn, args []string) {
					if came.add(strings.Join(args, " ")); slices.Contains(args, "{u}b") {
						how.letDown(c)
						return
					}
					c.say(echoReply(args))
				})
				p := startProxy(t, proxyOptions{requestTimeout: 150 * time.Millisecond}, nodes[0].Addr).ready(t)
				conn := connect(t, p.Addr)
				assert.Contains(t, errorOf(t, conn, argsOf(line)...), "ERR samaritan: ")
				eventually(t, func() bool { _, err := conn.Do("SET", "{w}k", 1); return err == nil }, "it goes on")
				for _, line := range came.all() {
					if line != "SET {w}k 1" {
						assert.Equal(t, 1, came.count(line), line)
					}
				}
			})
		}
	}
}

// A read whose connection broke is asked once more, unless it could see a later write of
// its own session then.
func TestReadIsRetriedOnlyWhenNothingOfItsSlotIsBehindIt(t *testing.T) {
	tests := []struct {
		name   string
		lines  []string // in one pipeline; the node cuts when it has all of them
		other  string   // sent by another session before the cut
		parts  int      // commands that reach the node, len(lines) when 0
		reads  map[string]int
		failed []bool // which replies are errors
	}{
		{"alone", []string{"GET {t}k"}, "", 0, map[string]int{"GET {t}k": 2}, []bool{false}},
		{"several", []string{"GET {t}k", "GET {t}l", "MGET {t}k {t}l"}, "", 0, map[string]int{"GET {t}k": 2, "GET {t}l": 2, "MGET {t}k {t}l": 2}, []bool{false, false, false}},
		{"a write behind it", []string{"GET {t}k", "SET {t}k 2"}, "", 0, map[string]int{"GET {t}k": 1, "SET {t}k 2": 1}, []bool{true, true}},
		{"a write of another key", []string{"GET {t}k", "SET {t}l 2"}, "", 0, map[string]int{"GET {t}k": 1, "SET {t}l 2": 1}, []bool{true, true}},
		{"a write before it", []string{"SET {t}k 2", "GET {t}k"}, "", 0, map[string]int{"GET {t}k": 2, "SET {t}k 2": 1}, []bool{true, false}},
		{"a write in between", []string{"GET {t}k", "SET {t}k 2", "GET {t}l"}, "", 0, map[string]int{"GET {t}k": 1, "SET {t}k 2": 1, "GET {t}l": 2}, []bool{true, true, false}},
		{"a write in another slot", []string{"GET {t}k", "SET {u}k 2"}, "", 0, map[string]int{"GET {t}k": 2, "SET {u}k 2": 1}, []bool{false, true}},
		{"a write of another session", []string{"GET {t}k"}, "SET {t}k 3", 0, map[string]int{"GET {t}k": 2, "SET {t}k 3": 1}, []bool{false}},
		{"a whole multi-key write", []string{"GET {t}k", "MSET {t}l 1 {t}m 2"}, "", 0, map[string]int{"GET {t}k": 1, "MSET {t}l 1 {t}m 2": 1}, []bool{true, true}},
		{"a part of a write", []string{"GET {t}k", "MSET {u}k 1 {t}l 2"}, "", 3, map[string]int{"GET {t}k": 1, "MSET {u}k 1": 1, "MSET {t}l 2": 1}, []bool{true, true}},
		{"a part of a write elsewhere", []string{"GET {t}k", "MSET {u}k 1 {v}l 2"}, "", 3, map[string]int{"GET {t}k": 2, "MSET {u}k 1": 1, "MSET {v}l 2": 1}, []bool{false, true}},
		{"a part of a read", []string{"MGET {t}k {u}k", "SET {t}k 2"}, "", 3, map[string]int{"MGET {t}k": 1, "SET {t}k 2": 1}, []bool{true, true}},
		{"a split read", []string{"MGET {t}k {u}k {v}k"}, "", 3, map[string]int{"MGET {t}k": 2, "MGET {u}k": 2, "MGET {v}k": 2}, []bool{false}},
		{"a write that is no write by its name", []string{"GET {t}k", "EVAL s 1 {t}k x"}, "", 0, map[string]int{"GET {t}k": 1, "EVAL s 1 {t}k x": 1}, []bool{true, true}},
	}
	for _, how := range []letdown{letdownCut, letdownInside} {
		for _, tt := range tests {
			t.Run(fmt.Sprint(tt.name, " ", how), func(t *testing.T) {
				t.Parallel()
				var came journal
				due := max(len(tt.lines), tt.parts) + int(oneIf(tt.other != ""))
				arrived := make(chan struct{}, 100)
				nodes := startWires(t, 1, 1, func(_ []*wireNode, c *wireConn, args []string) {
					if args[1] == "{w}warm" {
						c.say("+OK\r\n")
						return
					}
					n := came.add(strings.Join(args, " "))
					arrived <- struct{}{}
					switch {
					case n == due:
						how.letDown(c)
					case n > due:
						c.say(echoReply(args))
					}
				})
				p := startProxy(t, proxyOptions{}, nodes[0].Addr).ready(t)
				conn, other := connect(t, p.Addr), connect(t, p.Addr)
				must(t, conn, "SET", "{w}warm", 1)
				var cmds [][]any
				for _, line := range tt.lines {
					cmds = append(cmds, argsOf(line))
				}
				require.NoError(t, conn.Send(cmds...))
				if tt.other != "" {
					<-arrived
					require.NoError(t, other.Send(argsOf(tt.other)))
				}
				for i, v := range receive(t, conn, len(tt.lines)) {
					e, failed := v.(testredis.Error)
					if assert.Equal(t, tt.failed[i], failed, "%q: %v", tt.lines[i], v); failed {
						assert.Contains(t, string(e), "ERR samaritan: connection to node "+nodes[0].Addr+" lost before the reply")
					}
				}
				for line, n := range tt.reads {
					assert.Equal(t, n, came.count(line), "%s: %q", line, came.all())
				}
			})
		}
	}
}

func TestReadIsRetriedOnce(t *testing.T) {
	for _, how := range []letdown{letdownCut, letdownInside} {
		for _, redirect := range []string{"", "MOVED", "ASK"} {
			t.Run(fmt.Sprint(how, redirect), func(t *testing.T) {
				var came atomic.Int64
				nodes := startWires(t, 2, 1, func(nodes []*wireNode, c *wireConn, args []string) {
					if c.at == 0 && redirect != "" {
						c.say(redirectTo(redirect, args, nodes[1]))
						return
					}
					came.Add(1)
					how.letDown(c)
				})
				p := startProxy(t, proxyOptions{}, nodes[0].Addr).ready(t)
				got := errorOf(t, connect(t, p.Addr), "GET", "k")
				assert.Contains(t, got, "lost before the reply")
				assert.LessOrEqual(t, came.Load(), int64(2))
			})
		}
	}
}

// The first request is on its way to another node when the connection of the second one
// breaks: the latter is sent again only when the first is answered.
func TestRetriedReadWaitsForARedirectedWriteBeforeIt(t *testing.T) {
	var came journal
	away, at1 := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(away) })
	defer release()
	nodes := startWires(t, 2, 1, func(nodes []*wireNode, c *wireConn, args []string) {
		line := strings.Join(args, " ")
		switch n := came.add(line); {
		case args[1] == "{w}warm":
			c.say("+OK\r\n")
		case c.at == 1: // it owns the slot no more
			close(at1)
			<-away
			c.say(redirectTo("MOVED", args, nodes[0]))
		case n <= 3 && args[0] == "SET":
			c.say(redirectTo("MOVED", args, nodes[1]))
		case came.count("GET {t}k") == 1 && args[0] == "GET":
			select {
			case <-at1:
			case <-time.After(patience):
			}
			c.Close()
		case args[0] == "GET":
			c.say(wireForm(fmt.Sprint(came.count("SET {t}k 1") - 2)))
		default:
			c.say("+OK\r\n")
		}
	})
	p := startProxy(t, proxyOptions{}, nodes[0].Addr).ready(t)
	conn, other := connect(t, p.Addr), connect(t, p.Addr)
	must(t, conn, "SET", "{w}warm", 1)
	require.NoError(t, conn.Send(cmd("SET", "{t}k", 1), cmd("GET", "{t}k")))
	eventually(t, func() bool { return came.count("GET {t}k") >= 1 }, "the second is lost")
	for range 3 { // over the new connection, behind what was sent again
		eventually(t, func() bool { _, err := other.Do("SET", "{w}warm", 2); return err == nil }, "connected again")
	}
	release()
	got := receive(t, conn, 2)
	assert.Equal(t, "OK", got[0])
	if _, failed := got[1].(testredis.Error); !failed {
		assert.Equal(t, "1", got[1], "what was written before it is seen")
	}
}

// Many sessions on connections that break all the time, some of their requests sent on
// to another node.
func TestNothingIsDoubledOrMixedUpOnConnectionsThatBreak(t *testing.T) {
	var came, done journal
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(3, 3))
	random := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return rng.IntN(n)
	}
	nodes := startWires(t, 2, 1, func(nodes []*wireNode, c *wireConn, args []string) {
		slot := testredis.Slot(effectsKeys(args)[0])
		if c.at == 0 && slot%2 == 1 {
			c.say(redirectTo([]string{"MOVED", "ASK"}[slot/2%2], args, nodes[1]))
			return
		}
		line := strings.Join(args, " ")
		came.add(line)
		switch random(400) {
		case 0:
			letdownCut.letDown(c)
		case 1:
			done.add(line)
			letdownCut.letDown(c)
		case 2:
			done.add(line)
			letdownInside.letDown(c)
		default:
			done.add(line)
			c.say(echoReply(args))
		}
	})
	p := startProxy(t, proxyOptions{loops: 2}, nodes[0].Addr).ready(t)
	var running sync.WaitGroup
	for i := range 8 {
		conn := connect(t, p.Addr)
		running.Go(func() { breakingSession(t, conn, i, &came, &done) })
	}
	running.Wait()
	times := map[string]int{}
	for _, line := range came.all() {
		times[line]++
	}
	for line, n := range times {
		most := 1
		if strings.Contains(line, "GET ") {
			most = 2
		}
		assert.LessOrEqual(t, n, most, line)
	}
}

func breakingSession(t *testing.T, conn *testredis.Conn, i int, came, done *journal) {
	rng := rand.New(rand.NewPCG(5, uint64(i)))
	id, failed, total := 0, 0, 0
	for range 12 {
		var cmds [][]any
		var want []any
		for range 1 + rng.IntN(60) {
			id++
			a, b := fmt.Sprintf("{t%d}%d-%d", rng.IntN(20), i, id), fmt.Sprintf("{u%d}%d-%d", rng.IntN(20), i, id)
			c := a + "c"
			switch rng.IntN(5) {
			case 0:
				cmds, want = append(cmds, cmd("GET", a)), append(want, a)
			case 1:
				cmds, want = append(cmds, cmd("SET", a, 1)), append(want, "OK")
			case 2:
				cmds, want = append(cmds, cmd("MSET", a, 1, c, 2)), append(want, "OK")
			case 3:
				cmds, want = append(cmds, cmd("MSET", a, 1, b, 2, c, 3)), append(want, "OK")
			case 4:
				cmds, want = append(cmds, cmd("MGET", b, a, c, b)), append(want, []any{b, a, c, b})
			}
		}
		if !assert.NoError(t, conn.Send(cmds...)) {
			return
		}
		for j := range want {
			v, err := receiveOne(conn)
			if !assert.NoError(t, err, "session %d, reply %d", i, j) {
				return
			}
			total++
			if e, ok := v.(testredis.Error); ok {
				failed++
				assert.Contains(t, string(e), "ERR samaritan: ")
				continue
			}
			if !assert.Equal(t, want[j], v, "session %d, reply %d, to %q", i, j, cmds[j]) {
				return
			}
			if line := strings.TrimSuffix(fmt.Sprintln(cmds[j]...), "\n"); cmds[j][0] == "SET" {
				assert.Equal(t, 1, done.count(line), "it was said to be done: %s (came %d times)", line, came.count(line))
			}
		}
	}
	t.Logf("session %d: %d of %d failed", i, failed, total)
	assert.Less(t, failed, total)
}
