package main

import (
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// newcomers dials an address all the time, and counts who gets in and who is refused. The
// function ends it.
func newcomers(t *testing.T, address string) (in, refused *atomic.Int64, end func()) {
	t.Helper()
	in, refused = new(atomic.Int64), new(atomic.Int64)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			conn, err := net.DialTimeout("tcp", address, patience)
			if errors.Is(err, syscall.ECONNREFUSED) {
				refused.Add(1)
			}
			if err != nil {
				continue
			}
			if n, _ := conn.Read(make([]byte, 1)); n == 1 {
				in.Add(1)
			}
			_ = conn.Close()
		}
	}()
	return in, refused, func() { close(stop); <-done }
}

// TestAddressOfAServiceIsBoundAllTheTime: whatever takes the place of what listens there.
func TestAddressOfAServiceIsBoundAllTheTime(t *testing.T) {
	server := echoes(t, "server")
	address := testredis.FreeAddress(t)
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	c, s := beginWith(t, []string{testredis.FreeAddress(t)})
	serve := func(listen, protocol string) {
		t.Helper()
		s = s.with(func(s *sheet) {
			s.services = []entry{{name: "tcp-test", listen: listen, more: "protocol: " + protocol, nodes: []string{server}}}
		})
		c.reload(s)
		c.await("/services", 200, `"state":"running"`)
		require.Eventually(t, func() bool {
			_, text := c.get("/services")
			return strings.Contains(text, `"protocol":"`+protocol+`"`) && strings.Contains(text, listen)
		}, patience, time.Millisecond)
	}
	c.await("/live", 200, "")
	serve(address, "TCP")
	assert.Equal(t, "server", talkTo(t, address).name)
	in, refused, end := newcomers(t, address)
	defer end()
	for _, next := range []struct{ listen, protocol string }{
		{"0.0.0.0:" + port, "TCP"},
		{"0.0.0.0:" + port, "MySQL"},
		{address, "MySQL"},
		{address, "TCP"},
		{"0.0.0.0:" + port, "MySQL"},
	} {
		serve(next.listen, next.protocol)
		before := in.Load()
		require.Eventually(t, func() bool { return in.Load() > before+20 }, patience, time.Millisecond)
		assert.Zero(t, refused.Load(), "%+v", next)
	}
	require.NotContains(t, c.out.String(), "level=ERROR")
	_, err = net.Listen("tcp", address)
	assert.ErrorIs(t, err, syscall.EADDRINUSE)
}
