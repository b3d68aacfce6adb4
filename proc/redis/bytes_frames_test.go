package redis

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/proc/redis/resp"
)

// frames are requests of every form a parser knows, with their replies.
var frames = []struct{ request, reply string }{
	{commands("SET split:a 1"), "+OK\r\n"},
	{commands("MSET split:a 1 split:b 2 split:c 3"), "+OK\r\n"},
	{commands("MGET split:a split:b split:c nothing"), "*4\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$-1\r\n"},
	{commands("DEL split:x split:y"), ":0\r\n"},
	{commands("PING"), "+PONG\r\n"},
	{"PING inline\r\n", "$6\r\ninline\r\n"},
	{`ECHO "a\x41\n"` + "\r\n", "$3\r\naA\n\r\n"},
	{"*2\r\n$3\r\nGET\r\n$0\r\n\r\n", "$-1\r\n"},
	{"*2\r\n$4\r\nECHO\r\n$12\r\n\r\n*1\r\n$4\r\nPI\r\n", "$12\r\n\r\n*1\r\n$4\r\nPI\r\n"},
	{commands("ECHO " + strings.Repeat("x", 1000)), "$1000\r\n" + strings.Repeat("x", 1000) + "\r\n"},
	{"*0\r\n*-1\r\n\r\n" + commands("PING"), "+PONG\r\n"},
	{commands("nothing"), "-ERR unknown command 'nothing', with args beginning with: \r\n"},
	{commands("GET"), "-ERR wrong number of arguments for 'get' command\r\n"},
}

// TestFramesMayBeSplitAnywhere writes each frame in two pieces, at every place. In
// between it waits for a function that is posted to the loop: that runs behind the
// events of its iteration, and on loopback what was written is readable at once.
func TestFramesMayBeSplitAnywhere(t *testing.T) {
	p := startBefore(t, proxyOptions{})
	conn := dialWire(t, p.Addr) // Nagle's algorithm is off: each write is a packet
	for _, f := range frames {
		got := make([]byte, len(f.reply))
		for i := 1; i < len(f.request); i += 1 + len(f.request)/300 {
			_, err := io.WriteString(conn, f.request[:i])
			require.NoError(t, err)
			p.onWorkers(func(*worker) {}) // it has taken the first piece
			_, err = io.WriteString(conn, f.request[i:])
			require.NoError(t, err)
			_, err = io.ReadFull(conn, got)
			require.NoError(t, err, "%q split at %d", f.request, i)
			require.Equal(t, f.reply, string(got), "%q split at %d", f.request, i)
		}
	}
	assert.Equal(t, outcome{Open: true}, converse(t, p.Addr, ""))
}

// TestFramesMayComeByteByByte writes each frame one byte at a time, all frames in a
// row, and nothing waits for replies.
func TestFramesMayComeByteByByte(t *testing.T) {
	p := startBefore(t, proxyOptions{})
	conn := dialWire(t, p.Addr)
	var want strings.Builder
	for _, f := range frames {
		want.WriteString(f.reply)
		for i := range len(f.request) {
			_, err := io.WriteString(conn, f.request[i:i+1])
			require.NoError(t, err)
		}
	}
	require.NoError(t, conn.CloseWrite())
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	assert.Equal(t, want.String(), string(got))
}

// TestLongPipelineIsAnsweredInOrder has a client that writes 100,000 commands of all
// kinds, and ends its side, while it reads the replies.
func TestLongPipelineIsAnsweredInOrder(t *testing.T) {
	p := startBefore(t, proxyOptions{})
	const n = 100_000
	conn := dialWire(t, p.Addr)
	sent := make(chan error, 1)
	go func() {
		w := bufio.NewWriterSize(conn, 1<<20)
		var b []byte
		for i := range n {
			b, _ = step(b[:0], nil, i)
			_, _ = w.Write(b)
		}
		sent <- w.Flush()
		_ = conn.CloseWrite()
	}()
	r := bufio.NewReaderSize(conn, 1<<20)
	var request, want, got []byte
	for i := range n {
		request, want = step(request[:0], want[:0], i)
		got = append(got[:0], want...)
		_, err := io.ReadFull(r, got)
		require.NoError(t, err, "reply %d", i)
		if string(got) != string(want) {
			require.Equal(t, string(want), string(got), "reply %d to %q", i, request)
		}
	}
	require.NoError(t, <-sent)
	_, err := r.ReadByte()
	require.ErrorIs(t, err, io.EOF)
}

// step appends the i-th request of a long pipeline, and its reply.
func step(request, reply []byte, i int) ([]byte, []byte) {
	key := fmt.Sprint("pipe:", i/8)
	v := fmt.Sprint(i / 8)
	switch i % 8 {
	case 0:
		return resp.AppendCommand(request, "SET", key, v), append(reply, "+OK\r\n"...)
	case 1:
		return resp.AppendCommand(request, "GET", key), resp.AppendBulk(reply, []byte(v))
	case 2:
		return resp.AppendCommand(request, "MSET", key, v, "m:"+key, v+v), append(reply, "+OK\r\n"...)
	case 3:
		return resp.AppendCommand(request, "ECHO", v), resp.AppendBulk(reply, []byte(v))
	case 4:
		reply = append(reply, "*3\r\n"...)
		reply = resp.AppendBulk(reply, []byte(v+v))
		reply = append(reply, "$-1\r\n"...)
		return resp.AppendCommand(request, "MGET", "m:"+key, "none:"+key, key), resp.AppendBulk(reply, []byte(v))
	case 5:
		return resp.AppendCommand(request, "EXISTS", key, "m:"+key, "none"), append(reply, ":2\r\n"...)
	case 6:
		return resp.AppendCommand(request, "GET"), append(reply, "-ERR wrong number of arguments for 'get' command\r\n"...)
	default:
		return resp.AppendCommand(request, "DEL", key, "m:"+key), append(reply, ":2\r\n"...)
	}
}

func TestHalfCloseGetsAllReplies(t *testing.T) {
	p, server := startPair(t, proxyOptions{})
	const n = 1000
	var set, get strings.Builder
	for i := range n {
		set.WriteString(commands(fmt.Sprintf("SET half:%d %d", i, i)))
		get.WriteString(commands(fmt.Sprintf("GET half:%d", i)))
	}
	for _, in := range []string{set.String(), get.String(), get.String() + "*2\r\n$3\r\nGET\r\n", ""} {
		assert.Equal(t, exchange(t, server, in), exchange(t, p.Addr, in))
	}
}

// TestHalfCloseGetsLargeReplies has far more due than a session may have in flight.
func TestHalfCloseGetsLargeReplies(t *testing.T) {
	p := startBefore(t, proxyOptions{})
	value := strings.Repeat("v", 100_000)
	exchange(t, p.Addr, commands("SET large "+value))
	const n = 500
	conn := dialWire(t, p.Addr)
	_, err := io.WriteString(conn, strings.Repeat(commands("GET large"), n))
	require.NoError(t, err)
	require.NoError(t, conn.CloseWrite())
	got, err := io.Copy(io.Discard, conn)
	require.NoError(t, err)
	assert.EqualValues(t, n*(len(value)+len("$100000\r\n\r\n")), got)
}

func TestNothingRunsBehindQUIT(t *testing.T) {
	p, server := startPair(t, proxyOptions{})
	in := commands("SET quit 1", "GET quit", "MGET quit other", "QUIT", "SET quit 2", "MSET quit 3 other 4", "PING")
	want := converse(t, server, in)
	assert.Equal(t, want, converse(t, p.Addr, in))
	assert.False(t, want.Open)
	assert.Equal(t, "$1\r\n1\r\n$-1\r\n", exchange(t, p.Addr, commands("GET quit", "GET other")))

	long := strings.Repeat(commands("INCR many"), 5000) + commands("QUIT") + strings.Repeat(commands("INCR many"), 5000)
	got := untilClosed(t, p.Addr, long)
	assert.True(t, strings.HasSuffix(got, ":4999\r\n:5000\r\n+OK\r\n"), "%.40q", got[max(0, len(got)-40):])
	assert.Equal(t, "$4\r\n5000\r\n", exchange(t, p.Addr, commands("GET many")))
}

// TestHalfACommandEndsByTheIdleTimeout covers clients that stop in the middle.
func TestHalfACommandEndsByTheIdleTimeout(t *testing.T) {
	p := startBefore(t, proxyOptions{idleTimeout: 200 * time.Millisecond})
	halves := []string{"*", "*2\r\n$3\r\nGET\r\n$100\r\nabc", "PIN", "*2147483647\r\n$536870912\r\n", "", commands("PING") + "*1\r\n"}
	var want []string
	var ends []chan string
	for _, half := range halves {
		reply := ""
		if strings.Contains(half, "PING") {
			reply = "+PONG\r\n"
		}
		want = append(want, reply)
		end := make(chan string, 1)
		ends = append(ends, end)
		conn := dialWire(t, p.Addr)
		start := time.Now()
		_, err := io.WriteString(conn, half)
		require.NoError(t, err)
		go func() {
			out, err := io.ReadAll(conn)
			if err != nil && !isReset(err) {
				out = fmt.Append(out, err)
			}
			if took := time.Since(start); took < 200*time.Millisecond {
				out = fmt.Append(out, " closed after ", took)
			}
			end <- string(out)
		}()
	}
	for i, end := range ends {
		assert.Equal(t, want[i], <-end, "%q", halves[i])
	}
	assert.Equal(t, len(halves), p.counter("downstream.cx_idle_timeout"))
}
