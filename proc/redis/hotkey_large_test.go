package redis

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api/redis"
	"samaritan/internal/testredis"
)

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
