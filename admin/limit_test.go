package admin

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func (h *host) dial() net.Conn {
	h.t.Helper()
	c, err := net.Dial("tcp", h.addr)
	require.NoError(h.t, err)
	require.NoError(h.t, c.SetDeadline(time.Now().Add(patience)))
	h.t.Cleanup(func() { c.Close() })
	return c
}

// requireClosed reads to the end of a connection that the server must close. A
// reset is an end too.
func requireClosed(t *testing.T, c net.Conn) string {
	t.Helper()
	b, err := io.ReadAll(c)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the connection stays open")
	return string(b)
}

func TestSlowHeadersAreCutOff(t *testing.T) {
	o := full()
	o.Timeouts.Header = 50 * time.Millisecond
	h := start(t, o)
	silent, partial := h.dial(), h.dial()
	_, err := partial.Write([]byte("GET /stats HTTP/1.1\r\nHost: x\r\nX-Slow: "))
	require.NoError(t, err)
	requireClosed(t, silent)
	requireClosed(t, partial)
	assert.Equal(t, 200, h.get("/live").status)
}

func TestSlowBodiesAreCutOff(t *testing.T) {
	o := full()
	o.Timeouts.Read = 50 * time.Millisecond
	h := start(t, o)
	c := h.dial()
	_, err := c.Write([]byte("POST /ops/loglevel HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"))
	require.NoError(t, err)
	assert.Contains(t, requireClosed(t, c), "400 Bad Request")
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	o := full()
	o.Timeouts.Idle = 20 * time.Millisecond
	h := start(t, o)
	c := h.dial()
	_, err := c.Write([]byte("GET /live HTTP/1.1\r\nHost: x\r\n\r\n"))
	require.NoError(t, err)
	assert.Contains(t, requireClosed(t, c), `{"live":true}`)
}

func TestReadersThatNeverReadAreCutOff(t *testing.T) {
	o := full()
	o.Config = func() ([]byte, error) { return make([]byte, 64<<20), nil }
	o.Timeouts.Write = 50 * time.Millisecond
	h := start(t, o)
	c := h.dial()
	_, err := c.Write([]byte("GET /config HTTP/1.1\r\nHost: x\r\n\r\n"))
	require.NoError(t, err)
	eventually(t, "the connection goes", func() bool {
		return h.counters.connsTotal.Load() == 1 && h.counters.connsOpen.Load() == 0
	})
}

func TestHugeHeadersAreRefused(t *testing.T) {
	h := start(t, full())
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\nX-Huge: " + strings.Repeat("x", 32<<10) + "\r\n\r\n",
		"GET /" + strings.Repeat("x", 32<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		c := h.dial()
		_, err := c.Write([]byte(request))
		require.NoError(t, err)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		res.Body.Close()
		assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, res.StatusCode)
	}
	assert.Equal(t, 200, h.do("GET", "/live", "", "X-Fine", strings.Repeat("x", 8<<10)).status)
}

func TestGarbageIsRefused(t *testing.T) {
	h := start(t, full())
	for _, request := range []string{"*1\r\n$4\r\nPING\r\n\r\n", "\x16\x03\x01\x02\x00\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"} {
		c := h.dial()
		_, err := c.Write([]byte(request))
		require.NoError(t, err)
		assert.Contains(t, requireClosed(t, c), "400 Bad Request")
	}
	assert.Equal(t, 200, h.get("/live").status)
}

func TestConnectionsAreBounded(t *testing.T) {
	o := full()
	o.MaxConns = 3
	h := start(t, o)
	held := make([]net.Conn, o.MaxConns)
	for i := range held {
		held[i] = h.dial()
	}
	eventually(t, "all are accepted", func() bool { return h.counters.connsOpen.Load() == 3 })

	refused := h.dial()
	res, err := http.ReadResponse(bufio.NewReader(refused), nil)
	require.NoError(t, err)
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	res.Body.Close()
	requireError(t, answer{res.StatusCode, res.Header, string(b)}, 503)
	assert.EqualValues(t, 1, h.counters.connsRefused.Load())

	held[0].Close()
	eventually(t, "the place is free again", func() bool { return h.counters.connsOpen.Load() == 2 })
	a := h.get("/stats?filter=admin.")
	assert.Equal(t, "admin.cx_active: 3\nadmin.cx_restricted: 1\nadmin.cx_total: 4\nadmin.rq_total: 1\n", a.body)
}

func TestManyConnectionsComeAndGo(t *testing.T) {
	h := start(t, full())
	for i := range 300 {
		c := h.dial()
		_, err := fmt.Fprintf(c, "GET /live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		require.NoError(t, err)
		require.Contains(t, requireClosed(t, c), `{"live":true}`, i)
	}
	eventually(t, "all places are free", func() bool { return h.counters.connsOpen.Load() == 0 })
}
