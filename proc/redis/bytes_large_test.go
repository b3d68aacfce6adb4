package redis

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/proc/redis/resp"
)

// TestLargestValuePasses sets and gets a value of 512 MiB, the most that Redis takes.
// The client never holds it: it sends one block again and again.
func TestLargestValuePasses(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 3 GiB of memory")
	}
	size := resp.MaxBulk
	if raceDetector {
		size = 64 << 20
	}
	p := startBefore(t, proxyOptions{requestTimeout: wireTimeout})
	before := heapInUse()
	conn := dialWire(t, p.Addr)
	block := pattern(1 << 20)

	w := bufio.NewWriter(conn)
	_, _ = fmt.Fprintf(w, "*3\r\n$3\r\nSET\r\n$4\r\nhuge\r\n$%d\r\n", size)
	for range size / len(block) {
		_, _ = w.Write(block)
	}
	_, _ = io.WriteString(w, "\r\n")
	require.NoError(t, w.Flush())
	ok := make([]byte, len("+OK\r\n"))
	_, err := io.ReadFull(conn, ok)
	require.NoError(t, err)
	require.Equal(t, "+OK\r\n", string(ok))
	released(t, before)
	expectReply(t, conn, fmt.Sprintf(":%d\r\n", size), "STRLEN", "huge")

	_, err = io.WriteString(conn, commands("GET huge", "PING"))
	require.NoError(t, err)
	r := bufio.NewReaderSize(conn, len(block))
	header, err := r.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("$%d\r\n", size), header)
	got := make([]byte, len(block))
	for i := range size / len(block) {
		_, err := io.ReadFull(r, got)
		require.NoError(t, err)
		require.True(t, bytes.Equal(block, got), "block %d differs", i)
	}
	rest, err := readUntil(r, "+PONG\r\n")
	require.NoError(t, err)
	assert.Equal(t, "\r\n+PONG\r\n", rest)

	expectReply(t, conn, ":1\r\n", "DEL", "huge")
	released(t, before)
}

// released waits until the heap is about as it was before a large value.
func released(t *testing.T, before int) {
	t.Helper()
	require.Eventually(t, func() bool { return heapInUse()-before < 16<<20 }, 5*time.Second, 10*time.Millisecond,
		"the memory of a large value is not released")
}

// pattern is n bytes in which no piece repeats the one before it.
func pattern(n int) []byte {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// TestTooLargeValueGetsRedisError: one byte above the limit is refused as soon as it
// is announced.
func TestTooLargeValueGetsRedisError(t *testing.T) {
	p, server := startPair(t, proxyOptions{})
	for _, in := range []string{
		fmt.Sprintf("*3\r\n$3\r\nSET\r\n$4\r\nhuge\r\n$%d\r\n", resp.MaxBulk+1),
		fmt.Sprintf("*3\r\n$3\r\nSET\r\n$4\r\nhuge\r\n$%d\r\nabc", resp.MaxBulk+1),
		fmt.Sprintf("*2\r\n$%d\r\n", resp.MaxBulk+1),
	} {
		want := converse(t, server, in)
		assert.Equal(t, outcome{"-ERR Protocol error: invalid bulk length\r\n", false}, want)
		assert.Equal(t, want, converse(t, p.Addr, in))
	}
}

// TestValuesAroundTheSharingSizesPass sends values whose sizes are at the borders of
// buffers, alone and in multi-key commands.
func TestValuesAroundTheSharingSizesPass(t *testing.T) {
	p := startBefore(t, proxyOptions{})
	all := pattern(2 << 20)
	for i := range all { // a line that can be cut into words by commands
		all[i] = 'a' + all[i]%26
	}
	conn := dialWire(t, p.Addr)
	for _, base := range []int{shareMin, windowSize, 256 << 10, 1 << 20} {
		for _, size := range []int{base - 32, base - 1, base, base + 1, base + 4096} {
			v := string(all[size%977 : size%977+size])
			bulk := string(resp.AppendBulk(nil, []byte(v)))
			in := commands("SET a "+v, "GET a", "MSET a "+v+" b x c "+v, "MGET a b none c", "ECHO "+v, "STRLEN c", "GET a")
			want := "+OK\r\n" + bulk + "+OK\r\n*4\r\n" + bulk + "$1\r\nx\r\n$-1\r\n" + bulk + bulk + fmt.Sprintf(":%d\r\n", size) + bulk
			go func() { _, _ = io.WriteString(conn, in) }()
			got := make([]byte, len(want))
			_, err := io.ReadFull(conn, got)
			require.NoError(t, err, "%d", size)
			require.True(t, want == string(got), "replies for %d bytes differ: %.80q", size, got)
		}
	}
	assert.True(t, strings.HasPrefix(converse(t, p.Addr, commands("STRLEN b")).Replies, ":1\r\n"))
}
