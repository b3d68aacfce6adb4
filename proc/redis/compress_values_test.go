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

// stringWriters are the ways to store a string. Each begins without the key and may store
// something else first.
var stringWriters = []struct {
	name    string
	write   func(t *testing.T, c *testredis.Conn, k, v string)
	expires bool
}{
	{"SET", func(t *testing.T, c *testredis.Conn, k, v string) {
		assert.Equal(t, "OK", must(t, c, "SET", k, v))
	}, false},
	{"set EX", func(t *testing.T, c *testredis.Conn, k, v string) {
		assert.Equal(t, "OK", must(t, c, "set", k, v, "EX", 1000))
	}, true},
	{"SET NX PX", func(t *testing.T, c *testredis.Conn, k, v string) {
		assert.Equal(t, "OK", must(t, c, "SET", k, v, "NX", "PX", 1_000_000))
		assert.Nil(t, must(t, c, "SET", k, jsonText(3000), "nx"))
	}, true},
	{"SET XX", func(t *testing.T, c *testredis.Conn, k, v string) {
		assert.Nil(t, must(t, c, "SET", k, v, "XX"))
		must(t, c, "SET", k, jsonText(3000))
		assert.Equal(t, "OK", must(t, c, "SET", k, v, "XX"))
	}, false},
	{"SET KEEPTTL", func(t *testing.T, c *testredis.Conn, k, v string) {
		must(t, c, "SET", k, "first", "EX", 1000)
		assert.Equal(t, "OK", must(t, c, "SET", k, v, "KEEPTTL"))
	}, true},
	{"SET GET", func(t *testing.T, c *testredis.Conn, k, v string) {
		assert.Nil(t, must(t, c, "SET", k, jsonText(3000), "GET"))
		same(t, jsonText(3000), must(t, c, "SET", k, v, "EX", 1000, "GET"), "the old value")
	}, true},
	{"SET NX GET", func(t *testing.T, c *testredis.Conn, k, v string) {
		assert.Nil(t, must(t, c, "SET", k, v, "NX", "GET"))
		same(t, v, must(t, c, "SET", k, jsonText(3000), "NX", "GET"), "the value that stays")
	}, false},
	{"SETEX", func(t *testing.T, c *testredis.Conn, k, v string) {
		assert.Equal(t, "OK", must(t, c, "SETEX", k, 1000, v))
	}, true},
	{"PSETEX", func(t *testing.T, c *testredis.Conn, k, v string) {
		assert.Equal(t, "OK", must(t, c, "PSETEX", k, 1_000_000, v))
	}, true},
	{"SETNX", func(t *testing.T, c *testredis.Conn, k, v string) {
		assert.EqualValues(t, 1, must(t, c, "SETNX", k, v))
		assert.EqualValues(t, 0, must(t, c, "SETNX", k, jsonText(3000)))
	}, false},
	{"GETSET", func(t *testing.T, c *testredis.Conn, k, v string) {
		assert.Nil(t, must(t, c, "GETSET", k, jsonText(3000)))
		same(t, jsonText(3000), must(t, c, "GETSET", k, v), "the old value")
	}, false},
	{"MSET of one", func(t *testing.T, c *testredis.Conn, k, v string) {
		assert.Equal(t, "OK", must(t, c, "MSET", k, v))
	}, false},
	{"MSET twice the same", func(t *testing.T, c *testredis.Conn, k, v string) {
		assert.Equal(t, "OK", must(t, c, "MSET", k, jsonText(3000), k, v))
	}, false},
}

func TestStringsComeBackAsTheyWereWritten(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, a compress.Algorithm) {
		r := startCompressing(t, compressing(a))
		eachProtocol(t, r, func(t *testing.T, on, off *testredis.Conn) {
			for _, w := range stringWriters {
				for i, s := range samples() {
					k := fmt.Sprint("string:", i)
					must(t, on, "DEL", k)
					w.write(t, on, k, s.value)
					same(t, s.value, must(t, on, "GET", k), w.name, s.name, "on")
					same(t, s.value, must(t, off, "GET", k), w.name, s.name, "off")
					raw := r.raw(t, "GET", k)
					checkStored(t, a, s, raw, w.name)
					assert.EqualValues(t, len(raw.(string)), must(t, on, "STRLEN", k), "%s %s", w.name, s.name)
					assert.Equal(t, w.expires, must(t, on, "TTL", k).(int64) > 0, "%s %s", w.name, s.name)
				}
			}
		})
	})
}

// All samples at once: in one slot, and in many.
func TestManyStringsInOneCommand(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, a compress.Algorithm) {
		r := startCompressing(t, compressing(a))
		eachProtocol(t, r, func(t *testing.T, on, off *testredis.Conn) {
			for _, tt := range []struct {
				command, name string
				want          any
			}{
				{"MSET", "{one}%d", "OK"},
				{"MSET", "many:%d", "OK"},
				{"MSETNX", "{nx}%d", int64(1)},
			} {
				write, read, gone := cmd(tt.command), cmd("MGET"), cmd("DEL")
				for i, s := range samples() {
					k := fmt.Sprintf(tt.name, i)
					write, read, gone = append(write, k, s.value), append(read, k), append(gone, k)
				}
				must(t, on, gone...)
				assert.Equal(t, tt.want, must(t, on, write...))
				viaOn, viaOff := must(t, on, read...).([]any), must(t, off, read...).([]any)
				for i, s := range samples() {
					what := fmt.Sprint(tt.command, " ", tt.name)
					same(t, s.value, viaOn[i], what, s.name, "on")
					same(t, s.value, viaOff[i], what, s.name, "off")
					checkStored(t, a, s, r.raw(t, "GET", fmt.Sprintf(tt.name, i)), what)
				}
			}
			assert.EqualValues(t, 0, must(t, on, "MSETNX", "{nx}0", jsonText(3000), "{nx}new", jsonText(3000)))
			assert.Nil(t, must(t, on, "GET", "{nx}new"))
		})
	})
}

// Fields are not compressed, values are.
func TestHashesComeBackAsTheyWereWritten(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, a compress.Algorithm) {
		r := startCompressing(t, compressing(a))
		eachProtocol(t, r, func(t *testing.T, on, off *testredis.Conn) {
			field := func(i int) string { return fmt.Sprint("field-", i, "-", jsonText(compressFrom)) }
			for name, want := range map[string]any{"HSET": int64(len(samples())), "HMSET": "OK", "HSETNX": int64(1), "HSET of one": int64(1)} {
				must(t, on, "DEL", name)
				all := cmd(name, name)
				for i, s := range samples() {
					switch name {
					case "HSETNX":
						assert.Equal(t, want, must(t, on, name, name, field(i), s.value))
						assert.EqualValues(t, 0, must(t, on, name, name, field(i), jsonText(3000)))
					case "HSET of one":
						assert.Equal(t, want, must(t, on, "HSET", name, field(i), s.value))
					}
					all = append(all, field(i), s.value)
				}
				if name == "HSET" || name == "HMSET" {
					assert.Equal(t, want, must(t, on, all...))
				}
				for i, s := range samples() {
					same(t, s.value, must(t, on, "HGET", name, field(i)), name, s.name, "on")
					same(t, s.value, must(t, off, "HGET", name, field(i)), name, s.name, "off")
					raw := r.raw(t, "HGET", name, field(i))
					checkStored(t, a, s, raw, name)
					assert.EqualValues(t, len(raw.(string)), must(t, on, "HSTRLEN", name, field(i)))
				}
				assert.Len(t, must(t, on, "HKEYS", name), len(samples()))
			}
		})
	})
}

// largeSamples are compressed, and decompressed, beside the loop.
func largeSamples() []sample {
	return []sample{
		{"700 KB", jsonText(700_000), true},
		{"3 MB", jsonText(3 << 20), true},
		{"1 MB random", randomText(1 << 20), false},
		{"1 MB half random", randomText(500_000) + jsonText(500_000), true},
	}
}

func TestLargeValuesComeBackAsTheyWereWritten(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, a compress.Algorithm) {
		r := startCompressing(t, compressing(a))
		eachProtocol(t, r, func(t *testing.T, on, off *testredis.Conn) {
			offloaded := r.on.counter("compression.offloaded_total")
			all, keys, large := cmd("MSET"), cmd("MGET"), largeSamples()
			for _, s := range large {
				must(t, on, "SET", "large", s.value)
				same(t, s.value, must(t, on, "GET", "large"), "SET", s.name, "on")
				same(t, s.value, must(t, off, "GET", "large"), "SET", s.name, "off")
				checkStored(t, a, s, r.raw(t, "GET", "large"), "SET")
				must(t, on, "HSET", "hash", s.name, s.value, "small", "x")
				same(t, s.value, must(t, on, "HGET", "hash", s.name), "HSET", s.name, "on")
				all, keys = append(all, s.name, s.value), append(keys, s.name)
			}
			must(t, on, all...)
			for _, c := range []*testredis.Conn{on, off} {
				got := must(t, c, keys...).([]any)
				hash := hashFields(t, must(t, c, "HGETALL", "hash"))
				assert.Len(t, hash, len(large)+1)
				for i, s := range large {
					same(t, s.value, got[i], "MGET", s.name)
					same(t, s.value, hash[s.name], "HGETALL", s.name)
				}
			}
			assert.Greater(t, r.on.counter("compression.offloaded_total"), offloaded+6)
			assert.Positive(t, r.off.counter("compression.offloaded_total"))
		})
	})
}

// Thousands of values in one command, some of them worth it, others not.
func TestManyFieldsInOneCommand(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, a compress.Algorithm) {
		r := startCompressing(t, compressing(a))
		on, off := connect(t, r.on.Addr), connect(t, r.off.Addr)
		for _, n := range []int{300, 1000, 5000} {
			must(t, on, "DEL", "h")
			write, want := cmd("HSET", "h"), map[string]string{}
			for i := range n {
				f, v := fmt.Sprint("f", i), jsonText(1 << 20)[i*100:][:100+i%5*100]
				write, want[f] = append(write, f, v), v
			}
			assert.EqualValues(t, n, must(t, on, write...))
			sameFields(t, want, hashFields(t, must(t, on, "HGETALL", "h")), "on")
			sameFields(t, want, hashFields(t, must(t, off, "HGETALL", "h")), "off")
		}
	})
}

// So many small values that they are worked on beside the loop, in frames and replies that are
// copied for that, between others in one pipeline.
func TestManySmallValuesAreWorkedOnBesideTheLoop(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, a compress.Algorithm) {
		set := compressing(a)
		set.Threshold = 1
		r := startCompressing(t, set)
		conn := connect(t, r.on.Addr)
		for _, size := range []int{1, 45, 64} {
			const n = 1100
			v := strings.Repeat("y", size)
			write, values := cmd("HSET", "h"), make([]any, n)
			for i := range n {
				write, values[i] = append(write, i, v), v
			}
			release := busy(t)
			before := r.on.counter(offloaded)
			require.NoError(t, conn.Send(cmd("DEL", "h"), cmd("SET", "k", v), write, cmd("HVALS", "h"), cmd("GET", "k"), cmd("HVALS", "h"), cmd("HLEN", "h")))
			r.on.worked(t, before+1)
			release()
			got := receive(t, conn, 7)
			assert.Equal(t, []any{"OK", int64(n), values, v, values, int64(n)}, got[1:])
			same(t, v, must(t, connect(t, r.off.Addr), "HGET", "h", n-1))
		}
	})
}

// Values that look like stored ones, and cannot be compressed so that they can be read back.
func TestValuesLikeStoredOnesBeyondTheLimits(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, a compress.Algorithm) {
		set := compressing(a)
		set.MaxSize, set.MaxRatio = 1<<20, 10
		r := startCompressing(t, set)
		conn := connect(t, r.on.Addr)
		for _, v := range []string{
			fmt.Sprintf("(P$%c\r\n", a) + strings.Repeat("z", 300_000), // of a ratio that is not read back
			fmt.Sprintf("(P$%c\r\n", 1-a) + strings.Repeat("z", 300_000),
			storedForm(a, randomText(1<<20))[:1<<20],
			storedForm(a, jsonText(1<<20+1)),
			zeros(100 << 20),
		} {
			must(t, conn, "SET", "k", v)
			same(t, v, must(t, conn, "GET", "k"))
			must(t, conn, "HSET", "h", "f", v)
			same(t, v, must(t, connect(t, r.on.Addr), "HGET", "h", "f"))
		}
		const misread = "ERR samaritan: a value that begins like a compressed one is longer than max_size: it would be read back decompressed"
		tooLong := storedForm(a, randomText(1<<20)) // which would be decompressed
		require.Greater(t, len(tooLong), 1<<20)
		for _, args := range [][]any{cmd("SET", "k", tooLong), cmd("MSET", "far", "x", "k", tooLong), cmd("HSET", "h", "g", "x", "f", tooLong)} {
			assert.Equal(t, misread, errorOf(t, conn, args...))
		}
		assert.Nil(t, must(t, conn, "GET", "far"))
		same(t, zeros(100<<20), must(t, conn, "GET", "k"))
		long := tooLong[:1<<20+1] // it is cut off
		must(t, conn, "SET", "k", long)
		same(t, long, must(t, conn, "GET", "k"))
		assert.Equal(t, 1, r.on.counter("compression.corrupt_total"))
	})
}
