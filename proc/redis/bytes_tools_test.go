package redis

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samaritan/internal/stats"
	"samaritan/internal/testredis"
	"samaritan/proc/redis/resp"
)

// wireTimeout bounds a conversation in these tests. It leaves room for the race
// detector on a busy machine.
const wireTimeout = 30 * time.Second

// marker is sent behind the bytes of a test: the server that echoes it lives on.
const (
	marker      = "*2\r\n$4\r\nECHO\r\n$10\r\n<the-mark>\r\n"
	markerReply = "$10\r\n<the-mark>\r\n"
)

// outcome is what a server makes of some bytes.
type outcome struct {
	Replies string
	Open    bool // it answers what comes behind them
}

// startPair starts a proxy before the shared cluster and a plain server to compare
// it with. Both are empty.
func startPair(t *testing.T, o proxyOptions) (p *testProxy, server string) {
	t.Helper()
	c := testredis.Shared(t, testredis.Options{})
	return startProxy(t, o, c.Addrs()...).ready(t), testredis.StartServer(t).Addr()
}

// startBefore starts a proxy before the shared cluster, which is empty.
func startBefore(t *testing.T, o proxyOptions) *testProxy {
	t.Helper()
	return startProxy(t, o, testredis.Shared(t, testredis.Options{}).Addrs()...).ready(t)
}

func dialWire(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(wireTimeout)))
	return conn.(*net.TCPConn)
}

// converse sends input and the marker in one write and reads until the marker comes
// back or the server closes. A reset is a way to close.
func converse(t testing.TB, addr, input string) outcome {
	t.Helper()
	conn := dialWire(t, addr)
	defer conn.Close()
	_, err := io.WriteString(conn, input+marker)
	require.True(t, err == nil || isReset(err), "%v", err)
	out, err := readUntil(conn, markerReply)
	require.True(t, err == nil || errors.Is(err, io.EOF) || isReset(err), "%v behind %.200q", err, out)
	replies, open := strings.CutSuffix(out, markerReply)
	return outcome{Replies: replies, Open: open}
}

// readUntil reads until what was read ends in suffix.
func readUntil(r io.Reader, suffix string) (string, error) {
	var all []byte
	b := make([]byte, 64<<10)
	for {
		n, err := r.Read(b)
		all = append(all, b[:n]...)
		if err != nil || bytes.HasSuffix(all, []byte(suffix)) {
			return string(all), err
		}
	}
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// exchange sends input, ends its side, and reads to the end.
func exchange(t testing.TB, addr, input string) string {
	t.Helper()
	conn := dialWire(t, addr)
	defer conn.Close()
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(conn, input)
		sent <- errors.Join(err, conn.CloseWrite())
	}()
	out, err := io.ReadAll(conn)
	require.NoError(t, err, "%.200q", out)
	require.NoError(t, <-sent)
	return string(out)
}

// expectReply sends one command on conn and reads exactly want.
func expectReply(t testing.TB, conn net.Conn, want string, args ...string) {
	t.Helper()
	_, err := conn.Write(resp.AppendCommand(nil, args...))
	require.NoError(t, err)
	got := make([]byte, len(want))
	_, err = io.ReadFull(conn, got)
	require.NoError(t, err, "%q", got)
	require.Equal(t, want, string(got))
}

// commands encodes lines, each a command with blanks between its arguments.
func commands(lines ...string) string {
	var b []byte
	for _, l := range lines {
		b = resp.AppendCommand(b, strings.Fields(l)...)
	}
	return string(b)
}

// heapInUse is the live heap of the process in bytes, after a collection.
func heapInUse() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// allocations has a client that makes none itself send a pipeline of requests, rounds times, and
// returns how many allocations of the whole process come to one request. It is the least of three
// measurements: what a request allocates is in each of them, and a slot map that is read
// meanwhile is not.
func allocations(t testing.TB, conn net.Conn, pipeline, replies string, requests, rounds int) float64 {
	t.Helper()
	in, want, got := []byte(pipeline), []byte(replies), make([]byte, len(replies))
	run := func(n int) (err error) {
		for range n {
			if _, err = conn.Write(in); err != nil {
				return err
			}
			if _, err = io.ReadFull(conn, got); err != nil {
				return err
			}
		}
		return nil
	}
	require.NoError(t, run(rounds/4)) // pools fill
	require.True(t, bytes.Equal(want, got), "%.200q", got)

	least := math.Inf(1)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := run(rounds)
		runtime.ReadMemStats(&after)
		require.NoError(t, err)
		all := float64(rounds * requests)
		per := float64(after.Mallocs-before.Mallocs) / all
		t.Logf("%.5f allocations, %.1f bytes per request", per, float64(after.TotalAlloc-before.TotalAlloc)/all)
		least = min(least, per)
	}
	return least
}

// onWorkers runs fn for each worker of the proxy on its loop and waits.
func (p *testProxy) onWorkers(fn func(*worker)) {
	for _, w := range p.allWorkers() {
		done := make(chan struct{})
		if w.loop.Post(func() { fn(w); close(done) }) {
			<-done
		}
	}
}

// counter is a counter or gauge of the proxy, summed over its workers.
func (p *testProxy) counter(name string) int {
	sum := 0.0
	p.Stats(func(s stats.Sample) {
		if s.Name == name {
			sum += s.Value
		}
	})
	return int(sum)
}

// waitCounter polls until the counter has that value at least.
func (p *testProxy) waitCounter(t testing.TB, name string, least int) {
	t.Helper()
	require.Eventually(t, func() bool { return p.counter(name) >= least }, wireTimeout, 10*time.Millisecond, name)
}
