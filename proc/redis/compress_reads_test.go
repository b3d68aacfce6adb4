package redis

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
	"samaritan/proc/redis/compress"
)

// hashFields makes a map of fields and values: one behind the other, or in pairs.
func hashFields(t testing.TB, reply any) map[string]any {
	t.Helper()
	all := map[string]any{}
	list := reply.([]any)
	for i := 0; i < len(list); {
		if pair, ok := list[i].([]any); ok {
			require.Len(t, pair, 2)
			all[pair[0].(string)] = pair[1]
			i++
			continue
		}
		require.Less(t, i+1, len(list))
		all[list[i].(string)] = list[i+1]
		i += 2
	}
	return all
}

func TestEveryWayToReadAString(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, a compress.Algorithm) {
		r := startCompressing(t, compressing(a))
		eachProtocol(t, r, func(t *testing.T, on, off *testredis.Conn) {
			for _, s := range samples() {
				for _, c := range []*testredis.Conn{on, off} {
					must(t, on, "SET", "{r}a", s.value)
					must(t, on, "SET", "far", s.value)
					same(t, s.value, must(t, c, "GETEX", "{r}a"), s.name)
					same(t, s.value, must(t, c, "GETEX", "{r}a", "EX", 1000), s.name)
					same(t, s.value, must(t, c, "getex", "{r}a", "PERSIST"), s.name)
					for _, keys := range [][]any{cmd("{r}a", "{r}none", "{r}a"), cmd("{r}a", "none", "far")} {
						got := must(t, c, append(cmd("MGET"), keys...)...).([]any)
						require.Len(t, got, 3)
						same(t, s.value, got[0], s.name)
						assert.Nil(t, got[1])
						same(t, s.value, got[2], s.name)
					}
					same(t, s.value, must(t, c, "GETSET", "{r}a", "new"), s.name)
					same(t, s.value, must(t, c, "SET", "far", "new", "GET"), s.name)
					must(t, on, "SET", "{r}a", s.value)
					same(t, s.value, must(t, c, "GETDEL", "{r}a"), s.name)
					assert.Nil(t, must(t, c, "GET", "{r}a"))
				}
			}
		})
	})
}

// hashOfSamples stores all samples in a hash and tells what is in it.
func hashOfSamples(t *testing.T, c *testredis.Conn, k string) map[string]string {
	t.Helper()
	must(t, c, "DEL", k)
	write, want := cmd("HSET", k), map[string]string{}
	for i, s := range samples() {
		f := fmt.Sprintf("f%02d", i)
		write, want[f] = append(write, f, s.value), s.value
	}
	must(t, c, write...)
	return want
}

func sameFields(t *testing.T, want map[string]string, got map[string]any, what string) {
	t.Helper()
	assert.Len(t, got, len(want), what)
	for f, v := range want {
		same(t, v, got[f], what, f)
	}
}

func TestEveryWayToReadAHash(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, a compress.Algorithm) {
		r := startCompressing(t, compressing(a))
		eachProtocol(t, r, func(t *testing.T, on, off *testredis.Conn) {
			want := hashOfSamples(t, on, "h")
			for _, c := range []*testredis.Conn{on, off} {
				sameFields(t, want, hashFields(t, must(t, c, "HGETALL", "h")), "HGETALL")
				sameFields(t, want, hashFields(t, must(t, c, "HSCAN", "h", 0, "COUNT", 1000).([]any)[1]), "HSCAN")
				sameFields(t, want, hashFields(t, must(t, c, "HRANDFIELD", "h", len(want), "WITHVALUES")), "HRANDFIELD")
				for f, v := range hashFields(t, must(t, c, "HRANDFIELD", "h", -50, "WITHVALUES")) {
					same(t, want[f], v, "HRANDFIELD", f)
				}
				scanned := map[string]any{}
				for cursor := any("0"); ; {
					page := must(t, c, "HSCAN", "h", cursor, "MATCH", "f1*", "COUNT", 3).([]any)
					for f, v := range hashFields(t, page[1]) {
						scanned[f] = v
					}
					if cursor = page[0]; cursor == "0" {
						break
					}
				}
				some := map[string]string{}
				get, fields := cmd("HMGET", "h", "none"), []string{}
				for f, v := range want {
					if get, fields = append(get, f), append(fields, f); strings.HasPrefix(f, "f1") {
						some[f] = v
					}
				}
				sameFields(t, some, scanned, "HSCAN MATCH")
				got := must(t, c, get...).([]any)
				assert.Nil(t, got[0])
				for i, f := range fields {
					same(t, want[f], got[i+1], "HMGET", f)
				}
				values := map[any]int{}
				for _, v := range must(t, c, "HVALS", "h").([]any) {
					values[v]++
				}
				for f, v := range want {
					assert.Equal(t, 1, values[v], "HVALS %s", f)
				}
				assert.Contains(t, want, must(t, c, "HRANDFIELD", "h"))
				assert.Len(t, must(t, c, "HRANDFIELD", "h", len(want)), len(want))
			}
		})
	})
}

// Scripts see what is stored, and what they return is decompressed like any reply.
func TestResultsOfScriptsAreDecompressed(t *testing.T) {
	const library = "#!lua name=compression\n" +
		"redis.register_function{function_name='readit', flags={'no-writes'}, callback=function(k) return {redis.call('GET', k[1]), {1, redis.call('GET', k[1])}} end}"
	const both = "return {redis.call('GET', KEYS[1]), {1, redis.call('GET', KEYS[1])}}"
	eachAlgorithm(t, func(t *testing.T, a compress.Algorithm) {
		r := startCompressing(t, compressing(a))
		eachProtocol(t, r, func(t *testing.T, on, off *testredis.Conn) {
			must(t, off, "FUNCTION", "LOAD", "REPLACE", library)
			sha := must(t, off, "SCRIPT", "LOAD", both)
			for _, s := range samples() {
				must(t, on, "SET", "s", s.value)
				same(t, s.value, must(t, off, "EVAL", "return redis.call('GET', KEYS[1])", 1, "s"), s.name)
				for _, command := range [][]any{
					cmd("EVAL", both, 1, "s"), cmd("EVAL_RO", both, 1, "s"), cmd("EVALSHA", sha, 1, "s"), cmd("EVALSHA_RO", sha, 1, "s"),
					cmd("FCALL", "readit", 1, "s"), cmd("FCALL_RO", "readit", 1, "s"),
				} {
					got := must(t, off, command...).([]any)
					same(t, s.value, got[0], command[0], s.name)
					inner := got[1].([]any)
					assert.EqualValues(t, 1, inner[0])
					same(t, s.value, inner[1], command[0], s.name)
				}
				length := must(t, off, "EVAL", "return #redis.call('GET', KEYS[1])", 1, "s")
				assert.EqualValues(t, len(r.raw(t, "GET", "s").(string)), length, "a script sees the stored form of %s", s.name)
			}
			must(t, on, "HSET", "hs", "f", jsonText(3000))
			got := hashFields(t, must(t, off, "EVAL", "redis.setresp(3); return redis.call('HGETALL', KEYS[1])", 1, "hs"))
			same(t, jsonText(3000), got["f"])
		})
	})
}

// What has nothing to do with values of strings and hashes is left alone, whatever it holds.
func TestOtherTypesAreLeftAlone(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, a compress.Algorithm) {
		r := startCompressing(t, compressing(a))
		eachProtocol(t, r, func(t *testing.T, on, off *testredis.Conn) {
			must(t, on, "DEL", "list", "set", "zset", "stream")
			stored := storedForm(a, jsonText(1000))
			for _, v := range []string{jsonText(1000), stored} {
				must(t, on, "RPUSH", "list", v)
				must(t, on, "SADD", "set", v)
				must(t, on, "ZADD", "zset", 1, v)
				must(t, on, "XADD", "stream", "*", "f", v)
			}
			for _, c := range []*testredis.Conn{on, off} {
				assert.Equal(t, []any{jsonText(1000), stored}, must(t, c, "LRANGE", "list", 0, -1))
				assert.ElementsMatch(t, []any{jsonText(1000), stored}, must(t, c, "SMEMBERS", "set"))
				assert.ElementsMatch(t, []any{jsonText(1000), stored}, must(t, c, "ZRANGE", "zset", 0, -1))
				assert.Equal(t, stored, must(t, c, "XREVRANGE", "stream", "+", "-", "COUNT", 1).([]any)[0].([]any)[1].([]any)[1])
				assert.Equal(t, stored, must(t, c, "ECHO", stored))
			}
			same(t, jsonText(1000), r.raw(t, "LINDEX", "list", 0))
		})
	})
}
