package redis

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api/redis"
	"samaritan/internal/testredis"
	"samaritan/proc/redis/compress"
)

// zeros is the stored form of n zeros in as few bytes as there can be: blocks of one byte that
// is repeated.
func zeros(n int) string {
	const most = 128 << 10
	frame := binary.LittleEndian.AppendUint32([]byte("(P$\x01\r\n\x28\xb5\x2f\xfd\xa0"), uint32(n)) // one segment, its size in 4 bytes
	for left := n; left > 0; left -= most {
		block := min(left, most)<<3 | 1<<1
		if left <= most {
			block |= 1 // the last
		}
		frame = append(frame, byte(block), byte(block>>8), byte(block>>16), 0)
	}
	return string(frame)
}

// flips is a value with one bit changed, each in turn.
func flips(v string) (all []string) {
	for i := range 8 * len(v) {
		b := []byte(v)
		b[i/8] ^= 1 << (i % 8)
		all = append(all, string(b))
	}
	return all
}

// put writes values directly to the node of a slot and returns their keys.
func put(t testing.TB, r *compressRig, name string, values ...string) []string {
	t.Helper()
	node := connect(t, r.node("{"+name+"}").Addr())
	var keys []string
	for i, v := range values {
		keys = append(keys, fmt.Sprintf("{%s}%d", name, i))
		must(t, node, "SET", keys[i], v)
	}
	return keys
}

func TestBrokenValuesComeAsTheyAreStored(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, a compress.Algorithm) {
		r := startCompressing(t, compressing(a))
		plain := jsonText(700)
		stored := storedForm(a, plain)
		two := storedForm(a, jsonText(100_000)) // of more chunks, or blocks
		header := stored[:compress.HeaderLen]
		values := []string{header, header + "x", header + randomText(500), header + strings.Repeat("\xff", 100), header + strings.Repeat("\x00", 100), stored + "x", stored + stored}
		for i := compress.HeaderLen + 1; i < len(stored); i += 3 {
			if stored[:i] != streamHeads[compress.Snappy] { // a whole stream, see below
				values = append(values, stored[:i])
			}
		}
		for _, at := range []int{len(two) / 3, len(two) / 2, len(two) - 1} {
			values = append(values, two[:at], two[:at]+"\x00"+two[at+1:])
		}
		keys := put(t, r, "broken", values...)
		for _, p := range []*testProxy{r.on, r.off} {
			before := p.counter("compression.corrupt_total")
			conn := connect(t, p.Addr)
			want := 0
			for i, k := range keys {
				require.NoError(t, conn.Send(cmd("GET", k), cmd("ECHO", i), cmd("MGET", k, "{broken}none")))
				got := receive(t, conn, 3)
				same(t, values[i], got[0], i)
				assert.Equal(t, fmt.Sprint(i), got[1])
				same(t, values[i], got[2].([]any)[0], i)
				want += 2
			}
			assert.Equal(t, want, p.counter("compression.corrupt_total")-before)
			assert.Zero(t, p.counter("compression."+a.String()+".decompressed_total"))
		}
	})
}

// The format of snappy has no end: a stream that is cut between two chunks is a shorter one.
func TestStreamsOfSnappyEndAnywhereBetweenChunks(t *testing.T) {
	r := startCompressing(t, compressing(compress.Snappy))
	const chunk = 64 << 10
	stored := storedForm(compress.Snappy, jsonText(chunk+1000))
	first := storedForm(compress.Snappy, jsonText(chunk))
	require.True(t, strings.HasPrefix(stored, first))
	keys := put(t, r, "cut", first, streamHeads[compress.Snappy], stored[:len(first)+1])
	conn := connect(t, r.on.Addr)
	same(t, jsonText(chunk), must(t, conn, "GET", keys[0]))
	same(t, "", must(t, conn, "GET", keys[1]))
	same(t, stored[:len(first)+1], must(t, conn, "GET", keys[2]))
	assert.Equal(t, 1, r.on.counter("compression.corrupt_total"))
}

// A bit that changes makes a value come as it is stored, or does not matter. (A chunk of snappy
// that has become one of those to be skipped cannot be known: the format has no other check.)
func TestFlippedBitsAreNoticed(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, a compress.Algorithm) {
		r := startCompressing(t, compressing(a))
		plain := jsonText(300)
		values := flips(storedForm(a, plain))
		keys := put(t, r, "flips", values...)
		conn := connect(t, r.on.Addr)
		broken, skipped := 0, 0
		for i, k := range keys {
			got := must(t, conn, "GET", k).(string)
			_, known := compress.Detect([]byte(values[i]))
			switch {
			case got == values[i] && known:
				broken++
			case got == values[i] && i < 8*compress.HeaderLen, got == plain:
			case got == "" && a == compress.Snappy && i/8 == len(streamHeads[a]) && i%8 == 7:
				skipped++
			default:
				assert.Fail(t, "another value", "bit %d of byte %d: %.100q", i%8, i/8, got)
			}
		}
		assert.Equal(t, broken, r.on.counter("compression.corrupt_total")+r.on.counter("compression.too_large_total"))
		assert.Greater(t, broken, len(keys)*9/10)
		assert.LessOrEqual(t, skipped, 1)
	})
}

func TestBrokenValuesAreLogged(t *testing.T) {
	r := startCompressing(t, compressing(compress.Snappy))
	stored := storedForm(compress.Snappy, jsonText(700))
	put(t, r, "br\"o\nken", stored[:100])
	p, lines := startLogged(t, proxyOptions{}, r.cluster.Addrs()...)
	conn := connect(t, p.Addr)
	same(t, stored[:100], must(t, conn, "GET", "{br\"o\nken}0"))
	lines.names(t, "command=get", `cannot be decompressed.*\{br.*o.*nken\}0.*a chunk of \d+ bytes has \d+`)
	put(t, r, "bomb", zeros(10<<20))
	same(t, zeros(10<<20), must(t, conn, "MGET", "{bomb}1", "{bomb}0").([]any)[1])
	lines.names(t, "command=mget", `cannot be decompressed.*\{bomb\}.*decodes to too many bytes`)
}

// What decompresses to too much comes as it is stored.
func TestBombsComeAsTheyAreStored(t *testing.T) {
	limited := compressing(compress.Zstd)
	limited.MaxSize, limited.MaxRatio = 1<<20, 100
	r := startCompressing(t, limited)
	under, over := jsonText(1<<20), jsonText(1<<20+1)
	ratio, wide := zeros(150_000), storedForm(compress.Snappy, jsonText(4<<20))
	huge := zeros(500 << 20)
	keys := put(t, r, "bomb",
		storedForm(compress.Zstd, under), storedForm(compress.Snappy, under), storedForm(compress.Zstd, over), storedForm(compress.Snappy, over), ratio, wide, huge)
	conn := connect(t, r.on.Addr)
	require.NoError(t, conn.Send(append(cmd("MGET"), listOf(keys)...), cmd("PING"), cmd("GET", keys[6]), cmd("GET", keys[0])))
	got := receive(t, conn, 4)
	for i, want := range []string{under, under, storedForm(compress.Zstd, over), storedForm(compress.Snappy, over), ratio, wide, huge} {
		same(t, want, got[0].([]any)[i], i)
	}
	assert.Equal(t, "PONG", got[1])
	same(t, huge, got[2])
	same(t, under, got[3])
	assert.Equal(t, 6, r.on.counter("compression.too_large_total"))
	assert.Zero(t, r.on.counter("compression.corrupt_total"))
	r.on.setCompression(t, &redis.Compression{MaxRatio: 100_000})
	same(t, over, must(t, conn, "GET", keys[3]))
	same(t, strings.Repeat("\x00", 150_000), must(t, conn, "GET", keys[4]))
	same(t, huge, must(t, connect(t, r.off.Addr), "GET", keys[6])) // the ratio is above the default
}

const refusedReply = "ERR samaritan: the values of the reply have more than 1 GiB when they are decompressed; ask for fewer at a time"

// Replies that would have more than 1 GiB are answered with an error, and no memory is taken.
func TestRepliesThatDecompressToTooMuchAreErrors(t *testing.T) {
	r := startCompressing(t, compressing(compress.Snappy))
	huge := zeros(300 << 20)
	k := put(t, r, "huge", huge)[0]
	must(t, connect(t, r.node(k).Addr()), "HSET", "{huge}h", "a", huge, "b", huge, "c", huge, "d", huge)
	for _, p := range []*testProxy{r.on.setCompression(t, &redis.Compression{Enable: true, Threshold: 100, MaxRatio: 100_000}), r.off.setCompression(t, &redis.Compression{MaxRatio: 100_000})} {
		conn := connect(t, p.Addr)
		before := residentMemory(t)
		require.NoError(t, conn.Send(cmd("MGET", k, k, k, k), cmd("HGETALL", "{huge}h"), cmd("GET", "{huge}none"), cmd("MGET", k, "far", k, k, k), cmd("STRLEN", k)))
		got := receive(t, conn, 5)
		assert.Equal(t, []any{testredis.Error(refusedReply), testredis.Error(refusedReply), nil, testredis.Error(refusedReply), int64(len(huge))}, got)
		assert.Less(t, residentMemory(t)-before, 100<<20)
		assert.Zero(t, p.counter("compression.zstd.decompressed_total"))
		eventually(t, func() bool { return p.counter("compression.too_large_total") == 3 }, "each is counted")
	}
}

// The parts of a command that goes to several slots are one reply. When it gets too large nothing more
// is decompressed for it.
func TestPartsThatDecompressToTooMuchAreAnError(t *testing.T) {
	nodes := startStubs(t, 2)
	p := startProxy(t, proxyOptions{}, addrs(nodes)...).ready(t).setCompression(t, &redis.Compression{MaxRatio: 100_000})
	conn := connect(t, p.Addr)
	second, last, third := make(chan *stubConn, 1), make(chan *stubConn, 1), key(101, "third")
	nodes[0].does(func(c *stubConn, args []string) bool {
		if args[0] == "MGET" && args[1] == third {
			last <- c
			return true
		}
		return args[0] == "MGET" && c.say("*1\r\n"+bulk(zeros(30<<20)))
	})
	nodes[1].does(func(c *stubConn, args []string) bool {
		if args[0] == "MGET" {
			second <- c
		}
		return args[0] == "MGET" || args[0] == "GET"
	})
	before := residentMemory(t)
	require.NoError(t, conn.Send(cmd("MGET", here, there, there, there, there, third), cmd("GET", there)))
	p.worked(t, 1)
	(<-second).say("*4\r\n" + strings.Repeat(bulk(zeros(250<<20)), 4) + bulk("x"))
	eventually(t, func() bool { return p.counter("compression.too_large_total") == 1 }, "four are too much beside the first")
	(<-last).say("*1\r\n" + bulk(zeros(30<<20)))
	assert.Equal(t, []any{testredis.Error(refusedReply), "x"}, receive(t, conn, 2))
	assert.Less(t, residentMemory(t)-before, 200<<20)
	assert.Equal(t, 1, p.counter("compression.too_large_total"))
	assert.Equal(t, 1, p.counter(offloaded), "nobody would see what is there besides")
}

// Parts that are searched at the same time know of each other all the same.
func TestLargePartsThatAreSearchedAtTheSameTimeAreTooMuchTogether(t *testing.T) {
	nodes := startStubs(t, 2)
	p := startProxy(t, proxyOptions{}, addrs(nodes)...).ready(t).setCompression(t, &redis.Compression{MaxRatio: 100_000})
	conn := connect(t, p.Addr)
	long := bulk(storedForm(compress.Zstd, randomText(2<<20))) // to look at it takes a while
	head := make(chan *stubConn, 1)
	nodes[0].does(func(c *stubConn, args []string) bool {
		return args[0] == "MGET" && c.say("*3\r\n"+long+strings.Repeat(bulk(zeros(300<<20)), 2))
	})
	nodes[1].does(func(c *stubConn, args []string) bool {
		if args[0] == "GET" {
			head <- c
		}
		return args[0] == "GET"
	})
	before := residentMemory(t)
	goOn := busy(t)
	require.NoError(t, conn.Send(cmd("GET", there), cmd("MGET", here, here, here, key(101, "a"), key(101, "b"), key(101, "c"))))
	eventually(t, func() bool { return p.counter(offloaded) == 2 }, "both are searched")
	goOn()
	eventually(t, func() bool { return p.counter("compression.too_large_total") == 1 }, "600 MiB beside 600 MiB")
	(<-head).say(bulk("x"))
	assert.Equal(t, []any{"x", testredis.Error(refusedReply)}, receive(t, conn, 2))
	assert.Less(t, residentMemory(t)-before, 200<<20)
}

// What has the mark and is of no known algorithm is a value like any other.
func TestUnknownAlgorithmsPass(t *testing.T) {
	r := startCompressing(t, compressing(compress.Snappy))
	stored := storedForm(compress.Snappy, jsonText(1000))
	var values []string
	for _, c := range []byte{2, 9, '0', 255} {
		values = append(values, "(P$"+string([]byte{c})+"\r\n"+stored[6:])
	}
	keys := put(t, r, "unknown", values...)
	for _, p := range []*testProxy{r.on, r.off} {
		conn := connect(t, p.Addr)
		for i, v := range must(t, conn, append(cmd("MGET"), listOf(keys)...)...).([]any) {
			same(t, values[i], v, i)
			same(t, values[i], must(t, conn, "GET", keys[i]), i)
		}
		assert.Empty(t, p.compressionStats())
	}
}
