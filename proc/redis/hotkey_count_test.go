package redis

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api/redis"
	"samaritan/config"
	"samaritan/hotkey"
	"samaritan/internal/testredis"
	"samaritan/proc/redis/resp"
)

// setHot changes what the service does about hot keys. Nothing else is changed.
func (p *testProxy) setHot(t testing.TB, h *redis.HotKeys) {
	t.Helper()
	old := p.svc.Load()
	c := proxyOptions{}.config()
	c.GetRedisOption().ReadStrategy = old.Config.GetRedisOption().GetReadStrategy()
	c.GetRedisOption().RequestTimeout = old.Config.GetRedisOption().GetRequestTimeout()
	c.GetRedisOption().HotKeys = h
	svc, err := config.NewService("test", c, old.Endpoints)
	require.NoError(t, err)
	require.NoError(t, p.Update(svc))
	p.onWorkers(func(*worker) {}) // they have it
}

// still is a proxy whose intervals end when the test says so.
func (p *testProxy) still(t testing.TB) *testProxy {
	t.Helper()
	p.setHot(t, &redis.HotKeys{Interval: duration(time.Hour), Window: duration(2 * time.Hour)})
	return p
}

// forget resets what is known, and lets the workers look at large values as after a sweep.
func (p *testProxy) forget() {
	p.resetHotKeys()
	p.onWorkers(func(w *worker) { w.hot.Pace(w.loop.Now()) })
}

// counted takes what was counted at nodes, and returns which these are.
func (w *worker) counted() (addrs []string) {
	spare := new(hotkey.Counts)
	for i := 0; ; {
		at := w.hot.CutNode(&i, spare)
		if at.Counts == nil {
			return addrs
		}
		addrs = append(addrs, at.Addr)
		spare = at.Counts
		spare.Clear()
	}
}

// counted ends an interval and returns the keys by name.
func (p *testProxy) counted() map[string]hotkey.Key {
	p.mergeOnce()
	all := map[string]hotkey.Key{}
	for _, k := range p.hotKeys().Keys {
		all[string(k.Name)] = k
	}
	return all
}

// hits are the counts by name.
func (p *testProxy) hits() map[string]int {
	all := map[string]int{}
	for name, k := range p.counted() {
		all[name] = int(k.Count)
	}
	return all
}

// hotProxy is a proxy before the shared cluster whose intervals end when the test says so.
func hotProxy(t testing.TB, o proxyOptions) *testProxy {
	t.Helper()
	return startProxy(t, o, testredis.Shared(t, testredis.Options{}).Addrs()...).ready(t).still(t)
}

func TestEveryKeyOfACommandIsCountedOnce(t *testing.T) {
	p := hotProxy(t, proxyOptions{})
	conn := connect(t, p.Addr)
	for _, tt := range []struct {
		line  string
		want  string // names, with blanks; one that comes twice has two hits
		write bool
	}{
		{"GET a", "a", false},
		{"SET a 1", "a", true},
		{"SET a 1 EX 100", "a", true},
		{"GETSET a 2", "a", true},
		{"INCR n", "n", true},
		{"EXPIRE a 100", "a", true},
		{"TTL a", "a", false},
		{"TYPE a", "a", false},
		{"MGET a b c d e", "a b c d e", false},
		{"MGET {t}a {t}b {t}c", "{t}a {t}b {t}c", false},
		{"MGET {t}a {t}b x {t}c y", "{t}a {t}b {t}c x y", false},
		{"MGET a", "a", false},
		{"MGET a a b", "a a b", false},
		{"MSET a 1 b 2 c 3", "a b c", true},
		{"MSET {t}a 1 {t}b 2", "{t}a {t}b", true},
		{"MSETNX {t}a 1 {t}b 2", "{t}a {t}b", true},
		{"DEL a b c", "a b c", true},
		{"UNLINK {t}a {t}b", "{t}a {t}b", true},
		{"EXISTS a b", "a b", false},
		{"TOUCH a b", "a b", false},
		{"EVAL return(1) 2 {t}a {t}b argument", "{t}a {t}b", true},
		{"EVAL_RO return(1) 1 {t}a argument", "{t}a", false},
		{"EVALSHA 0123456789012345678901234567890123456789 1 k", "k", true}, // the node's error is a reply as well
		{"ZADD {z}1 1 m", "{z}1", true},
		{"ZUNIONSTORE {z}d 2 {z}1 {z}2 WEIGHTS 1 2", "{z}d {z}1 {z}2", true},
		{"ZUNION 2 {z}1 {z}2", "{z}1 {z}2", false},
		{"ZRANGESTORE {z}d {z}1 0 -1", "{z}d {z}1", true},
		{"SINTERCARD 2 {z}s {z}t LIMIT 1", "{z}s {z}t", false},
		{"XADD {x}a * f v", "{x}a", true},
		{"XREAD COUNT 1 STREAMS {x}a {x}b 0 0", "{x}a {x}b", false},
		{"XGROUP CREATE {x}a g $ MKSTREAM", "{x}a", true},
		{"XREADGROUP GROUP g c STREAMS {x}a >", "{x}a", true},
		{"SORT {l}a STORE {l}b", "{l}a {l}b", true},
		{"SORT {l}a BY nosort", "{l}a", true}, // it is a write command
		{"SORT_RO {l}a", "{l}a", false},
		{"OBJECT ENCODING {x}a", "{x}a", false},
		{"MEMORY USAGE {x}a", "{x}a", false},
		{"RENAME {x}a {x}c", "{x}a {x}c", true},
		{"COPY {x}c {x}d", "{x}c {x}d", true},
		{"BITOP AND {b}d {b}1 {b}2", "{b}d {b}1 {b}2", true},
		{"LMPOP 2 {l}a {l}b LEFT", "{l}a {l}b", true},
		{"LMOVE {l}a {l}b LEFT RIGHT", "{l}a {l}b", true},
		{"GEORADIUS {g}a 1 1 1 km STORE {g}b", "{g}a {g}b", true},
		{"GEOSEARCHSTORE {g}b {g}a FROMLONLAT 1 1 BYRADIUS 1 km", "{g}a {g}b", true},
		{"PFCOUNT {p}a {p}b", "{p}a {p}b", false},
		{"HGETALL h", "h", false},
		{"LPUSH GET v", "GET", true},
		{"LPUSH n v", "n", true}, // WRONGTYPE, it was sent
	} {
		p.resetHotKeys()
		v, err := conn.Do(argsOf(tt.line)...)
		var refused testredis.Error
		if err != nil {
			require.ErrorAs(t, err, &refused, tt.line)
			require.NotContains(t, string(refused), "samaritan", tt.line)
		}
		want := map[string]int{}
		for _, name := range strings.Fields(tt.want) {
			want[name]++
		}
		got := p.counted()
		assert.Len(t, got, len(want), "%s: %v", tt.line, v)
		for name, n := range want {
			k, found := got[name]
			if !assert.True(t, found, "%s: %s", tt.line, name) {
				continue
			}
			assert.EqualValues(t, n, k.Count, "%s: %s", tt.line, name)
			assert.EqualValues(t, n, k.Reads+k.Writes)
			assert.Equal(t, tt.write, k.Writes > 0, "%s: %s", tt.line, name)
			assert.EqualValues(t, testredis.Slot(name), k.Slot)
			assert.Len(t, k.Commands, 1)
			assert.Len(t, k.Clients, 1)
		}
	}
}

func TestWhatHasNoKeysOrIsNotSentIsNotCounted(t *testing.T) {
	p := hotProxy(t, proxyOptions{})
	conn := connect(t, p.Addr)
	for _, line := range []string{
		"PING", "ECHO a", "DBSIZE", "TIME", "INFO", "KEYS *", "SCAN 0", "RANDOMKEY", "COMMAND COUNT", "CLIENT ID", "HOTKEY", "HOTKEY LIST",
		"EVAL return(1) 0 a", "SCRIPT EXISTS x", "CLUSTER KEYSLOT a", "CONFIG GET maxmemory", "GET", "GET a b", "NOSUCH a", "OBJECT HELP",
		"RENAME a b", "ZUNIONSTORE d 2 a b", "MULTI", "EXEC", "BLPOP a 0", "SUBSCRIBE a", "EVAL return(1) x a", "WAIT 0 0", "SELECT 1",
	} {
		if _, err := conn.Do(argsOf(line)...); err != nil {
			var refused testredis.Error
			require.ErrorAs(t, err, &refused, line)
		}
		assert.Empty(t, p.hits(), line)
	}
}

// Those of more keys than are looked at are sampled: all of them have about their share.
func TestKeysOfHugeCommandsAreCountedInShares(t *testing.T) {
	p := hotProxy(t, proxyOptions{})
	conn := connect(t, p.Addr)
	const full = 64 // of more a share is looked at
	for _, n := range []int{full, full + 1, 200, 640} {
		p.resetHotKeys()
		keys := make([]string, n)
		for i := range keys {
			keys[i] = fmt.Sprintf("{t}%d", i)
		}
		const rounds = 4
		for range rounds {
			must(t, conn, argsOf("MGET "+strings.Join(keys, " "))...)
		}
		p.mergeOnce()
		hits := p.hotKeys().Hits
		assert.InEpsilon(t, rounds*n, hits, 0.15, "%d keys", n)
		if n == full {
			assert.EqualValues(t, rounds*n, hits, "all of them")
		}
	}
}

func TestBytesOfRequestsAndRepliesAreCounted(t *testing.T) {
	p := hotProxy(t, proxyOptions{})
	conn := dialWire(t, p.Addr)
	value := strings.Repeat("v", 300)
	expectReply(t, conn, "+OK\r\n", "SET", "k", value)
	expectReply(t, conn, "$300\r\n"+value+"\r\n", "GET", "k")
	k := p.counted()["k"]
	assert.EqualValues(t, len(resp.AppendCommand(nil, "SET", "k", value))+len(resp.AppendCommand(nil, "GET", "k")), k.BytesIn)
	assert.EqualValues(t, 5+len("$300\r\n\r\n")+300, k.BytesOut)
	assert.EqualValues(t, 1, k.Reads)
	assert.EqualValues(t, 1, k.Writes)
	assert.ElementsMatch(t, []hotkey.Part{{Name: "get", Hits: 1}, {Name: "set", Hits: 1}}, k.Commands)

	p.resetHotKeys()
	const rounds = 100 // the reply of several keys is that of each in its turn
	reply := "*2\r\n$300\r\n" + value + "\r\n$-1\r\n"
	request := resp.AppendCommand(nil, "MGET", "{k}1", "{k}2")
	expectReply(t, conn, "+OK\r\n", "SET", "{k}1", value)
	for range rounds {
		expectReply(t, conn, reply, "MGET", "{k}1", "{k}2")
	}
	got := p.counted()
	one, two := got["{k}1"], got["{k}2"]
	setIn := len(resp.AppendCommand(nil, "SET", "{k}1", value))
	assert.EqualValues(t, rounds*(len(request)/2)+setIn, one.BytesIn)
	assert.EqualValues(t, rounds*(len(request)/2), two.BytesIn)
	assert.EqualValues(t, rounds*len(reply)+5, one.BytesOut+two.BytesOut)
	assert.InEpsilon(t, rounds*len(reply)/2, two.BytesOut, 0.5)

	p.resetHotKeys()
	expectReply(t, conn, "-ERR value is not an integer or out of range\r\n", "INCR", "{k}1")
	assert.EqualValues(t, len("-ERR value is not an integer or out of range\r\n"), p.counted()["{k}1"].BytesOut)

	slots := map[int]hotkey.Slot{}
	for _, s := range p.hotKeys().SlotsByBytes {
		slots[s.Slot] = s
	}
	s := slots[int(testredis.Slot("{k}1"))]
	assert.EqualValues(t, 1, s.Requests)
	assert.EqualValues(t, 1, s.Writes)
	assert.EqualValues(t, len(resp.AppendCommand(nil, "INCR", "{k}1"))+len("-ERR value is not an integer or out of range\r\n"), s.Bytes)
}

func TestHowRequestsArriveDoesNotMatter(t *testing.T) {
	p := hotProxy(t, proxyOptions{})
	long := strings.Repeat("l", 1000)
	huge := strings.Repeat("h", 100_000)
	requests := commands("SET foo 1", "GET foo", "MGET foo bar", "GET "+long, "GET "+huge) + "GET foo\r\nmget  bar\tfoo \r\n\r\nGET \"a\\x00b\"\r\n" + commands("GET bar")
	want := map[string]int{"foo": 5, "bar": 3, long[:hotkey.KeyMax]: 1, huge[:hotkey.KeyMax]: 1, "a\x00b": 1}

	exchange(t, p.Addr, requests)
	assert.Equal(t, want, p.hits(), "all at once")

	for _, size := range []int{1, 7, 1000} {
		p.resetHotKeys()
		conn := dialWire(t, p.Addr)
		text := requests
		if size < 1000 {
			text = strings.ReplaceAll(requests, commands("GET "+huge), commands("GET "+huge[:200]))
		}
		for len(text) > 0 {
			n := min(size, len(text))
			_, err := io.WriteString(conn, text[:n])
			require.NoError(t, err)
			text = text[n:]
		}
		require.NoError(t, conn.CloseWrite())
		_, err := io.ReadAll(conn)
		require.NoError(t, err)
		assert.Equal(t, want, p.hits(), "%d bytes at a time", size)
	}

	p.resetHotKeys()
	var pipeline strings.Builder
	for i := range 1000 {
		pipeline.WriteString(commands(fmt.Sprint("GET key", i%20)))
		if i%10 == 0 {
			pipeline.WriteString("INCR counter\r\n")
		}
	}
	exchange(t, p.Addr, pipeline.String())
	got := p.hits()
	require.Len(t, got, 21)
	for i := range 20 {
		assert.Equal(t, 50, got[fmt.Sprint("key", i)])
	}
	assert.Equal(t, 100, got["counter"])
}

func TestLongAndBinaryKeys(t *testing.T) {
	p := hotProxy(t, proxyOptions{})
	conn := connect(t, p.Addr)
	stem := strings.Repeat("x", hotkey.KeyMax)
	for _, name := range []string{"", "\x00\r\n\xff", stem, stem + "1", strings.Repeat("y", 1<<20)} {
		p.resetHotKeys()
		for range 3 {
			must(t, conn, "GET", name)
		}
		all := p.counted()
		require.Len(t, all, 1)
		k := all[name[:min(len(name), hotkey.KeyMax)]]
		assert.EqualValues(t, 3, k.Count)
		assert.Equal(t, len(name), k.Length)
		assert.EqualValues(t, testredis.Slot(name), k.Slot)
	}
	p.resetHotKeys()
	must(t, conn, "GET", stem+"1")
	must(t, conn, "GET", stem+"2")
	p.mergeOnce()
	assert.Len(t, p.hotKeys().Keys, 2, "alike as far as they are shown")
}

func TestRedirectedRequestsAreCountedOnceAtTheNodeTheyWereSentTo(t *testing.T) {
	for _, tt := range []struct {
		line string
		keys []string
	}{
		{"GET {t}a", []string{"{t}a"}},
		{"MGET {t}a {t}b", []string{"{t}a", "{t}b"}},
		{"SET {t}a 1", []string{"{t}a"}},
		{"MSET {t}a 1 {u}b 2", []string{"{t}a", "{u}b"}},
	} {
		for _, kind := range []string{"MOVED", "ASK"} {
			t.Run(kind+" "+tt.line, func(t *testing.T) {
				var bounced atomic.Int32
				nodes := startWires(t, 2, 1, func(nodes []*wireNode, c *wireConn, args []string) {
					switch {
					case c.at == 0:
						bounced.Add(1)
						c.say(redirectTo(kind, args, nodes[1]))
					case args[0] == "MGET":
						c.say("*2\r\n$1\r\na\r\n$1\r\nb\r\n")
					default:
						c.say("+OK\r\n")
					}
				})
				p := startProxy(t, proxyOptions{}, nodes[0].Addr).ready(t).still(t)
				must(t, connect(t, p.Addr), argsOf(tt.line)...)
				require.Positive(t, bounced.Load())
				got := p.counted()
				assert.Len(t, got, len(tt.keys))
				for _, name := range tt.keys {
					assert.EqualValues(t, 1, got[name].Count, name)
					assert.Equal(t, nodes[0].Addr, got[name].Node)
				}
			})
		}
	}
}

func TestRequestsTriedAgainAreCountedOnce(t *testing.T) {
	for _, line := range []string{"MGET {t}a {t}b", "MSET {t}a 1 {t}b 2", "DEL {t}a {t}b", "RENAME {t}a {t}b"} {
		for _, times := range []int{2, -1} {
			t.Run(fmt.Sprint(line, times), func(t *testing.T) {
				s := newShelf(times)
				s.data["{t}a"] = "A"
				nodes := startWires(t, 1, 1, s.script)
				p := startProxy(t, proxyOptions{}, nodes[0].Addr).ready(t).still(t)
				_, _ = connect(t, p.Addr).Do(argsOf(line)...) // RENAME may fail
				require.Greater(t, len(s.all()), 1)
				assert.Equal(t, map[string]int{"{t}a": 1, "{t}b": 1}, p.hits())
			})
		}
	}
}

func TestReadsAskedAgainAfterALostConnectionAreCountedOnce(t *testing.T) {
	var broken atomic.Bool
	n := startStub(t)
	n.does(func(c *stubConn, args []string) bool {
		if args[0] == "GET" && !broken.Swap(true) {
			c.Close()
			return true
		}
		return false
	})
	p := startProxy(t, proxyOptions{}, n.Addr).ready(t).still(t)
	assert.Equal(t, "k", must(t, connect(t, p.Addr), "GET", "k"))
	require.Equal(t, 2, n.count("GET"))
	assert.Equal(t, map[string]int{"k": 1}, p.hits())
}

func TestRequestsRefusedBecauseANodeRestsAreNotCounted(t *testing.T) {
	n := startStub(t)
	p := startProxy(t, proxyOptions{}, n.Addr).ready(t).still(t)
	conn := connect(t, p.Addr)
	must(t, conn, "GET", "k")
	n.leave()
	eventually(t, func() bool {
		_, err := conn.Do("GET", "trying")
		return err != nil && strings.Contains(err.Error(), "not reachable")
	}, "the node rests")
	p.resetHotKeys()
	for _, line := range []string{"GET k", "MGET a b", "SET k 1", "MGET {a}1 {a}2"} {
		assert.Contains(t, errorOf(t, conn, argsOf(line)...), "not reachable")
	}
	assert.Empty(t, p.hits())
}

// A node that does not answer shows which keys it is asked for.
func TestRequestsWithoutAReplyAreCounted(t *testing.T) {
	n := startStub(t)
	n.does(func(_ *stubConn, args []string) bool { return args[0] == "GET" })
	p := startProxy(t, proxyOptions{}, n.Addr).ready(t).still(t)
	conn := connect(t, p.Addr)
	require.NoError(t, conn.Send(cmd("GET", "k"), cmd("GET", "k")))
	eventually(t, func() bool { return n.count("GET") == 2 }, "sent")
	k := p.counted()["k"]
	assert.EqualValues(t, 2, k.Count)
	assert.Zero(t, k.BytesOut)
}

func TestClientsAreKnownByTheirNames(t *testing.T) {
	p := hotProxy(t, proxyOptions{})
	partsOf := func() []hotkey.Part {
		defer p.resetHotKeys()
		return p.counted()["k"].Clients
	}
	plain := connect(t, p.Addr)
	must(t, plain, "GET", "k")
	assert.Equal(t, []hotkey.Part{{Name: "127.0.0.1", Hits: 1}}, partsOf())
	must(t, plain, "CLIENT", "SETINFO", "LIB-NAME", "redis-py")
	must(t, plain, "GET", "k")
	assert.Equal(t, []hotkey.Part{{Name: "127.0.0.1 redis-py", Hits: 1}}, partsOf())
	must(t, plain, "CLIENT", "SETNAME", "orders")
	must(t, plain, "GET", "k")
	must(t, plain, "MGET", "k", "other")
	other := connect(t, p.Addr)
	must(t, other, "HELLO", 3, "SETNAME", "carts")
	for range 5 {
		must(t, other, "GET", "k")
	}
	third := connect(t, p.Addr)
	must(t, third, "CLIENT", "SETNAME", "orders")
	must(t, third, "GET", "k")
	assert.Equal(t, []hotkey.Part{{Name: "carts", Hits: 5}, {Name: "orders", Hits: 3}}, partsOf())
	must(t, plain, "RESET")
	must(t, plain, "GET", "k")
	must(t, third, "CLIENT", "SETNAME", "")
	must(t, third, "GET", "k")
	// RESET and an empty name take the name away; the library is that of the session.
	got := partsOf()
	for _, part := range got {
		assert.True(t, strings.HasPrefix(part.Name, "127.0.0.1"), part.Name)
	}
}

func TestNamesOfClientsAreBounded(t *testing.T) {
	var c callers
	first := c.number("first")
	assert.EqualValues(t, 1, first)
	for i := range 2 * maxCallers {
		n := c.number(fmt.Sprint("client", i))
		require.Equal(t, n, c.number(fmt.Sprint("client", i)))
		require.NotZero(t, n)
	}
	assert.Equal(t, first, c.number("first"))
	assert.Equal(t, "first", c.name(first))
	assert.Equal(t, otherCallers, c.name(c.number("one more")))
	assert.Len(t, c.names, maxCallers+1)
	assert.Empty(t, c.name(0))
	assert.Empty(t, c.name(1<<31))
}

func TestLargestValuesHaveTheirSizes(t *testing.T) {
	p := hotProxy(t, proxyOptions{})
	type big struct {
		size    int
		command string
	}
	v := func(n int) string { return strings.Repeat("v", n) }
	seed := connect(t, p.Addr)
	must(t, seed, "HSET", "hash", "f", v(3000), "g", v(2000))
	must(t, seed, "SET", "large", v(4000))
	must(t, seed, "SET", "{l}2", v(2500))
	must(t, seed, "SET", "{l}3", v(3500))
	for _, proto := range []int{2, 3} {
		conn := connect(t, p.Addr)
		must(t, conn, "HELLO", proto)
		for _, tt := range []struct {
			name string
			args []any
			want map[string]big
		}{
			{"SET", cmd("SET", "k", v(5000)), map[string]big{"k": {5000, "set"}}},
			{"SET with options", cmd("SET", "k", v(5000), "EX", 1000, "GET"), map[string]big{"k": {5000, "set"}}},
			{"too small", cmd("SET", "k", v(500)), map[string]big{}},
			{"SETEX", cmd("SETEX", "k", 1000, v(1500)), map[string]big{"k": {1500, "setex"}}},
			{"GET", cmd("GET", "large"), map[string]big{"large": {4000, "get"}}},
			{"GETSET", cmd("GETSET", "large", v(4000)), map[string]big{"large": {4000, "getset"}}},
			{"GETSET of what is not there", cmd("GETSET", fmt.Sprint("new", proto), v(2000)), map[string]big{fmt.Sprint("new", proto): {2000, "getset"}}},
			{"MSET", cmd("MSET", "a", v(1100), "b", 1, "c", v(2200)), map[string]big{"a": {1100, "mset"}, "c": {2200, "mset"}}},
			{"MSET of one slot", cmd("MSET", "{t}a", v(1100), "{t}b", 1, "{t}c", v(2200)), map[string]big{"{t}a": {1100, "mset"}, "{t}c": {2200, "mset"}}},
			{"MGET", cmd("MGET", "large", "none", "{l}2", "hash"), map[string]big{"large": {4000, "mget"}, "{l}2": {2500, "mget"}}},
			{"MGET of one slot", cmd("MGET", "{l}1", "{l}2", "{l}3"), map[string]big{"{l}3": {3500, "mget"}, "{l}2": {2500, "mget"}}},
			{"nil", cmd("GET", "none"), map[string]big{}},
			{"APPEND", cmd("APPEND", "app"+fmt.Sprint(proto), v(1200)), map[string]big{"app" + fmt.Sprint(proto): {1200, "append"}}},
			{"LPUSH", cmd("LPUSH", "list"+fmt.Sprint(proto), v(1000), v(1000)), map[string]big{"list" + fmt.Sprint(proto): {2000, "lpush"}}},
			{"error", cmd("LPUSH", "large", 1), map[string]big{}},
		} {
			p.forget()
			_, _ = conn.Do(tt.args...)
			p.mergeOnce()
			got := map[string]big{}
			for _, v := range p.hotKeys().Values {
				got[string(v.Key)] = big{v.Size, v.Command}
				assert.EqualValues(t, testredis.Slot(string(v.Key)), v.Slot)
				assert.Equal(t, len(v.Key), v.Length)
			}
			assert.Equal(t, tt.want, got, "%s, RESP%d", tt.name, proto)
		}
		p.forget()
		must(t, conn, "HGETALL", "hash")
		p.mergeOnce()
		values := p.hotKeys().Values
		require.Len(t, values, 1)
		assert.Equal(t, "hash", string(values[0].Key))
		assert.InDelta(t, 5000, values[0].Size, 50)
	}
}

// From the first moment several values are listed, and not only ever larger ones.
func TestValuesAreListedAsSoonAsHotKeysAreSwitchedOn(t *testing.T) {
	p := hotProxy(t, proxyOptions{})
	off := false
	p.setHot(t, &redis.HotKeys{Enable: &off, Interval: duration(time.Hour)})
	p.still(t)
	var b strings.Builder
	for i := range 10 {
		b.WriteString(commands(fmt.Sprintf("SET k%d %s", i, strings.Repeat("v", 5000-100*i))))
	}
	exchange(t, p.Addr, b.String())
	p.mergeOnce()
	assert.Len(t, p.hotKeys().Values, 10)
}

// Commands may be large without a value in them.
func TestLongListsOfKeysAreNoValues(t *testing.T) {
	p := hotProxy(t, proxyOptions{})
	conn := connect(t, p.Addr)
	var one, two []any
	for i := range 60 {
		tail := strings.Repeat("x", 40) + fmt.Sprint(i)
		one = append(one, "{a}"+tail)
		two = append(two, "{a}"+tail, "{b}"+tail)
	}
	for _, args := range [][]any{
		append(cmd("DEL"), one...), append(cmd("MGET"), one...), append(cmd("EXISTS"), two...), append(cmd("DEL"), two...), append(cmd("MGET"), two...),
		cmd("GET", strings.Repeat("k", 5000)),
	} {
		p.forget()
		must(t, conn, args...)
		p.mergeOnce()
		for _, v := range p.hotKeys().Values {
			assert.NotEqual(t, args[0], strings.ToUpper(v.Command), "%s of %d keys: %q has %d bytes", args[0], len(args)-1, v.Key, v.Size)
		}
	}
}

// A script is not the value of the key that it is called with.
func TestScriptsAreNoValues(t *testing.T) {
	p := hotProxy(t, proxyOptions{})
	must(t, connect(t, p.Addr), "EVAL", "return 1 --"+strings.Repeat("x", 5000), 1, "k")
	p.mergeOnce()
	assert.Empty(t, p.hotKeys().Values)
}

// The bytes of a reply that comes when the interval of its request is over are the key's
// all the same.
func TestBytesOfRepliesThatComeInTheNextIntervalAreCounted(t *testing.T) {
	n := startStub(t)
	hold := make(chan struct{})
	n.does(func(_ *stubConn, args []string) bool {
		if args[0] == "GET" {
			select {
			case <-hold:
			case <-n.ended:
			}
		}
		return false
	})
	p := startProxy(t, proxyOptions{}, n.Addr).ready(t).still(t)
	conn := connect(t, p.Addr)
	require.NoError(t, conn.Send(cmd("GET", "k")))
	eventually(t, func() bool { return n.count("GET") > 0 }, "sent")
	p.mergeOnce()
	require.EqualValues(t, 0, p.hotKeys().Keys[0].BytesOut)
	close(hold)
	receive(t, conn, 1)
	p.mergeOnce()
	require.Len(t, p.hotKeys().Keys, 1)
	assert.EqualValues(t, 1, p.hotKeys().Keys[0].Count)
	assert.EqualValues(t, len("$1\r\nk\r\n"), p.hotKeys().Keys[0].BytesOut)
}

// Late replies to requests that have timed out find nothing that they could harm.
func TestLargeLateRepliesDoNoHarm(t *testing.T) {
	release := make(chan struct{})
	n := startStub(t)
	n.does(func(c *stubConn, args []string) bool {
		if args[0] != "GET" || args[1] != "late" {
			return false
		}
		n.running.Go(func() {
			select {
			case <-release:
			case <-n.ended:
			}
			c.say(bulk(strings.Repeat("v", 100_000)))
		})
		return true
	})
	p := startProxy(t, proxyOptions{requestTimeout: shortLimit}, n.Addr).ready(t)
	conn := connect(t, p.Addr)
	assert.Contains(t, errorOf(t, conn, "GET", "late"), "timed out")
	close(release)
	eventually(t, func() bool {
		_, err := conn.Do("GET", "k")
		return err == nil
	}, "it serves")
	got := p.hits()
	assert.Equal(t, 1, got["late"])
	assert.Positive(t, got["k"])
}

func TestReadsFromReplicasAreCountedThere(t *testing.T) {
	master, replica := startStub(t), startStub(t)
	for _, n := range []*stub{master, replica} {
		n.setSlots(slotsWithReplicas(master, replica))
	}
	p := startProxy(t, proxyOptions{read: redis.ReadStrategy_BOTH}, master.Addr).ready(t).still(t)
	conn := connect(t, p.Addr)
	for range 100 {
		must(t, conn, "GET", "k")
	}
	for range 20 {
		must(t, conn, "SET", "k", 1)
	}
	require.Equal(t, 50, replica.count("GET"))
	k := p.counted()["k"]
	assert.EqualValues(t, 120, k.Count)
	assert.Equal(t, master.Addr, k.Node, "70 of them")
	assert.EqualValues(t, 100, k.Reads)
	assert.EqualValues(t, 20, k.Writes)
}

// With hot keys on a request costs no allocation, whatever it has: names of clients, many
// keys, large values, keys that nobody has seen.
func TestHotKeysAllocateNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	p := hotProxy(t, proxyOptions{})
	keys := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, " "+format, i)
		}
		return b.String()
	}
	value := strings.Repeat("v", 3000)
	must(t, connect(t, p.Addr), "SET", "large", value)
	var many strings.Builder
	for i := range 200 {
		many.WriteString(commands(fmt.Sprint("GET key:", i)))
	}
	for _, c := range []struct{ name, request, reply string }{
		{"SET of a large value", strings.Repeat(commands("SET large "+value), 20), strings.Repeat("+OK\r\n", 20)},
		{"GET of a large value", strings.Repeat(commands("GET large"), 20), strings.Repeat("$3000\r\n"+value+"\r\n", 20)},
		{"MGET of 10 keys", strings.Repeat(commands("MGET"+keys(10, "none:%d")), 20), strings.Repeat("*10\r\n"+strings.Repeat("$-1\r\n", 10), 20)},
		{"MGET of 10 keys in one slot", strings.Repeat(commands("MGET"+keys(10, "{none}:%d")), 20), strings.Repeat("*10\r\n"+strings.Repeat("$-1\r\n", 10), 20)},
		{"MGET of 200 keys in one slot", strings.Repeat(commands("MGET"+keys(200, "{none}:%d")), 5), strings.Repeat("*200\r\n"+strings.Repeat("$-1\r\n", 200), 5)},
		{"many keys", many.String(), strings.Repeat("$-1\r\n", 200)},
	} {
		t.Run(c.name, func(t *testing.T) {
			p.forget()
			conn := dialWire(t, p.Addr)
			expectReply(t, conn, "+OK\r\n", "CLIENT", "SETNAME", "orders")
			in, got := []byte(c.request), make([]byte, len(c.reply))
			run := func(n int) {
				for range n {
					_, err := conn.Write(in)
					require.NoError(t, err)
					_, err = io.ReadFull(conn, got)
					require.NoError(t, err)
				}
			}
			run(200)
			require.Equal(t, c.reply, string(got))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			run(500)
			runtime.ReadMemStats(&after)
			per := float64(after.Mallocs-before.Mallocs) / float64(500*strings.Count(c.request, "*"))
			t.Logf("%.4f allocations per request", per)
			assert.Less(t, per, 0.01)
			p.mergeOnce()
			assert.NotEmpty(t, p.hotKeys().Keys)
		})
	}
}
