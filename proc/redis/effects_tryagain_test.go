package redis

import (
	"fmt"
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

// shelf is a store that refuses multi-key commands for a while, as an owner does whose
// slot is half moved.
type shelf struct {
	journal                   // every command that came, refused or not
	times   int               // refusals of each command with several keys, negative: for ever
	failing map[string]string // errors by key

	guard sync.Mutex // guards the following
	seen  map[string]int
	data  keyspace
}

func newShelf(times int) *shelf {
	return &shelf{times: times, seen: map[string]int{}, data: keyspace{}, failing: map[string]string{}}
}

// serve handles one command; wait tells whether it may be executed.
func (s *shelf) serve(args []string) string {
	s.guard.Lock()
	defer s.guard.Unlock()
	line := strings.Join(args, " ")
	s.add(line)
	keys := effectsKeys(args)
	if distinctKeys(keys) > 1 {
		s.seen[line]++
		if s.times < 0 || s.seen[line] <= s.times {
			return tryAgainReply
		}
	}
	for _, k := range keys {
		if text := s.failing[k]; text != "" {
			return "-" + text + "\r\n"
		}
	}
	return wireForm(s.data.do(args))
}

func distinctKeys(keys []string) int {
	sorted := slices.Sorted(slices.Values(keys))
	return len(slices.Compact(sorted))
}

// script puts everything on one node.
func (s *shelf) script(_ []*wireNode, c *wireConn, args []string) { c.say(s.serve(args)) }

func argsOf(line string) []any {
	var args []any
	for _, w := range strings.Fields(line) {
		args = append(args, w)
	}
	return args
}

func TestWaitsOfTryAgainGrow(t *testing.T) {
	for _, line := range []string{"MGET {t}a {t}b", "MSET {t}a 1 {t}b 2", "RENAME {t}a {t}b", "MSET {u}x 1 {t}a 1 {t}b 2"} {
		for _, times := range []int{1, 3, 6} {
			t.Run(fmt.Sprint(line, times), func(t *testing.T) {
				s := newShelf(times)
				s.data["{t}a"] = "A"
				nodes := startWires(t, 1, 1, s.script)
				p := startProxy(t, proxyOptions{}, nodes[0].Addr).ready(t)
				must(t, connect(t, p.Addr), argsOf(line)...)
				part := strings.ReplaceAll(line, "{u}x 1 ", "")
				when := s.when(part)
				require.Len(t, when, times+1, "%q", s.all())
				for i := range times {
					// The proxy's clock is coarse.
					assert.GreaterOrEqual(t, when[i+1].Sub(when[i]), 2*time.Millisecond<<i*3/4, "wait %d", i)
				}
			})
		}
	}
}

func TestTryAgainForEver(t *testing.T) {
	tests := []struct {
		line string
		want any
	}{
		{"MGET {t}a {t}b {t}none", []any{"A", "B", nil}},
		{"MGET {t}b {t}a {t}b {t}a", []any{"B", "A", "B", "A"}},
		{"MGET {t}list {t}b", []any{nil, "B"}},
		{"MGET {u}far {t}b {v}far {t}a {u}far {t}none", []any{"U", "B", "V", "A", "U", nil}},
		{"EXISTS {t}a {t}a {t}b {t}none", int64(3)},
		{"EXISTS {t}a {t}a {u}far {t}b {t}none", int64(4)},
		{"TOUCH {t}a {t}list", int64(2)},
		{"DEL {t}a {t}b {t}a {t}none", int64(2)},
		{"UNLINK {t}list {u}far {t}a {v}none", int64(3)},
		{"MSET {t}a 1 {t}b 2 {t}a 3", "OK"},
		{"MSET {t}a 1 {u}far 2 {t}b 3 {u}far 4 {t}a 5", "OK"},
		{"mset {t}a 1 {t}b 2", "OK"},
		{"RENAME {t}a {t}b", nil},
		{"MSETNX {t}c 1 {t}d 2", nil},
		{"SINTERSTORE {t}x {t}y {t}z", nil},
		{"LMOVE {t}list {t}list2 LEFT RIGHT", nil},
		{"COPY {t}a {t}b", nil},
		{"SMOVE {t}x {t}y m", nil},
		{"EVAL script 2 {t}a {t}b x", nil},
		{"MGET {t}bad1 {t}a", testredis.Error("ERR one")},
		{"MGET {t}a {t}bad2 {t}bad1", testredis.Error("ERR two")},
		{"MSET {t}a 1 {t}bad1 2 {t}bad2 3", testredis.Error("ERR one")},
		{"DEL {t}bad2 {t}a {t}bad1", testredis.Error("ERR two")},
		{"EXISTS {u}far {t}b {t}bad1", testredis.Error("ERR one")},
	}
	for i, tt := range tests {
		for _, proto := range []int{2, 3} {
			if proto == 3 && i%4 != 0 { // each takes its time
				continue
			}
			t.Run(fmt.Sprint(tt.line, proto), func(t *testing.T) {
				t.Parallel()
				s := newShelf(-1)
				s.failing = map[string]string{"{t}bad1": "ERR one", "{t}bad2": "ERR two"}
				for line, v := range map[string]any{"{t}a": "A", "{t}b": "B", "{t}list": []string{"x"}, "{u}far": "U", "{v}far": "V"} {
					s.data[line] = v
				}
				want := keyspace{}
				for k, v := range s.data {
					want[k] = v
				}
				nodes := startWires(t, 1, 1, s.script)
				p := startProxy(t, proxyOptions{}, nodes[0].Addr).ready(t)
				conn := connect(t, p.Addr)
				must(t, conn, "HELLO", proto)
				require.NoError(t, conn.Send(argsOf(tt.line), cmd("SET", "{t}end", 1)))
				got := receive(t, conn, 2)
				assert.Equal(t, "OK", got[1])
				_, failed := tt.want.(testredis.Error)
				switch {
				case tt.want == nil:
					assert.Contains(t, got[0], "TRYAGAIN Multiple keys request during rehashing of slot")
					assert.Equal(t, 7, s.count(tt.line), "%q", s.all())
				default:
					assert.Equal(t, tt.want, got[0])
				}
				if tt.want == nil || failed {
					return
				}
				want.do(strings.Fields(tt.line))
				want["{t}end"] = "1"
				s.guard.Lock()
				defer s.guard.Unlock()
				assert.Equal(t, want, s.data)
				tries := 0
				for _, line := range s.all() {
					tries += int(oneIf(distinctKeys(effectsKeys(strings.Fields(line))) > 1))
				}
				assert.Equal(t, 7, tries, "the keys stay together as long as there is hope")
			})
		}
	}
}

// The keys that have gone over are found by ASK, those that never were too, and the new
// owner refuses several keys as well as long as one of them is missing.
func TestKeyByKeyFollowsAsk(t *testing.T) {
	for _, absent := range []bool{false, true} {
		t.Run(fmt.Sprint("all gone over ", absent), func(t *testing.T) {
			var mu sync.Mutex
			stores := [2]keyspace{{"{t}a": "A", "{t}c": "C"}, {"{t}b": "B", "{t}d": "D"}}
			if absent {
				stores = [2]keyspace{{}, {"{t}a": "A", "{t}b": "B", "{t}d": "D"}}
			}
			var wrong journal
			nodes := startWires(t, 2, 1, func(nodes []*wireNode, c *wireConn, args []string) {
				mu.Lock()
				defer mu.Unlock()
				keys, store := effectsKeys(args), stores[c.at]
				missing := 0
				for _, k := range slices.Compact(slices.Sorted(slices.Values(keys))) {
					missing += int(oneIf(store[k] == nil))
				}
				switch {
				case c.at == 1 && !c.asked():
					wrong.add(strings.Join(args, " "))
					c.say(redirectTo("MOVED", args, nodes[0]))
				case c.at == 0 && missing == distinctKeys(keys):
					c.say(redirectTo("ASK", args, nodes[1]))
				case missing > 0 && distinctKeys(keys) > 1:
					c.say(tryAgainReply)
				default:
					c.say(wireForm(store.do(args)))
				}
			})
			p := startProxy(t, proxyOptions{}, nodes[0].Addr).ready(t)
			conn := connect(t, p.Addr)
			c := any("C")
			if absent {
				c = nil
			}
			assert.Equal(t, []any{"A", "B", c, nil}, must(t, conn, "MGET", "{t}a", "{t}b", "{t}c", "{t}none"))
			assert.Contains(t, errorOf(t, conn, "RENAME", "{t}none1", "{t}none2"), "TRYAGAIN ", "and no ASK")
			assert.Equal(t, "OK", must(t, conn, "MSET", "{t}new1", "1", "{t}new2", "2"))
			assert.Equal(t, int64(4), must(t, conn, "EXISTS", "{t}new1", "{t}a", "{t}b", "{t}none", "{t}d"))
			assert.Equal(t, int64(3), must(t, conn, "DEL", "{t}new1", "{t}a", "{t}b", "{t}none"))
			assert.Equal(t, []any{nil, nil, nil, "2"}, must(t, conn, "MGET", "{t}a", "{t}b", "{t}new1", "{t}new2"))
			assert.Empty(t, wrong.all(), "every key that has gone over is asked for with ASKING")
		})
	}
}

// What is refused first must not be overtaken by what shares a key with it.
func TestNothingOvertakesARefusedMultiKeyCommand(t *testing.T) {
	tests := map[string][]string{
		"a write of one key":         {"MSET {t}a 1 {t}b 1", "SET {t}b 2"},
		"a read of one key":          {"MSET {t}a 1 {t}b 1", "GET {t}a"},
		"reads before a write":       {"MGET {t}a {t}b", "SET {t}a 2", "GET {t}b"},
		"other keys, one in common":  {"MSET {t}a 1 {t}b 1", "MSET {t}b 2 {t}c 2", "MSET {t}c 3 {t}d 3", "SET {t}d 4"},
		"the same keys, turned":      {"MSET {t}a 1 {t}b 1", "MSET {t}b 2 {t}a 2"},
		"the same keys and one more": {"MSET {t}a 1 {t}b 1", "MSET {t}a 2 {t}b 2 {t}c 2", "MGET {t}a {t}b"},
		"not to be split":            {"SET {t}a 1", "RENAME {t}a {t}b", "GET {t}b", "SET {t}a 2", "EVAL s 2 {t}a {t}b x", "GETDEL {t}a"},
		"three keys":                 {"SADD {t}y 1", "SADD {t}z 1", "SUNIONSTORE {t}x {t}y {t}z", "SADD {t}z 2", "SMEMBERS {t}x"},
		"a part of a split one":      {"MSET {u}x 1 {t}a 1 {t}b 1", "SET {t}a 2", "MGET {t}a {u}x", "SET {u}x 2"},
		"split ones":                 {"MSET {u}x 1 {t}a 1 {t}b 1", "MSET {v}x 1 {t}b 2 {t}c 2 {u}x 2 {u}y 2", "MGET {u}x {u}y {t}c {t}b {t}a"},
		"in between":                 {"SET {t}a 0", "MSET {t}a 1 {t}b 1", "APPEND {t}c x", "APPEND {t}a x", "MSET {t}c 2 {t}a 2", "APPEND {t}a x", "GET {t}c"},
		"the same key twice":         {"MSET {t}a 1 {t}a 2", "SET {t}a 3", "MSET {t}a 4 {t}b 4 {t}a 5", "APPEND {t}a x"},
		"many":                       slices.Repeat([]string{"MSET {t}a 1 {t}b 1", "APPEND {t}a x", "MGET {t}b {t}a"}, 5),
		"removal":                    {"MSET {t}a 1 {t}b 1", "DEL {t}b {t}c", "SETNX {t}b 2", "EXISTS {t}a {t}b", "UNLINK {t}a"},
	}
	for name, lines := range tests {
		for _, times := range []int{1, 3, -1} {
			t.Run(fmt.Sprint(name, times), func(t *testing.T) {
				t.Parallel()
				s := newShelf(times)
				nodes := startWires(t, 1, 1, s.script)
				p := startProxy(t, proxyOptions{}, nodes[0].Addr).ready(t)
				conn := connect(t, p.Addr)
				want := keyspace{}
				var cmds [][]any
				for _, line := range lines {
					cmds = append(cmds, argsOf(line))
				}
				require.NoError(t, conn.Send(cmds...))
				for i, got := range receive(t, conn, len(lines)) {
					args := strings.Fields(lines[i])
					if times < 0 && distinctKeys(effectsKeys(args)) > 1 && !splittable(args[0]) {
						assert.Contains(t, got, "TRYAGAIN ", lines[i])
						continue
					}
					assert.Equal(t, want.do(args), got, "reply %d, to %q", i, lines[i])
				}
				s.guard.Lock()
				defer s.guard.Unlock()
				assert.Equal(t, want, s.data)
			})
		}
	}
}

// Another session does not wait for one whose command is refused.
func TestRefusedCommandHoldsBackItsOwnSessionOnly(t *testing.T) {
	var refused, others atomic.Int64
	nodes := startWires(t, 1, 1, func(_ []*wireNode, c *wireConn, args []string) {
		if args[0] == "RENAME" {
			refused.Add(1)
			c.say(tryAgainReply)
			return
		}
		others.Add(1)
		c.say("+OK\r\n")
	})
	p := startProxy(t, proxyOptions{}, nodes[0].Addr).ready(t)
	conn, other := connect(t, p.Addr), connect(t, p.Addr)
	require.NoError(t, conn.Send(cmd("RENAME", "{t}a", "{t}b")))
	eventually(t, func() bool { return refused.Load() > 0 }, "refused")
	for range 10 {
		must(t, other, "SET", "{t}a", 1)
	}
	before := refused.Load()
	assert.Contains(t, receive(t, conn, 1)[0], "TRYAGAIN ")
	assert.Less(t, before, int64(7), "the other session was served meanwhile")
}

// What an ASK says holds for that moment. One that had to wait behind another command is
// not to be followed blindly: the key may be back, or never have gone, by then.
func TestParkedAskIsNotFollowedWhenItIsOutOfDate(t *testing.T) {
	var came journal
	var over atomic.Bool // the slot has been given back and opened again, all keys are at the owner
	nodes := startWires(t, 2, 1, func(nodes []*wireNode, c *wireConn, args []string) {
		came.add(fmt.Sprint(c.at, " ", args[0]))
		switch {
		case c.at == 1:
			c.say("$3\r\nnew\r\n") // it is importing, and takes what ASKING lets in
		case args[0] == "EVAL" && came.count("0 EVAL") < 4:
			c.say(tryAgainReply)
		case args[0] == "EVAL":
			over.Store(true)
			c.say("+OK\r\n")
		case !over.Load():
			c.say(redirectTo("ASK", args, nodes[1]))
		default:
			c.say("$3\r\nold\r\n")
		}
	})
	p := startProxy(t, proxyOptions{}, nodes[0].Addr).ready(t)
	conn := connect(t, p.Addr)
	require.NoError(t, conn.Send(cmd("EVAL", "s", 2, "{t}a", "{t}b", 1), cmd("GETSET", "{t}c", 1)))
	assert.Equal(t, []any{"OK", "old"}, receive(t, conn, 2), "%q", came.all())
}
