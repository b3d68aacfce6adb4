package main

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

func TestLevelOfTheFileHoldsWhenItChangesAndNoSooner(t *testing.T) {
	c, s := beginWith(t, []string{testredis.FreeAddress(t)})
	c.await("/live", 200, "")
	status, body := c.post("/ops/loglevel?level=ERROR")
	require.Equal(t, 200, status, body)

	s.services[0].limit = 3
	c.reload(s)
	assert.NotContains(t, c.out.String(), "config reloaded", "the level that was asked for holds")
	s.top = "log: {level: DEBUG}"
	assert.Equal(t, []string{"log.level"}, c.reload(s).Settings)
	c.awaitLog(`msg="config reloaded" cause=admin added=[] removed=[] changed=[] endpoints=[] settings=[log.level]`)
	assert.Equal(t, 1, strings.Count(c.out.String(), "config reloaded"))

	status, body = c.post("/ops/loglevel?level=QUIET")
	require.Equal(t, 200, status, body)
	s.top = ""
	c.reload(s)
	require.Eventually(t, func() bool { return strings.Count(c.out.String(), "config reloaded") == 2 }, patience, time.Millisecond)
}

func TestLogGoesElsewhereAndComesBack(t *testing.T) {
	server, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	require.NoError(t, err)
	defer server.Close()
	require.NoError(t, server.SetReadDeadline(time.Now().Add(patience)))
	heard := func(text string) {
		t.Helper()
		b := make([]byte, 4096)
		for {
			n, err := server.Read(b)
			require.NoError(t, err, text)
			if strings.Contains(string(b[:n]), text) {
				return
			}
		}
	}
	_, port, err := net.SplitHostPort(server.LocalAddr().String())
	require.NoError(t, err)

	c, s := beginWith(t, []string{testredis.FreeAddress(t)})
	c.await("/services", 200, `"state":"running"`)
	for _, host := range []string{"127.0.0.1", "localhost"} {
		s.top = "log: {output: {type: SYSLOG, target: '" + host + ":" + port + "'}}"
		assert.Equal(t, []string{"log.output"}, c.reload(s).Settings)
		heard(`msg="config reloaded"`)
		c.awaitLog(`msg="the log goes to another output now"`) // the last line there
		before := c.out.String()
		status, body := c.post("/ops/loglevel?level=INFO")
		require.Equal(t, 200, status, body)
		heard(`msg="log level changed" component=admin level=INFO`)
		assert.Equal(t, before, c.out.String())
	}
	s.top = ""
	c.reload(s)
	heard("the log goes to another output now")
	c.awaitLog(`msg="config reloaded" cause=admin added=[] removed=[] changed=[] endpoints=[] settings=[log.output]`)
	assert.Zero(t, c.number("runtime.log_dropped_total"))
}
