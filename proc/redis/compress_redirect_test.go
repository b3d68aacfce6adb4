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

	"samaritan/api/protocol"
	"samaritan/api/redis"
	"samaritan/hotkey"
	"samaritan/proc/redis/compress"
	"samaritan/proc/redis/resp"
)

// counting makes the intervals of hot keys end when the test says so, and changes nothing else.
func (p *testProxy) counting(t testing.TB) *testProxy {
	t.Helper()
	return p.change(t, func(o *protocol.RedisOption) {
		o.HotKeys = &redis.HotKeys{Interval: duration(time.Hour), Window: duration(2 * time.Hour)}
	})
}

// frameLen is how many bytes a command has on the wire.
func frameLen(args ...string) int { return len(resp.AppendCommand(nil, args...)) }

// visits are the commands that each of some nodes has got.
type visits struct {
	mu  sync.Mutex
	got [][][]string // by node
}

func (v *visits) add(at int, args []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.got[at] = append(v.got[at], slices.Clone(args))
}

// take returns them since the last call.
func (v *visits) take() [][][]string {
	v.mu.Lock()
	defer v.mu.Unlock()
	got := v.got
	v.got = make([][][]string, len(got))
	return got
}

// Every node on the way of a request gets the same bytes; a reply is decompressed once, and a key
// counted once.
func TestRedirectedValuesAreCompressedAndCountedOnce(t *testing.T) {
	for _, way := range []struct {
		kind  string
		nodes int
	}{{"MOVED", 2}, {"MOVED", 4}, {"ASK", 2}, {"ASK", 3}} {
		eachAlgorithm(t, func(t *testing.T, a compress.Algorithm) {
			last := way.nodes - 1
			store, seen := newShelf(0), &visits{got: make([][][]string, way.nodes)}
			nodes := startWires(t, way.nodes, 1, func(nodes []*wireNode, c *wireConn, args []string) {
				seen.add(c.at, args)
				if c.at < last {
					c.say(redirectTo(way.kind, args, nodes[c.at+1]))
					return
				}
				c.say(store.serve(args))
			})
			p := startProxy(t, proxyOptions{}, nodes[0].Addr).ready(t).setCompression(t, compressing(a)).counting(t)
			conn := connect(t, p.Addr)
			v := jsonText(3000)
			stored := storedForm(a, v)
			twice := storedForm(a, stored) // the client's value is a stored form itself
			large := jsonText(700_000)
			check := func(want any, parts [][]string, args ...string) {
				p.forget()
				got, err := conn.Do(anyOf(args)...)
				require.NoError(t, err)
				if !assert.ObjectsAreEqual(want, got) {
					assert.Fail(t, "another reply", "%.60q: %.100q, not %.100q", args, fmt.Sprint(got), fmt.Sprint(want))
				}
				for at, commands := range seen.take() {
					if !sameCommands(parts, commands) {
						assert.Fail(t, "other bytes", "node %d got %.200q, not %.200q", at, fmt.Sprint(commands), fmt.Sprint(parts))
					}
				}
				checkCounted(t, p.counted(), parts)
			}
			each := func(args ...string) [][]string { return [][]string{args} }
			check("OK", each("SET", "{t}a", stored, "EX", "9"), "SET", "{t}a", v, "EX", "9")
			check(v, each("GET", "{t}a"), "GET", "{t}a")
			check("OK", each("SET", "{t}b", twice), "SET", "{t}b", stored)
			check(stored, each("GET", "{t}b"), "GET", "{t}b")
			check("OK", each("SET", "{t}l", storedForm(a, large)), "SET", "{t}l", large)
			check(large, each("GET", "{t}l"), "GET", "{t}l")
			check("OK", each("MSET", "{t}a", twice, "{t}b", stored), "MSET", "{t}a", stored, "{t}b", v)
			check([]any{stored, v, nil}, each("MGET", "{t}a", "{t}b", "{t}none"), "MGET", "{t}a", "{t}b", "{t}none")
			check("OK", [][]string{{"MSET", "{t}a", stored, "{t}c", "x"}, {"MSET", "{u}b", twice}}, "MSET", "{t}a", v, "{u}b", stored, "{t}c", "x")
			check([]any{v, stored, "x"}, [][]string{{"MGET", "{t}a", "{t}c"}, {"MGET", "{u}b"}}, "MGET", "{t}a", "{u}b", "{t}c")
		})
	}
}

func anyOf(args []string) []any { return listOf(args) }

// sameCommands compares without regard to the order.
func sameCommands(want, got [][]string) bool {
	order := func(a, b []string) int { return strings.Compare(strings.Join(a, " "), strings.Join(b, " ")) }
	return assert.ObjectsAreEqual(slices.SortedFunc(slices.Values(want), order), slices.SortedFunc(slices.Values(got), order))
}

// checkCounted tells whether each key of the commands was counted once, with its share of the
// bytes that a node has got.
func checkCounted(t testing.TB, got map[string]hotkey.Key, parts [][]string) {
	t.Helper()
	sum := 0
	for _, args := range parts {
		keys := effectsKeys(args)
		sum += len(keys)
		for _, k := range keys {
			assert.EqualValues(t, 1, got[k].Count, "hits of %s by %.40q", k, args)
			assert.EqualValues(t, frameLen(args...)/len(keys), got[k].BytesIn, "bytes of %s by %.40q", k, args)
		}
	}
	assert.Len(t, got, sum)
}

// Attempts of a command that is to be tried again, also key by key, send what the first one did.
func TestValuesOfCommandsThatAreTriedAgainAreCompressedOnce(t *testing.T) {
	for _, times := range []int{1, 3, -1} {
		t.Run(fmt.Sprint(times), func(t *testing.T) {
			const a = compress.Snappy
			s := newShelf(times)
			nodes := startWires(t, 1, 1, s.script)
			p := startProxy(t, proxyOptions{}, nodes[0].Addr).ready(t).setCompression(t, compressing(a)).counting(t)
			conn := connect(t, p.Addr)
			v := jsonText(3000)
			stored := storedForm(a, v)
			twice := storedForm(a, stored)
			assert.Equal(t, "OK", must(t, conn, "MSET", "{t}a", v, "{t}b", stored, "{t}c", "x"))
			checkCounted(t, p.counted(), [][]string{{"MSET", "{t}a", stored, "{t}b", twice, "{t}c", "x"}})
			for _, line := range s.all() {
				assert.Contains(t, []string{
					strings.Join([]string{"MSET", "{t}a", stored, "{t}b", twice, "{t}c", "x"}, " "),
					"MSET {t}a " + stored, "MSET {t}b " + twice, "MSET {t}c x",
				}, line)
			}
			p.forget()
			assert.Equal(t, []any{v, stored, nil, "x"}, must(t, conn, "MGET", "{t}a", "{t}b", "{t}none", "{t}c"))
			checkCounted(t, p.counted(), [][]string{{"MGET", "{t}a", "{t}b", "{t}none", "{t}c"}})
			assert.Equal(t, "OK", must(t, conn, "MSET", "{u}1", stored, "{t}a", stored, "{t}b", v))
			assert.Equal(t, []any{stored, v, stored}, must(t, conn, "MGET", "{t}a", "{t}b", "{u}1"))
			assert.Equal(t, map[string]int{
				"compressed_total": 5, "decompressed_total": 5,
			}, map[string]int{
				"compressed_total":   p.counter("compression.snappy.compressed_total"),
				"decompressed_total": p.counter("compression.snappy.decompressed_total"),
			})
		})
	}
}

// A read that is asked again after its connection broke, also in the middle of the reply.
func TestReadsAskedAgainAreDecompressedOnce(t *testing.T) {
	v := jsonText(3000)
	stored := storedForm(compress.Snappy, v)
	reply := "*2\r\n" + bulk(storedForm(compress.Zstd, stored)) + bulk(stored)
	large := jsonText(600_000)
	for _, at := range []int{0, 1, 4, 100, len(reply) - 1} {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			var broken atomic.Int32
			n := startStub(t)
			n.does(func(c *stubConn, args []string) bool {
				text := reply
				switch {
				case args[0] == "GET":
					text = bulk(storedForm(compress.Snappy, large))
				case args[0] != "MGET":
					return false
				}
				if broken.Add(1)%2 == 1 {
					c.say(text[:at])
					c.Close()
					return true
				}
				return c.say(text)
			})
			p := startProxy(t, proxyOptions{}, n.Addr).ready(t).setCompression(t, compressing(compress.Snappy)).counting(t)
			conn := connect(t, p.Addr)
			assert.Equal(t, []any{stored, v}, must(t, conn, "MGET", "{t}a", "{t}b"))
			assert.Equal(t, map[string]int{"{t}a": 1, "{t}b": 1}, p.hits())
			same(t, large, must(t, conn, "GET", "{t}l"))
			assert.Equal(t, 2, p.retried(t))
		})
	}
}

// retried is how many reads were asked once more.
func (p *testProxy) retried(t testing.TB) (sum int) {
	t.Helper()
	p.onWorkers(func(w *worker) { sum += int(w.stats.upstream.retried) })
	return sum
}
