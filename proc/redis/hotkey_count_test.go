package redis

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/hotkey"
	"samaritan/internal/testredis"
	"samaritan/proc/redis/resp"
)

// counted ends an interval and returns the keys by name.
func (p *testProxy) counted() map[string]hotkey.Key {
	p.mergeOnce()
	all := map[string]hotkey.Key{}
	for _, k := range p.hotKeys().Keys {
		all[string(k.Name)] = k
	}
	return all
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
			assert.Less(t, allocations(t, conn, c.request, c.reply, strings.Count(c.request, "*"), 500), 0.01)
			p.mergeOnce()
			assert.NotEmpty(t, p.hotKeys().Keys)
		})
	}
}
