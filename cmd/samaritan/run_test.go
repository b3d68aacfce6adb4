package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

func TestDaemonInFrontOfACluster(t *testing.T) {
	cluster := testredis.StartCluster(t, testredis.Options{})
	notify, address := notifySocket(t)
	begin := time.Now()
	c := launch(t, cluster.Addrs(), func(c *child) {
		c.cmd.Env = append(c.cmd.Env, "NOTIFY_SOCKET="+address, "WATCHDOG_USEC=400000")
	})
	c.await("/ready", 200, `"ready":true`)
	t.Logf("ready after %v", time.Since(begin))

	assert.Equal(t, "PONG", c.redisCLI("PING"))
	for i := range 20 {
		key, value := fmt.Sprintf("key:%d", i), fmt.Sprintf("value %d", i)
		require.Equal(t, "OK", c.redisCLI("SET", key, value))
		require.Equal(t, value, c.redisCLI("GET", key))
	}
	assert.Equal(t, "running", c.serviceStatus()["state"])
	assert.Equal(t, c.redis, c.serviceStatus()["listen"])
	_, stats := c.get("/stats")
	for _, want := range []string{"live: 1\n", "runtime.loops: 1\n", "controller.services_running: 1\n", "service.redis-test.downstream.cx_total: "} {
		assert.Contains(t, stats, want)
	}
	_, config := c.get("/config")
	assert.Contains(t, config, "redis-test")
	status, _ := c.get("/topology?service=nobody")
	assert.Equal(t, 404, status)

	notified(t, notify, "READY=1\nSTATUS=ready")
	notified(t, notify, "WATCHDOG=1")
	assert.Equal(t, 1, strings.Count(c.out.String(), "samaritan starts"), "one line at start: %s", c.out.String())
	assert.Contains(t, c.out.String(), `msg="samaritan starts" version=dev pid=`)
	assert.NotContains(t, c.out.String(), "level=ERROR")
	assert.NotContains(t, c.out.String(), "level=WARN")

	c.signal(syscall.SIGTERM)
	assert.Equal(t, 0, c.exit())
	notified(t, notify, "STOPPING=1\nSTATUS=stopping")
	assert.Empty(t, c.err.String())
	assert.NoFileExists(t, filepath.Join(c.data, "samaritan.pid"))
}

func (c *child) redisCLI(args ...string) string {
	host, port, _ := net.SplitHostPort(c.redis)
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, "redis-cli", append([]string{"-h", host, "-p", port}, args...)...).CombinedOutput()
	require.NoErrorf(c.t, err, "%s", out)
	return strings.TrimSpace(string(out))
}

// notifySocket stands for systemd.
func notifySocket(t *testing.T) (conn *net.UnixConn, address string) {
	t.Helper()
	address = filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn, address
}

// notified reads until it gets the message.
func notified(t *testing.T, conn *net.UnixConn, want string) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	b := make([]byte, 4096)
	for {
		n, err := conn.Read(b)
		require.NoError(t, err, want)
		if string(b[:n]) == want {
			return
		}
	}
}

func TestDeadClusterIsNotReadyAndEndsOnSignals(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			c := launch(t, []string{testredis.FreeAddress(t)})
			c.await("/ready", 503, "service redis-test: ")
			c.await("/live", 200, "")
			text, err := os.ReadFile(filepath.Join(c.data, "samaritan.pid"))
			require.NoError(t, err)
			assert.Equal(t, fmt.Sprintf("%d\n", c.cmd.Process.Pid), string(text))
			require.Eventually(t, func() bool {
				reply, err := c.call("PING")
				return err == nil && reply == "+PONG"
			}, patience, 5*time.Millisecond, "what needs no node works")
			c.signal(sig)
			assert.Equal(t, 0, c.exit())
		})
	}
}

func TestListenAddressInUseIsRetried(t *testing.T) {
	var taken net.Listener
	inUse := func(c *child) {
		var err error
		taken, err = net.Listen("tcp", c.redis)
		require.NoError(t, err)
	}
	t.Run("until it is free", func(t *testing.T) {
		c := launch(t, []string{testredis.FreeAddress(t)}, inUse)
		c.await("/ready", 503, "address already in use")
		assert.Equal(t, "failed", c.serviceStatus()["state"])
		assert.Contains(t, c.serviceStatus()["last_error"], "next try at")
		require.NoError(t, taken.Close())
		c.await("/services", 200, `"state":"running"`)
		c.awaitLog("service runs again")
	})
	t.Run("SIGTERM ends it meanwhile", func(t *testing.T) {
		c := launch(t, []string{testredis.FreeAddress(t)}, inUse)
		defer taken.Close()
		c.await("/ready", 503, "address already in use")
		c.signal(syscall.SIGTERM)
		assert.Equal(t, 0, c.exit())
	})
}

func TestAdminAddressInUseIsNotFatal(t *testing.T) {
	var taken net.Listener
	c := launch(t, []string{testredis.FreeAddress(t)}, func(c *child) {
		var err error
		taken, err = net.Listen("tcp", c.admin)
		require.NoError(t, err)
	})
	c.awaitLog("admin server cannot listen, trying again")
	require.Eventually(t, func() bool {
		reply, err := c.call("PING")
		return err == nil && reply == "+PONG"
	}, patience, 5*time.Millisecond)
	require.NoError(t, taken.Close())
	c.await("/live", 200, "")
	c.signal(syscall.SIGTERM)
	assert.Equal(t, 0, c.exit())
}

func TestShutdownOverHTTP(t *testing.T) {
	c := launch(t, []string{testredis.FreeAddress(t)})
	c.await("/ops/shutdown", 200, `{"msg":"OK"}`)
	assert.Equal(t, 0, c.exit())
}

func TestDataDirectoryThatCannotBeUsedIsNotFatal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	c := launch(t, []string{testredis.FreeAddress(t)}, func(c *child) {
		c.cmd.Args[4] = filepath.Join(file, "data")
	})
	c.awaitLog("cannot use the data directory, going on without")
	c.await("/live", 200, "")
	status, body := c.post("/ops/hotrestart")
	assert.Equal(t, 500, status, "there is no place to meet the next process")
	assert.Contains(t, body, "not a directory")
	c.signal(syscall.SIGTERM)
	assert.Equal(t, 0, c.exit())
}

func TestFileLimitIsRaisedToTheHardOne(t *testing.T) {
	for _, tt := range []struct {
		hard, want string
		warn       bool
	}{{"1000", "(999|1000)", true}, {"4096", "(4095|4096)", false}} {
		c := launch(t, []string{testredis.FreeAddress(t)}, func(c *child) {
			shell, err := exec.LookPath("bash")
			require.NoError(t, err)
			c.cmd.Path = shell
			c.cmd.Args = append([]string{"bash", "-c", "ulimit -Sn 200 && ulimit -Hn " + tt.hard + " && exec \"$0\" \"$@\""}, c.cmd.Args...)
		})
		c.await("/stats", 200, "")
		_, stats := c.get("/stats")
		assert.Regexp(t, "runtime.max_fds: "+tt.want+"\n", stats, "the runtime leaves one out")
		assert.Equal(t, tt.warn, strings.Contains(c.out.String(), "the limit of open files is low"))
	}
}

func TestReaderOfTheLogThatWentAwayEndsNothing(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	c := launch(t, []string{testredis.FreeAddress(t)}, func(c *child) { c.cmd.Stdout = w })
	require.NoError(t, w.Close())
	c.await("/live", 200, "")
	require.NoError(t, r.Close())
	c.signal(syscall.SIGUSR1) // it is logged
	c.await("/live", 200, "")
	c.signal(syscall.SIGTERM)
	assert.Equal(t, 0, c.exit())
}
