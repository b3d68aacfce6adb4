package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api/protocol"
	"samaritan/internal/testredis"
)

// serving returns the pid of the process that serves, by the pid file.
func (c *child) serving() int {
	return pidFile{filepath.Join(c.data, "samaritan.pid")}.read()
}

// launchHot launches a daemon that may be restarted: whoever serves is killed at the end.
func launchHot(t *testing.T, nodes []string, change ...func(c *child)) *child {
	t.Helper()
	c := launch(t, nodes, change...)
	t.Cleanup(func() {
		if pid := c.serving(); pid != 0 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return c
}

// restart has a new process take over and returns its pid.
func (c *child) restart() int {
	c.t.Helper()
	before := c.serving()
	status, body := c.post("/ops/hotrestart")
	require.Equal(c.t, 200, status, body)
	pid := c.serving()
	assert.NotEqual(c.t, before, pid)
	assert.JSONEq(c.t, fmt.Sprintf(`{"msg":"OK","pid":%d}`, pid), body)
	return pid
}

// ended waits until no process of the daemon is left.
func (c *child) ended() {
	c.t.Helper()
	select {
	case <-c.done:
	case <-time.After(patience):
		require.Fail(c.t, "a process of the daemon does not end")
	}
}

func (c *child) endHot() {
	c.t.Helper()
	require.NoError(c.t, syscall.Kill(c.serving(), syscall.SIGTERM))
	c.ended()
	assert.Zero(c.t, c.serving(), "the pid file is gone")
	left, err := filepath.Glob(filepath.Join(c.data, "*.sock"))
	require.NoError(c.t, err)
	assert.Empty(c.t, left)
}

// caller is a client connection that lives over restarts.
type caller struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func (c *child) caller() *caller {
	c.t.Helper()
	conn, err := net.Dial("tcp", c.redis)
	require.NoError(c.t, err)
	c.t.Cleanup(func() { _ = conn.Close() })
	return &caller{c.t, conn, bufio.NewReader(conn)}
}

// say sends an inline command and returns the first line of the reply.
func (k *caller) say(command string) string {
	k.t.Helper()
	require.NoError(k.t, k.conn.SetDeadline(time.Now().Add(patience)))
	_, err := fmt.Fprintf(k.conn, "%s\r\n", command)
	require.NoError(k.t, err)
	line, err := k.in.ReadString('\n')
	require.NoError(k.t, err)
	return strings.TrimSpace(line)
}

func TestHotRestart(t *testing.T) {
	cluster := testredis.Shared(t, clusterWithReplicas)
	c := launchHot(t, cluster.Addrs())
	c.await("/ready", 200, "")
	k := c.caller()
	id := k.say("CLIENT ID")
	assert.Equal(t, "+OK", k.say("CLIENT SETNAME me"))
	assert.Equal(t, "+OK", k.say("SET hot-restart 1"))
	total := c.number("service.redis-test.downstream.rq_total")
	first := c.serving()

	second := c.restart()
	assert.Equal(t, ":2", k.say("INCR hot-restart"))
	assert.Equal(t, id, k.say("CLIENT ID"))
	require.Eventually(t, func() bool { return c.number("service.redis-test.downstream.rq_total") == total+2 }, patience, 5*time.Millisecond)
	assert.Equal(t, 1.0, c.number("hotrestart.restarts_total"))

	third := c.restart() // while the first one may be there still
	assert.Equal(t, ":3", k.say("INCR hot-restart"))
	assert.Equal(t, id, k.say("CLIENT ID"))
	assert.Equal(t, "$2", k.say("CLIENT GETNAME"))
	c.await("/hotrestart", 200, fmt.Sprintf(`"pid":%d,"restarts":2`, third))
	for _, pid := range []int{first, second} {
		require.Eventually(t, func() bool { return !isSamaritan(pid) }, patience, 5*time.Millisecond, "the old process ends")
	}
	require.Eventually(t, func() bool {
		_, body := c.get("/hotrestart")
		return !strings.Contains(body, "predecessor")
	}, patience, 5*time.Millisecond)
	assert.Equal(t, 1.0, c.number("service.redis-test.downstream.cx_active"))
	assert.Equal(t, 1.0, c.number("service.redis-test.downstream.cx_total"))
	c.endHot()
}

// Streams do not move, so who connects after a restart has to be the new process's.
func TestOldProcessAcceptsNobodyAfterARestart(t *testing.T) {
	stream := testredis.FreeAddress(t)
	c := launchHot(t, nil, func(c *child) {
		c.write(sheet{admin: c.admin, services: []entry{
			{name: "stream", listen: stream, more: "protocol: TCP", nodes: []string{newGreeter(t, "a").address}},
		}}.text())
	})
	c.await("/ready", 200, "")
	stays, err := visit(stream)
	require.NoError(t, err)
	defer stays.Close()
	c.restart()
	const more = 30
	for range more {
		g, err := visit(stream)
		require.NoError(t, err)
		defer g.Close()
	}
	assert.Equal(t, float64(more), c.number("service.stream.downstream.cx_active"))
	c.await("/hotrestart", 200, `"clients":1,`)
	assert.NoError(t, stays.ask("still served"))
	c.endHot()
}

// Both are in the way of the other.
func TestRestartsAndReloadsAtTheSameTime(t *testing.T) {
	c := launchHot(t, testredis.Shared(t, clusterWithReplicas).Addrs())
	c.await("/ready", 200, "")
	k := c.caller()
	answers := make(chan string, 6)
	for i := range cap(answers) {
		path := []string{"/ops/hotrestart", "/ops/reload"}[i%2]
		go func() {
			status, _ := c.post(path)
			answers <- fmt.Sprint(path, " ", status)
		}()
	}
	restarts := 0
	for range cap(answers) {
		switch answer := <-answers; answer {
		case "/ops/hotrestart 200":
			restarts++
		case "/ops/hotrestart 409", "/ops/hotrestart 503", "/ops/reload 200", "/ops/reload 503", "/ops/reload 0", "/ops/hotrestart 0":
		default:
			t.Error(answer)
		}
	}
	assert.GreaterOrEqual(t, restarts, 1)
	assert.Equal(t, "+PONG", k.say("PING"))
	c.endHot()
}

// Systemd's main process is the one that serves, and hears of it in an order that it
// believes.
func TestSystemdIsToldTheNewMainProcess(t *testing.T) {
	notify, address := notifySocket(t)
	c := launchHot(t, testredis.Shared(t, clusterWithReplicas).Addrs(), func(c *child) {
		c.cmd.Env = append(c.cmd.Env, "NOTIFY_SOCKET="+address, "WATCHDOG_USEC=400000", "WATCHDOG_PID=")
	})
	notified(t, notify, "READY=1\nSTATUS=ready")
	pid := c.restart()
	notified(t, notify, fmt.Sprintf("MAINPID=%d\nREADY=1", pid))
	notified(t, notify, "READY=1\nSTATUS=ready")
	notified(t, notify, "WATCHDOG=1") // of the new one: the old one is mute
	c.endHot()
	notified(t, notify, "STOPPING=1\nSTATUS=stopping")
}

func TestSupervisorStaysOverRestarts(t *testing.T) {
	c := launchHot(t, testredis.Shared(t, clusterWithReplicas).Addrs(), flags("-supervise"))
	c.await("/ready", 200, "")
	k := c.caller()
	first := c.serving()
	assert.NotEqual(t, c.cmd.Process.Pid, first)
	for range 2 {
		before := c.serving()
		c.signal(syscall.SIGHUP)
		require.Eventually(t, func() bool { return c.serving() != before }, patience, 5*time.Millisecond)
		c.await("/hotrestart", 200, `"phase":"serving"`)
		assert.Equal(t, "+PONG", k.say("PING"))
	}
	c.signal(syscall.SIGTERM)
	assert.Equal(t, 0, c.exit())
	assert.Zero(t, c.serving())
}

// What a management server has told goes on, and is still followed after a restart.
func TestDynamicServicesLiveOverRestarts(t *testing.T) {
	cluster := testredis.Shared(t, clusterWithReplicas)
	src := newManager(t)
	told := testredis.FreeAddress(t)
	src.Set("told", wireConfig(told, protocol.Protocol_Redis), wireEndpoints(cluster.Addrs()...))
	c := launchHot(t, nil, func(c *child) { c.write(sheet{admin: c.admin, top: src.top()}.text()) })
	c.redis = told
	c.awaitReady("told")
	k := c.caller()
	for range 2 {
		assert.Equal(t, "+PONG", k.say("PING"))
		c.restart()
	}
	assert.Equal(t, "+PONG", k.say("PING"))
	c.await("/dynamic", 200, `"connected":true`)
	other := testredis.FreeAddress(t)
	src.Set("other", wireConfig(other, protocol.Protocol_Redis), wireEndpoints(cluster.Addrs()...))
	c.awaitReady("other")
	state := filepath.Join(c.data, "dynamic.json")
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(state)
		return err == nil && strings.Contains(string(text), "other")
	}, patience, 5*time.Millisecond, "the new process keeps the state")
	c.endHot()
}

// A level that was set by hand is a state of the process; that of the file is the file's.
func TestLogLevelLivesOverRestarts(t *testing.T) {
	nodes := testredis.Shared(t, clusterWithReplicas).Addrs()
	c := launchHot(t, nodes)
	c.await("/ready", 200, "")
	status, _ := c.post("/ops/loglevel?level=ERROR")
	require.Equal(t, 200, status)
	c.restart()
	logged := strings.Count(c.out.String(), "config unchanged")
	status, _ = c.post("/ops/reload")
	require.Equal(t, 200, status)
	status, _ = c.post("/ops/loglevel?level=INFO")
	require.Equal(t, 200, status)
	status, _ = c.post("/ops/reload")
	require.Equal(t, 200, status)
	c.awaitLog("config unchanged")
	assert.Equal(t, logged+1, strings.Count(c.out.String(), "config unchanged"))
	c.endHot()
}

// One that was set by hand holds until the file says something else.
func TestLogLevelOfAChangedFileHoldsAfterARestart(t *testing.T) {
	nodes := testredis.Shared(t, clusterWithReplicas).Addrs()
	c := launchHot(t, nodes)
	c.await("/ready", 200, "")
	status, _ := c.post("/ops/loglevel?level=QUIET")
	require.Equal(t, 200, status)
	c.write(sheet{admin: c.admin, top: "log: {level: DEBUG}", services: []entry{{name: "redis-test", listen: c.redis, nodes: nodes}}}.text())
	pid := c.restart()
	c.awaitLog("took over")
	status, _ = c.post("/ops/reload")
	require.Equal(t, 200, status)
	c.awaitLog("config unchanged")

	status, _ = c.post("/ops/loglevel?level=QUIET") // holds again, until the file changes again
	require.Equal(t, 200, status)
	logged := strings.Count(c.out.String(), "took over")
	assert.NotEqual(t, pid, c.restart())
	c.await("/hotrestart", 200, `"predecessor"`) // that it has taken over was said before
	status, _ = c.post("/ops/loglevel?level=INFO")
	require.Equal(t, 200, status)
	status, _ = c.post("/ops/reload")
	require.Equal(t, 200, status)
	require.Eventually(t, func() bool { return strings.Count(c.out.String(), "config unchanged") == 2 }, patience, 5*time.Millisecond)
	assert.Equal(t, logged, strings.Count(c.out.String(), "took over"))
	c.endHot()
}
