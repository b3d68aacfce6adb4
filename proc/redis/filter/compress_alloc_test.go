package filter

import (
	"fmt"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/proc/redis/compress"
)

// allocatesNothing runs without the garbage collector: coders keep scratch memory in pools, and a
// collection empties those.
func allocatesNothing(t *testing.T, run func()) {
	t.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	run()
	assert.Zero(t, testing.AllocsPerRun(20, run))
}

// requests has a filter see the same command again and again.
func requests(t testing.TB, c *compression, want Verdict, args ...string) func() {
	t.Helper()
	chain := NewChain(c.Hooks())
	template := requestOf(t, args...)
	r := *template
	require.Equal(t, want, chain.Request(&r), args[0])
	release(r.Memory)
	return func() {
		r = *template
		chain.Request(&r)
		release(r.Memory)
	}
}

// replies has a filter see the same reply again and again.
func replies(t testing.TB, c *compression, want Verdict, name, reply string) func() {
	t.Helper()
	chain := NewChain(c.Hooks())
	template := replyTo(name, reply)
	r := *template
	require.Equal(t, want, chain.Reply(&r), "%s %.50q", name, reply)
	release(r.Memory)
	return func() {
		r.Begin(template.Bytes)
		r.Memory = nil
		if chain.WantsReply(r.Info, r.Note, r.Bytes) {
			chain.Reply(&r)
			release(r.Memory)
		}
	}
}

func TestCompressingDoesNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	a, b := string(jsonValue(16<<10, 1)), string(jsonValue(16<<10, 2))
	escaped := likeStored + "x"
	for name, set := range bothAlgorithms {
		for _, args := range [][]string{
			{"SET", "key", a},
			{"SET", "key", a, "EX", "100"},
			{"SETEX", "key", "100", a},
			{"MSET", "a", a, "b", b},
			{"MSET", "a", a, "b", b, "c", a, "d", "small", "e", b, "f", a}, // more than the scratch frame holds with snappy
			{"HSET", "key", "f", a, "g", b, "h", "small"},
			{"HSETEX", "key", "EX", "100", "FIELDS", "2", "f", a, "g", b},
			{"MSETEX", "2", "a", a, "b", b},
			{"SET", "key", escaped},
			{"MSET", "a", escaped, "b", a, "c", escaped},
		} {
			t.Run(fmt.Sprint(name, "/", args[0], len(args)), func(t *testing.T) {
				allocatesNothing(t, requests(t, newCompression(t, set), Changed, args...))
			})
		}
	}
}

func TestDecompressingDoesNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	for name, set := range bothAlgorithms {
		plain := jsonValue(16<<10, 1)
		stored := bulk(storedForm(set.Algorithm, plain))
		for _, tt := range []struct{ name, reply string }{
			{"GET", stored},
			{"HGET", stored},
			{"MGET", "*3\r\n" + stored + "$-1\r\n" + stored},
			{"HGETALL", "*6\r\n" + bulk("f") + stored + bulk("g") + stored + bulk("h") + bulk("small")},
			{"HGETALL", "%2\r\n" + bulk("f") + stored + bulk("g") + stored},
		} {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				allocatesNothing(t, replies(t, newCompression(t, set), Changed, tt.name, tt.reply))
			})
		}
	}
}

func TestWhatCompressionDoesNotApplyToDoesNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	set := Compression{Enable: true, Threshold: 1024, Limits: compress.Limits{Size: 1 << 20, Ratio: 1000}}
	for _, args := range [][]string{
		{"GET", "key"},
		{"PING"},
		{"SET", "key", "below the threshold"},
		{"SET", "key", string(randomValue(4000, 1))},
		{"SET", "key", string(jsonValue(2<<20, 1))},
		{"MSET", "a", "1", "b", "2"},
		{"SORT", "key", "BY", "w_*", "STORE", "d"},
		{"MSETEX", "1", "key", "small"},
		{"HSETEX", "key", "FIELDS", "1", "f", "small"},
		{"LPUSH", "key", string(jsonValue(4000, 1))},
	} {
		t.Run(fmt.Sprint(args[0], len(args)), func(t *testing.T) {
			allocatesNothing(t, requests(t, newCompression(t, set), Pass, args...))
		})
	}
	t.Run("disabled", func(t *testing.T) {
		allocatesNothing(t, requests(t, newCompression(t, set), Answered, "APPEND", "key", "value"))
	})
	for _, tt := range []struct{ name, reply string }{
		{"SET", "+OK\r\n"},
		{"GET", "$-1\r\n"},
		{"GET", bulk(jsonValue(4000, 1))},
		{"INCR", ":1\r\n"},
		{"MGET", "*2\r\n" + bulk(jsonValue(4000, 1)) + "$-1\r\n"},
		{"MGET", "*2\r\n" + bulk("(((") + bulk("(P$")},
		{"LRANGE", "*1\r\n" + bulk(storedForm(compress.Snappy, jsonValue(4000, 1)))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			allocatesNothing(t, replies(t, newCompression(t, set), Pass, tt.name, tt.reply))
		})
	}
}
