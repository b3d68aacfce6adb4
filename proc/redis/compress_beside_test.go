package redis

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
	"samaritan/proc/redis/compress"
)

const offloaded = "compression.offloaded_total"

// worked waits until so many requests and replies have been given to goroutines.
func (p *testProxy) worked(t testing.TB, n int) {
	t.Helper()
	eventually(t, func() bool { return p.counter(offloaded) >= n }, fmt.Sprint(n, " large values are worked on"))
	require.Equal(t, n, p.counter(offloaded))
}

// bigText is a value that is worked on beside the loop.
func bigText() string { return jsonText(5 << 20) }

func TestOthersGoOnWhileALargeValueIsWorkedOn(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, a compress.Algorithm) {
		r := startCompressing(t, compressing(a))
		large, other := connect(t, r.on.Addr), connect(t, r.on.Addr)
		big, small := bigText(), jsonText(1000)
		must(t, other, "SET", "small", small)
		for i, step := range []struct {
			args []any
			want string
		}{{cmd("SET", "big", big), "OK"}, {cmd("GET", "big"), big}} {
			release := busy(t)
			require.NoError(t, large.Send(step.args, cmd("GET", "small")))
			r.on.worked(t, i+1)
			for range 20 {
				must(t, other, "SET", "small", small)
				same(t, small, must(t, other, "GET", "small"))
				assert.Equal(t, []any{small, nil}, must(t, other, "MGET", "small", "none"))
				assert.Equal(t, "PONG", must(t, other, "PING"))
			}
			assert.Equal(t, i+1, r.on.counter(offloaded))
			release()
			got := receive(t, large, 2)
			same(t, step.want, got[0], step.args[0])
			same(t, small, got[1])
		}
	})
}

// A reply of so many elements that the look for stored values takes long is looked through beside the loop; what is found there
// is decompressed as ever.
func TestOthersGoOnWhileALargeReplyIsLookedThrough(t *testing.T) {
	r := startCompressing(t, compressing(compress.Snappy))
	large, other := connect(t, r.on.Addr), connect(t, r.on.Addr)
	small, broken := jsonText(1000), "(P$\x00\r\nx"
	want := map[string]string{"stored": small}
	var fields []any
	for i := range 10000 {
		want[fmt.Sprint("f", i)] = broken
		fields = append(fields, fmt.Sprint("f", i), broken)
	}
	require.Equal(t, int64(10000), r.raw(t, "HSET", "h", fields...))
	must(t, other, "SET", "small", small)
	must(t, other, "HSET", "h", "stored", small)

	release := busy(t)
	require.NoError(t, large.Send(cmd("HGETALL", "h"), cmd("GET", "small")))
	r.on.worked(t, 1)
	for range 20 {
		same(t, small, must(t, other, "GET", "small"))
	}
	assert.Less(t, r.on.counter("compression.corrupt_total"), 5000, "it has not been looked through")
	release()
	got := receive(t, large, 2)
	same(t, small, got[1])
	pairs := got[0].([]any) // a flat array
	require.Len(t, pairs, 2*len(want))
	for i := 0; i < len(pairs); i += 2 {
		require.Equal(t, want[pairs[i].(string)], pairs[i+1], pairs[i])
	}
	eventually(t, func() bool { return r.on.counter("compression.corrupt_total") == 10000 }, "each one counts")
	r.on.worked(t, 1)
}

// What a session sends takes effect in that order, and is answered in that order, whatever of it
// is worked on beside the loop, and when that ends.
func TestOrderOfASessionWithLargeValues(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, a compress.Algorithm) {
		r := startCompressing(t, compressing(a))
		eachProtocol(t, r, func(t *testing.T, on, _ *testredis.Conn) {
			big, big2, mid, small := jsonText(1<<20), jsonText(600_000), jsonText(20_000), "small"
			commands, want := [][]any{}, []any{}
			add := func(w any, args ...any) { commands, want = append(commands, args), append(want, w) }
			must(t, on, "DEL", "k", "l", "h")
			add("OK", "SET", "k", big)
			add(big, "GET", "k")
			add("OK", "SET", "k", small)
			add(small, "GET", "k")
			add([]any{small, nil}, "MGET", "k", "none")
			add("OK", "MSET", "k", big, "l", mid)
			add([]any{mid, big, mid}, "MGET", "l", "k", "l")
			add("PONG", "PING")
			add(testredis.Error("ERR command 'append' is disabled in compress mode"), "APPEND", "k", "x")
			add(big, "GETSET", "k", big2)
			add(testredis.Error("WRONGTYPE Operation against a key holding the wrong kind of value"), "HSET", "k", "f", big)
			add(big2, "SET", "k", mid, "GET")
			add(mid, "GET", "k")
			add(int64(2), "HSET", "h", "f", big, "g", small)
			add([]any{big, small, nil}, "HMGET", "h", "f", "g", "none")
			add(int64(3), "DEL", "k", "l", "h")
			add(nil, "GET", "k")
			release := func() {}
			for _, held := range []bool{false, true} {
				if held {
					release = busy(t)
				}
				sent := make(chan error, 1)
				before := r.on.counter(offloaded)
				go func() { sent <- on.Send(commands...) }()
				if held {
					r.on.worked(t, before+1)
					release()
				}
				for i, w := range want {
					got, err := receiveOne(on)
					require.NoError(t, err)
					if !assert.ObjectsAreEqual(w, got) {
						require.Fail(t, "another reply", "%d: %.60q: %.80q, not %.80q", i, commands[i], fmt.Sprint(got), fmt.Sprint(w))
					}
				}
				require.NoError(t, <-sent)
			}
		})
	})
}

// Replies that are not wanted are not worked on; requests are.
func TestLargeValuesWithoutReplies(t *testing.T) {
	r := startCompressing(t, compressing(compress.Snappy))
	big, mid := jsonText(1<<20), jsonText(20_000)
	conn := dialWire(t, r.on.Addr)
	send := func(lines ...[]any) {
		for _, args := range lines {
			_, err := io.WriteString(conn, commandOf(args...))
			require.NoError(t, err)
		}
	}
	expect := func(want string) {
		got := make([]byte, len(want))
		_, err := io.ReadFull(conn, got)
		require.NoError(t, err)
		require.True(t, want == string(got), "%.100q, not %.100q", got, want)
	}
	release := busy(t)
	send(cmd("CLIENT", "REPLY", "SKIP"), cmd("SET", "k", big), cmd("GET", "k"))
	r.on.worked(t, 1)
	release()
	expect(bulk(big))
	r.on.worked(t, 2)

	send(cmd("CLIENT", "REPLY", "OFF"), cmd("SET", "k", big), cmd("GET", "k"), cmd("MSET", "a", big, "b", mid), cmd("MGET", "a", "b", "k"), cmd("GET", "b"))
	send(cmd("CLIENT", "REPLY", "SKIP"), cmd("GET", "k"), cmd("CLIENT", "REPLY", "ON"), cmd("GET", "b"))
	expect("+OK\r\n" + bulk(mid))
	send(cmd("CLIENT", "REPLY", "SKIP"), cmd("GET", "a"), cmd("MGET", "a", "b"))
	expect("*2\r\n" + bulk(big) + bulk(mid))
	assert.Equal(t, 5, r.on.counter(offloaded), "SET and MSET, and the last MGET")
	assert.Equal(t, map[string]int{"SET": 2 + 2, "GET": 1 + 1 + 2}, map[string]int{
		"SET": r.on.counter("compression.snappy.compressed_total"), "GET": r.on.counter("compression.snappy.decompressed_total"),
	})
}

// commandOf encodes one command.
func commandOf(args ...any) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		b.WriteString(bulk(fmt.Sprint(a)))
	}
	return b.String()
}

// A client that ends its side gets all that is due, also what is being worked on.
func TestHalfClosedSessionsGetTheirLargeValues(t *testing.T) {
	r := startCompressing(t, compressing(compress.Snappy))
	big := jsonText(2 << 20)
	release := busy(t)
	conn := dialWire(t, r.on.Addr)
	_, err := io.WriteString(conn, commandOf("SET", "k", big)+commands("GET k", "STRLEN k", "PING"))
	require.NoError(t, err)
	require.NoError(t, conn.CloseWrite())
	r.on.worked(t, 1)
	for range 3 {
		r.on.onWorkers(func(*worker) {}) // iterations in which its end may be noticed
	}
	release()
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	stored := len(storedForm(compress.Snappy, big))
	same(t, "+OK\r\n"+bulk(big)+fmt.Sprintf(":%d\r\n+PONG\r\n", stored), string(got))
}

// A session is not idle while its request is worked on.
func TestSessionsWithLargeValuesAreNotIdle(t *testing.T) {
	cluster := testredis.Shared(t, testredis.Options{})
	p := startProxy(t, proxyOptions{idleTimeout: time.Minute}, cluster.Addrs()...).ready(t).setCompression(t, compressing(compress.Snappy))
	must(t, connect(t, p.Addr), "SET", "k", jsonText(1<<20))
	for i, line := range [][]any{cmd("GET", "k"), cmd("SET", "k", jsonText(1<<20))} {
		conn, idle := connect(t, p.Addr), connect(t, p.Addr)
		must(t, idle, "PING")
		release := busy(t)
		require.NoError(t, conn.Send(line))
		p.worked(t, 2+i)
		p.onWorkers(func(w *worker) {
			for _, s := range slices.Clone(w.sessions) {
				s.expire(w.loop.Now() + int64(2*time.Minute)) // as if it were later
			}
		})
		release()
		_, err := idle.Receive()
		require.ErrorIs(t, err, io.EOF)
		_, err = conn.Receive()
		require.NoError(t, err, line[0])
	}
}
