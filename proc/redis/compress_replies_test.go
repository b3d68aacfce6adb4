package redis

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/proc/redis/compress"
	"samaritan/proc/redis/resp"
)

// Replies of all shapes, to the byte: of commands that the servers at hand refuse, or do not
// know yet, too.
func TestValuesInRepliesOfEveryShape(t *testing.T) {
	long := jsonText(3000)
	snappy, zstd := storedForm(compress.Snappy, long), storedForm(compress.Zstd, long)
	corrupt := snappy[:len(snappy)-1]
	type exchanged struct{ name, request, stored, plain string }
	tests := []exchanged{
		{"GET", "GET k", bulk(snappy), bulk(long)},
		{"GET of the other algorithm", "GET k", bulk(zstd), bulk(long)},
		{"null", "GET k", "$-1\r\n", "$-1\r\n"},
		{"null of RESP3", "GET k", "_\r\n", "_\r\n"},
		{"empty", "GET k", "$0\r\n\r\n", "$0\r\n\r\n"},
		{"an error with the mark", "GET k", "-ERR (P$\x00 (P$\r\n", "-ERR (P$\x00 (P$\r\n"},
		{"both algorithms", "MGET {k}1 {k}2 {k}3", "*3\r\n" + bulk(snappy) + bulk(zstd) + "$-1\r\n", "*3\r\n" + bulk(long) + bulk(long) + "$-1\r\n"},
		{"one corrupt", "MGET {k}1 {k}2 {k}3", "*3\r\n" + bulk(snappy) + bulk(corrupt) + bulk(zstd), "*3\r\n" + bulk(long) + bulk(corrupt) + bulk(long)},
		{"many brackets", "MGET {k}1 {k}2", "*2\r\n" + bulk(strings.Repeat("(P$\n(", 500)) + bulk(zstd), "*2\r\n" + bulk(strings.Repeat("(P$\n(", 500)) + bulk(long)},
		{"the mark at the end", "MGET {k}1 {k}2", "*2\r\n" + bulk("\n(P$") + bulk("("), "*2\r\n" + bulk("\n(P$") + bulk("(")},
		{"a reply in a value", "MGET {k}1 {k}2", "*2\r\n" + bulk("\r\n"+bulk(snappy)) + bulk("x"), "*2\r\n" + bulk("\r\n"+bulk(snappy)) + bulk("x")},
		{"SORT", "SORT k BY nosort GET v_*", "*2\r\n" + bulk(snappy) + "$-1\r\n", "*2\r\n" + bulk(long) + "$-1\r\n"},
		{"SORT_RO", "SORT_RO k GET v_* GET #", "*2\r\n" + bulk(zstd) + bulk("1"), "*2\r\n" + bulk(long) + bulk("1")},
		{"HGETALL of RESP3", "HGETALL k", "%2\r\n" + bulk("f") + bulk(snappy) + bulk("g") + bulk("v"), "%2\r\n" + bulk("f") + bulk(long) + bulk("g") + bulk("v")},
		{"attributes", "GET k", "|1\r\n+ttl\r\n:3600\r\n" + bulk(snappy), "|1\r\n+ttl\r\n:3600\r\n" + bulk(long)},
		{"HRANDFIELD of RESP3", "HRANDFIELD k 1 WITHVALUES", "*1\r\n*2\r\n" + bulk("f") + bulk(zstd), "*1\r\n*2\r\n" + bulk("f") + bulk(long)},
		{"HSCAN", "HSCAN k 0", "*2\r\n$1\r\n0\r\n*2\r\n" + bulk("f") + bulk(zstd), "*2\r\n$1\r\n0\r\n*2\r\n" + bulk("f") + bulk(long)},
		{"HGETDEL", "HGETDEL k FIELDS 2 f g", "*2\r\n" + bulk(snappy) + "$-1\r\n", "*2\r\n" + bulk(long) + "$-1\r\n"},
		{"HGETEX", "HGETEX k EX 10 FIELDS 1 f", "*1\r\n" + bulk(snappy), "*1\r\n" + bulk(long)},
		{"GETEX", "GETEX k PERSIST", bulk(zstd), bulk(long)},
		{"EVAL", "EVAL x 1 k", "*2\r\n:1\r\n*2\r\n*0\r\n~1\r\n" + bulk(snappy), "*2\r\n:1\r\n*2\r\n*0\r\n~1\r\n" + bulk(long)},
		{"FCALL", "FCALL f 1 k", "%1\r\n+a\r\n" + bulk(snappy), "%1\r\n+a\r\n" + bulk(long)},
		{"a list", "LRANGE k 0 -1", "*1\r\n" + bulk(snappy), "*1\r\n" + bulk(snappy)},
		{"DUMP", "DUMP k", bulk(snappy), bulk(snappy)},
		{"no values", "HKEYS k", "*1\r\n" + bulk(snappy), "*1\r\n" + bulk(snappy)},
		{"GETRANGE", "GETRANGE k 0 -1", bulk(snappy), bulk(snappy)},
	}
	n := startRecording(t)
	p := startProxy(t, proxyOptions{}, n.Addr).ready(t)
	conn := dialWire(t, p.Addr)
	for _, tt := range tests {
		n.says(strings.Fields(tt.request)[0], tt.stored)
		ask := func(on string) {
			_, err := io.WriteString(conn, commands(tt.request))
			require.NoError(t, err)
			got := make([]byte, len(tt.plain))
			_, err = io.ReadFull(conn, got)
			require.NoError(t, err, "%s %s: %.100q", tt.name, on, got)
			require.True(t, tt.plain == string(got), "%s %s: %.200q, not %.200q", tt.name, on, got, tt.plain)
		}
		p.setCompression(t, nil)
		ask("off")
		name := strings.Fields(tt.request)[0]
		if name == "EVAL" || name == "FCALL" || name == "GETRANGE" {
			continue
		}
		p.setCompression(t, compressing(compress.Snappy))
		ask("on")
	}
	expectReply(t, conn, "+PONG\r\n", "PING")
	assert.Equal(t, 2, p.counter("compression.corrupt_total"))
}

// A reply is decompressed wherever the packets of the node end.
func TestRepliesThatComeInPieces(t *testing.T) {
	long := jsonText(1500)
	reply := "*2\r\n" + bulk(storedForm(compress.Snappy, long)) + bulk(storedForm(compress.Zstd, long))
	n := startStub(t)
	cut := make(chan int, 1)
	n.does(func(c *stubConn, args []string) bool {
		if args[0] != "MGET" {
			return false
		}
		at := <-cut
		return c.say(reply[:at]) && c.say(reply[at:])
	})
	p := startProxy(t, proxyOptions{}, n.Addr).ready(t)
	conn := dialWire(t, p.Addr)
	want := "*2\r\n" + bulk(long) + bulk(long)
	for at := 0; at <= len(reply); at += 1 + at/40 {
		cut <- at
		expectReply(t, conn, want, "MGET", "{k}1", "{k}2")
	}
}

// A request is compressed wherever the packets of the client end.
func TestRequestsThatComeInPieces(t *testing.T) {
	n := startRecording(t)
	p := startProxy(t, proxyOptions{}, n.Addr).ready(t).setCompression(t, compressing(compress.Zstd))
	conn := dialWire(t, p.Addr)
	long := jsonText(1500)
	request := resp.AppendCommand(nil, "SET", "k", long, "EX", "10")
	want := []string{"SET", "k", storedForm(compress.Zstd, long), "EX", "10"}
	for at := 1; at < len(request); at += 1 + at/40 {
		_, err := conn.Write(request[:at])
		require.NoError(t, err)
		expectBytes(t, conn, string(request[at:]), "+OK\r\n")
		require.Equal(t, [][]string{want}, n.take(), "cut at %d", at)
	}
}

// expectBytes sends raw bytes and reads exactly want.
func expectBytes(t testing.TB, conn io.ReadWriter, raw, want string) {
	t.Helper()
	_, err := io.WriteString(conn, raw)
	require.NoError(t, err)
	got := make([]byte, len(want))
	_, err = io.ReadFull(conn, got)
	require.NoError(t, err, "%.200q", got)
	require.True(t, want == string(got), "%.200q, not %.200q", got, want)
}
