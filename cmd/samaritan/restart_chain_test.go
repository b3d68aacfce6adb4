package main

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// gone waits until a process of the daemon has ended.
func (c *child) gone(pid int) {
	c.t.Helper()
	require.Eventually(c.t, func() bool { return !isSamaritan(pid) }, patience, 5*time.Millisecond, "process %d ends", pid)
}

// notifiedOf reads until it gets a message that begins so.
func notifiedOf(t *testing.T, conn *net.UnixConn, begin string) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	b := make([]byte, 4096)
	for {
		n, err := conn.Read(b)
		require.NoError(t, err, begin)
		if strings.HasPrefix(string(b[:n]), begin) {
			return
		}
	}
}

// The first of three processes would take back from the second one, which has handed over
// to the third one. Then two would serve. It is still there for a connection that cannot move.
func TestOneProcessServesWhenTheMiddleOfThreeIsKilled(t *testing.T) {
	cluster := testredis.Shared(t, clusterWithReplicas)
	stream := testredis.FreeAddress(t)
	c := launchHot(t, nil, func(c *child) {
		c.write(sheet{admin: c.admin, services: []entry{
			{name: "redis-test", listen: c.redis, nodes: cluster.Addrs()},
			{name: "stream", listen: stream, more: "protocol: TCP", nodes: []string{newGreeter(t, "a").address}},
		}}.text())
	})
	c.await("/ready", 200, "")
	stays, err := visit(stream)
	require.NoError(t, err)
	k := c.caller()
	first := c.serving()
	second := c.restart()
	third := c.restart()
	c.await("/hotrestart", 200, `"clients":0,"adopted":1`)
	require.NoError(t, syscall.Kill(second, syscall.SIGKILL))
	c.awaitLog("another one serves in its place")
	assert.NoError(t, stays.ask("hello"))
	require.NoError(t, stays.Close())
	c.gone(first)
	assert.Equal(t, third, c.serving())
	assert.Equal(t, "+PONG", k.say("PING"))
	assert.NotContains(t, c.out.String(), "takes back")
	c.endHot()
}

// The second of three is killed before it has handed over. The first one takes back, or the
// third one serves, and the other one ends.
func TestOneProcessServesWhenTheMiddleOfThreeIsKilledBeforeItHasHandedOver(t *testing.T) {
	cluster := testredis.Shared(t, clusterWithReplicas)
	c := launchHot(t, cluster.Addrs())
	c.await("/ready", 200, "")
	first := c.serving()
	second := c.restart()
	s := sheet{admin: c.admin, services: []entry{
		{name: "redis-test", listen: c.redis, nodes: cluster.Addrs()},
		{name: "dead", listen: testredis.FreeAddress(t), nodes: []string{testredis.FreeAddress(t)}},
	}}
	c.write(s.text())
	require.NoError(t, syscall.Kill(second, syscall.SIGHUP))
	var third int
	require.Eventually(t, func() bool {
		_, body := c.get("/hotrestart")
		_, rest, ok := strings.Cut(body, `"successor":{"pid":`)
		if ok {
			_, err := fmt.Sscanf(rest, "%d", &third)
			ok = err == nil && strings.Contains(rest, "service dead")
		}
		return ok
	}, patience, 5*time.Millisecond)
	require.NoError(t, syscall.Kill(second, syscall.SIGKILL))
	serves, ends := 0, 0
	require.Eventually(t, func() bool {
		serves = c.serving()
		ends = first + third - serves
		return (serves == first || serves == third) && !isSamaritan(ends)
	}, patience, 5*time.Millisecond, "one of %d and %d serves, the other one ends", first, third)
	assert.True(t, isSamaritan(serves))
	assert.Equal(t, "+PONG", c.caller().say("PING"))
	c.endHot()
}

// The status line is what people look at first.
func TestSystemdIsToldWhyARestartFailed(t *testing.T) {
	notify, address := notifySocket(t)
	cluster := testredis.Shared(t, clusterWithReplicas)
	c := launchHot(t, cluster.Addrs(), func(c *child) {
		c.cmd.Env = append(c.cmd.Env, "NOTIFY_SOCKET="+address)
	})
	notified(t, notify, "READY=1\nSTATUS=ready")
	good := sheet{admin: c.admin, services: []entry{{name: "redis-test", listen: c.redis, nodes: cluster.Addrs()}}}
	c.write("static_services: 7\n")
	c.signal(syscall.SIGHUP)
	notifiedOf(t, notify, "STATUS=ready; the last hot restart failed: check ")

	c.write(good.text())
	pid := c.restart()
	notified(t, notify, "READY=1\nSTATUS=ready")
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	notified(t, notify, fmt.Sprintf("MAINPID=%d\nREADY=1", c.cmd.Process.Pid))
	notified(t, notify, "STATUS=ready; the last hot restart failed: the new process died after it had taken over")
	c.endHot()
}

// A new process that stops when it has just taken over serves nobody, and does not end either.
func TestNewProcessThatHangsIsNoticed(t *testing.T) {
	c := launchHot(t, testredis.Shared(t, clusterWithReplicas).Addrs(), flags("-restart-timeout", "8s"))
	c.await("/ready", 200, "")
	first := c.serving()
	second := c.restart()
	require.NoError(t, syscall.Kill(second, syscall.SIGSTOP))
	c.awaitLog("this one takes back")
	assert.Equal(t, first, c.serving())
	assert.False(t, isSamaritan(second))
	assert.Equal(t, "+PONG", c.caller().say("PING"))
	assert.Equal(t, 1.0, c.number("hotrestart.failures_total"))
	assert.Equal(t, 1.0, c.number("hotrestart.taken_back_total"))
	c.endHot()
}

// Who ends the old process as it hands over does not mean its clients, who move all the same.
func TestClientsMoveAlthoughTheOldProcessIsToldToEnd(t *testing.T) {
	c := launchHot(t, testredis.Shared(t, clusterWithReplicas).Addrs())
	c.await("/ready", 200, "")
	clients := make([]*caller, 100)
	for i := range clients {
		clients[i] = c.caller()
		require.Equal(t, "+PONG", clients[i].say("PING"))
	}
	first := c.serving()
	c.restart()
	require.NoError(t, syscall.Kill(first, syscall.SIGTERM))
	c.gone(first)
	for _, k := range clients {
		assert.Equal(t, "+PONG", k.say("PING"))
	}
	c.endHot()
}
