package redis

import (
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestIdleClientsMoveWithAllThatTheyAre(t *testing.T) {
	a, b := startTwins(t, proxyOptions{})
	c := connect(t, a.Addr)
	must(t, c, "HELLO", 3, "SETNAME", "me")
	must(t, c, "CLIENT", "SETINFO", "LIB-NAME", "lib")
	must(t, c, "CLIENT", "SETINFO", "LIB-VER", "1.2")
	must(t, c, "CLIENT", "NO-EVICT", "on")
	must(t, c, "CLIENT", "TRACKING", "on", "OPTIN")
	id := must(t, c, "CLIENT", "ID")
	must(t, c, "HSET", "h", "f", "v")
	moveAll(t, a, b)
	assert.Equal(t, id, must(t, c, "CLIENT", "ID"))
	info := must(t, c, "CLIENT", "INFO").(string)
	for _, part := range []string{"name=me ", "lib-name=lib ", "lib-ver=1.2", "resp=3 ", "flags=te "} {
		assert.Contains(t, info, part)
	}
	assert.Equal(t, []any{"f", "v"}, must(t, c, "HGETALL", "h"))

	assert.Equal(t, 1, a.counter("downstream.cx_total"))
	assert.Equal(t, 0, a.counter("downstream.cx_destroy_total"))
	assert.Equal(t, 1, a.counter("downstream.cx_moved_out"))
	assert.Equal(t, 0, a.counter("downstream.cx_active"))
	assert.Equal(t, 0, b.counter("downstream.cx_total"))
	assert.Equal(t, 1, b.counter("downstream.cx_moved_in"))
	assert.Equal(t, 1, b.counter("downstream.cx_active"))
	assert.Equal(t, 1, b.Clients())
	c.Close()
	b.waitCounter(t, "downstream.cx_destroy_total", 1)
	assert.Zero(t, b.Clients())
}

// idle opens n client connections that have been answered once.
func idle(t testing.TB, addr string, n int) []net.Conn {
	conns := make([]net.Conn, n)
	for i := range conns {
		conns[i] = dialWire(t, addr)
		_, err := io.WriteString(conns[i], "PING\r\n")
		require.NoError(t, err)
	}
	pong(t, conns)
	return conns
}

func pong(t testing.TB, conns []net.Conn) {
	got := make([]byte, 7)
	for _, c := range conns {
		_, err := io.ReadFull(c, got)
		require.NoError(t, err)
		require.Equal(t, "+PONG\r\n", string(got))
	}
}

func TestManyIdleClientsMoveAtOnce(t *testing.T) {
	a, b := startTwins(t, proxyOptions{})
	n := 10_000
	if raceDetector {
		n = 2000
	}
	n = min(n, (descriptorLimit(t)-openDescriptors(t)-200)/2)
	require.Greater(t, n, 400, "the limit of open files is too low")
	conns := idle(t, a.Addr, n)
	for round := range 4 {
		took := moveAll(t, a, b)
		t.Logf("%d clients moved in %v", n, took)
		assert.Equal(t, n, b.Clients(), "round %d", round)
		a, b = b, a
	}
	for _, c := range conns {
		_, err := io.WriteString(c, "PING\r\n")
		require.NoError(t, err)
	}
	pong(t, conns)
	a.onWorkers(func(w *worker) {
		seen := map[int64]bool{}
		for _, s := range w.sessions {
			assert.False(t, seen[s.state.ID], fmt.Sprint("two clients have the number ", s.state.ID))
			seen[s.state.ID] = true
		}
	})
}
