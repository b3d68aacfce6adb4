package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// echoes is a server that says its name and then all that it hears.
func echoes(t *testing.T, name string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = fmt.Fprintln(conn, name)
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return ln.Addr().String()
}

// talk is a connection to such a server.
type talk struct {
	t *testing.T
	net.Conn
	in   *bufio.Reader
	name string
}

func talkTo(t *testing.T, address string) *talk {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, patience)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(3*patience)))
	k := &talk{t: t, Conn: conn, in: bufio.NewReader(conn)}
	k.name = k.line()
	return k
}

func (k *talk) line() string {
	k.t.Helper()
	text, err := k.in.ReadString('\n')
	require.NoError(k.t, err)
	return strings.TrimSpace(text)
}

func (k *talk) says(text string) {
	k.t.Helper()
	_, err := fmt.Fprintln(k, text)
	require.NoError(k.t, err)
	require.Equal(k.t, text, k.line())
}

func TestStreamsOfBytesGoOnWhileTheirServiceChanges(t *testing.T) {
	a, b := echoes(t, "a"), echoes(t, "b")
	c, s := beginWith(t, []string{a}, func(c *child) { rewrite(t, c, "protocol: Redis", "protocol: TCP") })
	s.services[0].more = "protocol: TCP"
	c.await("/ready", 200, "")
	k := talkTo(t, c.redis)
	assert.Equal(t, "a", k.name)
	for _, more := range []string{
		"protocol: TCP, idle_timeout: 1m, connect_timeout: 1s",
		"protocol: TCP, lb_policy: LEAST_CONNECTION",
		"protocol: TCP, health_check: {interval: 1s, tcp_checker: {}}",
		"protocol: TCP, tcp_option: {drain_timeout: 1m, connect_attempts: 2}",
		"protocol: TCP",
	} {
		s.services[0].more = more
		assert.Equal(t, []string{"redis-test"}, c.reload(s).Changed, more)
		k.says(more)
	}
	s.services[0].nodes = []string{b}
	assert.Equal(t, []string{"redis-test"}, c.reload(s).Endpoints)
	require.Eventually(t, func() bool { return talkTo(t, c.redis).name == "b" }, patience, 5*time.Millisecond)
	k.says("the endpoint is not there for others any more")
	c.await("/endpoints?service=redis-test", 200, b)
	c.await("/endpoints", 200, `"redis-test":[`)
	assert.Zero(t, c.number("controller.service_restarts_total"))

	s.services[0].listen = testredis.FreeAddress(t)
	c.reload(s)
	require.Eventually(t, func() bool { return talkToAny(s.services[0].listen) }, patience, 5*time.Millisecond)
	k.says("a connection to the old address lasts")
	require.NoError(t, k.Close())
	for path, want := range map[string]int{"/endpoints?service=nobody": 404, "/topology?service=redis-test": 404, "/hotkeys?service=redis-test": 400} {
		status, body := c.get(path)
		assert.Equal(t, want, status, body)
	}
	c.signal(syscall.SIGTERM)
	assert.Equal(t, 0, c.exit())
}

func talkToAny(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	return true
}

func TestProtocolChangesOfAServiceThatStaysWhereItIs(t *testing.T) {
	cluster := testredis.Shared(t, clusterWithReplicas)
	c, s := beginWith(t, cluster.Addrs())
	c.await("/ready", 200, "")
	c.await("/endpoints?service=redis-test", 200, cluster.Addrs()[0])
	s.services[0].more, s.services[0].nodes = "protocol: TCP", []string{echoes(t, "a")}
	c.reload(s)
	require.Eventually(t, func() bool {
		conn, err := net.DialTimeout("tcp", c.redis, time.Second)
		if err != nil {
			return false
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		text, _ := bufio.NewReader(conn).ReadString('\n')
		return text == "a\n"
	}, patience, 5*time.Millisecond)
	assert.Equal(t, "TCP", c.serviceStatus()["protocol"])
}
