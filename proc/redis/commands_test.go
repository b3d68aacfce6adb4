package redis

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

func TestCommandsOverManySlots(t *testing.T) {
	p, c := sharedProxy(t)
	conn := connect(t, p.Addr)
	const n = 10_000
	var mset, mget, names, want []any
	for i := range n {
		k := fmt.Sprint("key:", i)
		mset = append(mset, k, fmt.Sprint("value of ", i))
		names = append(names, k)
		mget = append(mget, k)
		want = append(want, fmt.Sprint("value of ", i))
		if i%100 == 0 { // duplicates and absent ones, in between
			mget = append(mget, "absent", "key:7")
			want = append(want, nil, "value of 7")
		}
	}
	call := func(name string, args []any) any { return must(t, conn, append([]any{name}, args...)...) }
	assert.Equal(t, "OK", call("MSET", mset))
	total := 0
	for _, node := range c.Nodes() {
		size := node.MustDo(t, "DBSIZE").(int64)
		assert.Greater(t, size, int64(n/4), "every master has its share")
		total += int(size)
	}
	assert.Equal(t, n, total)
	// In this order once "absent" and "key:7" are set.
	assert.Equal(t, want, call("MGET", mget))
	must(t, conn, "HELLO", 3)
	assert.Equal(t, want, call("MGET", mget))
	must(t, conn, "HELLO", 2)
	assert.Equal(t, int64(n), call("EXISTS", names))
	assert.Equal(t, int64(n+100), call("EXISTS", mget))
	assert.Equal(t, int64(n), call("TOUCH", names))
	assert.Equal(t, int64(2), call("DEL", []any{"key:1", "key:2", "key:1", "absent"}))
	assert.Equal(t, int64(n-2), call("UNLINK", names))
	assert.Equal(t, int64(0), call("EXISTS", names))
}

func TestLastValueOfADuplicateKeyWins(t *testing.T) {
	p, _ := sharedProxy(t)
	conn := connect(t, p.Addr)
	must(t, conn, "MSET", "a", 1, "b", 2, "a", 3, "c", 4, "b", 5, "a", 6)
	assert.Equal(t, []any{"6", "5", "4", "6"}, must(t, conn, "MGET", "a", "b", "c", "a"))
}

func TestSplitCommandsWithHugeAndEmptyValues(t *testing.T) {
	p, _ := sharedProxy(t)
	conn := connect(t, p.Addr)
	huge := strings.Repeat("0123456789abcdef", 1<<16)
	middle := huge[:40_000]
	must(t, conn, "MSET", "a", huge, "b", "", "c", middle, "", "empty name")
	assert.Equal(t, []any{huge, "", middle, nil, huge, "empty name"}, must(t, conn, "MGET", "a", "b", "c", "d", "a", ""))
	must(t, conn, "RPUSH", "list", 1)
	assert.Equal(t, []any{nil, "", middle}, must(t, conn, "MGET", "list", "b", "c"), "another type counts as absent")
}

func TestErrorOfOnePartIsTheReply(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{Args: []string{"--cluster-require-full-coverage", "no"}})
	p := startProxy(t, proxyOptions{}, c.Addrs()...).ready(t)
	conn := connect(t, p.Addr)
	low, high := key(1, "k"), key(16000, "k")
	must(t, conn, "MSET", low, 1, high, 2)
	full := c.Master(1)
	full.MustDo(t, "CONFIG", "SET", "maxmemory", "1")
	assert.Contains(t, errorOf(t, conn, "MSET", low, 3, high, 4), "OOM ")
	assert.Equal(t, []any{"1", "4"}, must(t, conn, "MGET", low, high), "not atomic over slots")
	full.MustDo(t, "CONFIG", "SET", "maxmemory", "0")

	full.Kill()
	for _, args := range [][]any{
		{"MGET", high, low, high},
		{"MSET", high, 1, low, 1},
		{"DEL", high, low},
		{"UNLINK", high, low},
		{"EXISTS", high, low},
		{"TOUCH", high, low},
		{"DBSIZE"},
		{"FLUSHALL"},
		{"KEYS", "*"},
		{"SCRIPT", "EXISTS", "x"},
	} {
		assert.Contains(t, errorOf(t, conn, args...), full.Addr(), "%v", args)
	}
	assert.Equal(t, "PONG", must(t, conn, "PING"))
}

// compared are commands that a cluster node of its own and the proxy answer with the
// same error. All keys of one command that are not of different slots are of one node.
var compared = [][]any{
	{"SINTER", "a", "b"},
	{"RENAME", "a", "b"},
	{"MSETNX", "a", 1, "b", 2},
	{"SMOVE", "a", "b", "c"},
	{"LMOVE", "a", "b", "LEFT", "LEFT"},
	{"EVAL", "return 1", 2, "a", "b"},
	{"EVALSHA", "x", 2, "a", "b"},
	{"EVAL_RO", "return 1", 2, "a", "b"},
	{"FCALL", "f", 2, "a", "b"},
	{"ZUNIONSTORE", "d", 2, "a", "b"},
	{"BITOP", "AND", "d", "a", "b"},
	{"PFMERGE", "d", "a"},
	{"PFCOUNT", "a", "b"},
	{"COPY", "a", "b"},
	{"XREAD", "STREAMS", "a", "b", "0", "0"},
	{"XREADGROUP", "GROUP", "g", "c", "STREAMS", "a", "b", ">", ">"},
	{"GEOSEARCHSTORE", "a", "b"},
	{"SORT", "a", "STORE", "b"},
	{"LMPOP", 2, "a", "b", "LEFT"},
	{"ZDIFF", 2, "a", "b"},
	{"LCS", "a", "b"},
	{"SINTERCARD", 2, "a", "b"},
	{"RPOPLPUSH", "a", "b"},
	{"GEORADIUS", "a", 1, 1, 1, "m", "STORE", "b"},
}

func TestErrorOfKeysInDifferentSlotsIsThatOfRedis(t *testing.T) {
	p, c := sharedProxy(t)
	conn, node := connect(t, p.Addr), connect(t, c.Addrs()[0])
	c.Nodes()[0].MustDo(t, "CONFIG", "RESETSTAT")
	for _, args := range compared {
		got := errorOf(t, conn, args...)
		if args[0] != "GEOSEARCHSTORE" { // its arity is checked first
			assert.Equal(t, "CROSSSLOT Keys in request don't hash to the same slot", got, "%v", args)
		}
		assert.Equal(t, errorOf(t, node, args...), got, "%v", args)
	}
}

func TestKeysOfOneSlotGoThrough(t *testing.T) {
	p, c := sharedProxy(t)
	conn := connect(t, p.Addr)
	do := func(args ...any) any { t.Helper(); return must(t, conn, args...) }

	assert.Equal(t, int64(1), do("MSETNX", "{s}a", 1, "{s}b", 2))
	for _, n := range c.Nodes() {
		n.MustDo(t, "CONFIG", "RESETSTAT")
	}
	assert.Equal(t, []any{"1", "2", nil}, do("MGET", "{s}a", "{s}b", "{s}c"))
	assert.Contains(t, infoField(t, c.Master(testredis.Slot("s")), "commandstats", "cmdstat_mget"), "calls=1,", "one command, not cut")

	do("SADD", "{s}x", 1, 2, 3)
	do("SADD", "{s}y", 2, 3, 4)
	assert.ElementsMatch(t, []any{"2", "3"}, do("SINTER", "{s}x", "{s}y"))
	assert.Equal(t, int64(4), do("SUNIONSTORE", "{s}z", "{s}x", "{s}y"))
	assert.Equal(t, "OK", do("RENAME", "{s}z", "{s}zz"))
	assert.Equal(t, int64(3), do("EVAL", "return tonumber(redis.call('GET', KEYS[1])) + tonumber(redis.call('GET', KEYS[2]))", 2, "{s}a", "{s}b"))
	assert.Equal(t, "no keys", do("EVAL", "return ARGV[1]", 0, "no keys"))

	do("RPUSH", "{s}list", 3, 1, 2)
	assert.Equal(t, []any{"1", "2", "3"}, do("SORT", "{s}list"))
	assert.Equal(t, int64(3), do("SORT", "{s}list", "STORE", "{s}sorted"))
	assert.Equal(t, []any{"1", "2", "3"}, do("LRANGE", "{s}sorted", 0, -1))
	assert.Equal(t, "3", do("LMOVE", "{s}list", "{s}sorted", "LEFT", "LEFT"))

	do("GEOADD", "{s}geo", 13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania")
	assert.Equal(t, []any{"Catania", "Palermo"}, do("GEOSEARCH", "{s}geo", "FROMLONLAT", 15, 37, "BYRADIUS", 200, "km", "ASC"))
	assert.Equal(t, int64(2), do("GEOSEARCHSTORE", "{s}near", "{s}geo", "FROMLONLAT", 15, 37, "BYRADIUS", 200, "km"))

	assert.Equal(t, []any{int64(0), int64(5)}, do("BITFIELD", "bits", "SET", "u8", 0, 5, "GET", "u8", 0))
	assert.Equal(t, "int", do("OBJECT", "ENCODING", "{s}a"))
	assert.Equal(t, int64(1), do("PFADD", "{s}hll", "x"))

	id := do("XADD", "{s}stream", "*", "f", "v")
	do("XADD", "{s}second", "*", "f", "v")
	do("XGROUP", "CREATE", "{s}stream", "g", 0)
	entry := []any{[]any{id, []any{"f", "v"}}}
	assert.Equal(t, []any{[]any{"{s}stream", entry}}, do("XREADGROUP", "GROUP", "g", "c", "COUNT", 10, "STREAMS", "{s}stream", ">"))
	assert.Len(t, do("XREAD", "STREAMS", "{s}stream", "{s}second", 0, 0), 2)
	assert.Equal(t, int64(1), do("XLEN", "{s}stream"))
	assert.Len(t, do("XINFO", "GROUPS", "{s}stream"), 1)
	for _, args := range [][]any{
		{"XREAD", "BLOCK", 0, "STREAMS", "{s}stream", "$"},
		{"XREAD", "COUNT", 1, "block", 10, "STREAMS", "{s}stream", 0},
		{"XREADGROUP", "GROUP", "g", "c", "BLOCK", 10, "STREAMS", "{s}stream", ">"},
	} {
		assert.Contains(t, errorOf(t, conn, args...), "ERR samaritan: '"+strings.ToLower(args[0].(string))+"' is not supported yet: it would block")
	}
}

func TestFunctionsAreThereOnEveryMaster(t *testing.T) {
	p, c := sharedProxy(t)
	conn := connect(t, p.Addr)
	lib := "#!lua name=lib\nredis.register_function('get', function(keys, args) return redis.call('GET', keys[1]) end)"
	assert.Equal(t, "lib", must(t, conn, "FUNCTION", "LOAD", "REPLACE", lib))
	t.Cleanup(func() {
		for _, n := range c.Nodes() {
			n.MustDo(t, "FUNCTION", "FLUSH")
		}
	})
	for _, slot := range []uint16{1, 8000, 16000} {
		must(t, conn, "SET", key(slot, "k"), slot)
		assert.Equal(t, fmt.Sprint(slot), must(t, conn, "FCALL", "get", 1, key(slot, "k")))
	}
	assert.Contains(t, errorOf(t, conn, "FCALL", "nothing", 1, "k"), "Function not found")
	assert.Equal(t, "OK", must(t, conn, "FUNCTION", "DELETE", "lib"))
	assert.Contains(t, errorOf(t, conn, "FCALL", "get", 1, "k"), "Function not found")
}

func TestScriptsAreThereOnEveryMaster(t *testing.T) {
	p, _ := sharedProxy(t)
	conn := connect(t, p.Addr)
	const text, sha = "return redis.call('GET', KEYS[1])", "d3c21d0c2b9ca22f82737626a27bcaf5d288f99f"
	must(t, conn, "SCRIPT", "FLUSH")
	assert.Equal(t, "NOSCRIPT No matching script. Please use EVAL.", errorOf(t, conn, "EVALSHA", sha, 1, "k"))
	assert.Equal(t, []any{int64(0)}, must(t, conn, "SCRIPT", "EXISTS", sha))
	must(t, conn, "EVAL", text, 1, key(1, "k")) // on one master only
	assert.Equal(t, []any{int64(0), int64(0)}, must(t, conn, "SCRIPT", "EXISTS", sha, "x"), "not on all of them")
	assert.Equal(t, sha, must(t, conn, "SCRIPT", "LOAD", text))
	assert.Equal(t, []any{int64(1), int64(0), int64(1)}, must(t, conn, "SCRIPT", "EXISTS", sha, "x", sha))
	for _, slot := range []uint16{1, 8000, 16000} {
		must(t, conn, "SET", key(slot, "k"), slot)
		assert.Equal(t, fmt.Sprint(slot), must(t, conn, "EVALSHA", sha, 1, key(slot, "k")))
	}
	assert.Equal(t, "OK", must(t, conn, "SCRIPT", "FLUSH"))
	assert.Equal(t, []any{int64(0)}, must(t, conn, "SCRIPT", "EXISTS", sha))
}

func TestCommandsAboutAllKeysAskAllMasters(t *testing.T) {
	p, c := sharedProxy(t)
	conn := connect(t, p.Addr)
	assert.Nil(t, must(t, conn, "RANDOMKEY"), "nothing anywhere")
	assert.Equal(t, []any{}, must(t, conn, "KEYS", "*"))
	must(t, conn, "SET", "only", 1)
	for range 20 {
		assert.Equal(t, "only", must(t, conn, "RANDOMKEY"), "whichever node has it")
	}
	names := fill(t, conn, "key:", 300)
	assert.Equal(t, int64(301), must(t, conn, "DBSIZE"))
	all := []string{}
	for _, k := range must(t, conn, "KEYS", "key:*").([]any) {
		all = append(all, k.(string))
	}
	slices.Sort(all)
	sameKeys(t, names, all)
	must(t, conn, "HELLO", 3)
	assert.Equal(t, int64(301), must(t, conn, "DBSIZE"))
	assert.Len(t, must(t, conn, "KEYS", "*"), 301)
	assert.Equal(t, "OK", must(t, conn, "FLUSHALL", "SYNC"))
	assert.Nil(t, must(t, conn, "RANDOMKEY"))
	for _, n := range c.Nodes() {
		assert.Equal(t, int64(0), n.MustDo(t, "DBSIZE"))
	}
	must(t, conn, "SET", "k", 1)
	assert.Equal(t, "OK", must(t, conn, "FLUSHDB"))
	assert.Equal(t, int64(0), must(t, conn, "DBSIZE"))
	assert.Equal(t, "ERR syntax error", errorOf(t, conn, "FLUSHALL", "x"))
}

func TestMutedCommandsAreExecuted(t *testing.T) {
	p, _ := sharedProxy(t)
	conn := connect(t, p.Addr)
	require.NoError(t, conn.Send(
		cmd("SET", "a", 1), cmd("CLIENT", "REPLY", "SKIP"), cmd("INCR", "a"), cmd("GET", "a"),
		cmd("CLIENT", "REPLY", "OFF"), cmd("INCR", "a"), cmd("MSET", "b", 1, "c", 2), cmd("MGET", "a", "b"), cmd("DBSIZE"), cmd("SCAN", 0), cmd("NOTHING"),
		cmd("CLIENT", "REPLY", "ON"), cmd("MGET", "a", "b", "c"),
		cmd("CLIENT", "REPLY", "SKIP"), cmd("MSET", "b", 3, "c", 4), cmd("MGET", "b", "c"),
		cmd("CLIENT", "REPLY", "SKIP"), cmd("HELLO", 3), cmd("GET", "b"),
	))
	assert.Equal(t, []any{"OK", "2", "OK", []any{"3", "1", "2"}, []any{"3", "4"}, "3"}, receive(t, conn, 6))
	assert.Equal(t, "PONG", must(t, conn, "PING"))
}
