package main

import (
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

	"samaritan/internal/testredis"
)

func TestWatchedFileIsReloadedWhenItChanges(t *testing.T) {
	c, s := beginWith(t, []string{testredis.FreeAddress(t)}, flags("-watch"))
	c.await("/live", 200, "")
	for i := range 3 {
		s.services[0].limit = 100 + i
		c.write(s.text())
		c.await("/config", 200, fmt.Sprintf(`"connection_limit":%d`, 100+i))
	}
	c.awaitLog(`msg="config reloaded" cause="the file has changed" added=[] removed=[] changed=[redis-test] endpoints=[]`)
	c.write("nonsense: 1")
	c.awaitLog("nonsense: unknown field")
	c.await("/config", 200, `"connection_limit":102`)
	c.write(s.text())
	c.awaitLog("config unchanged")
	require.NoError(t, os.Remove(c.file()))
	c.awaitLog("the watched file cannot be read, waiting for it")
	c.await("/config", 200, `"connection_limit":102`)
	s.services[0].limit = 7
	c.write(s.text())
	c.await("/config", 200, `"connection_limit":7`)
	c.signal(syscall.SIGTERM)
	assert.Equal(t, 0, c.exit())
}

func TestFileIsNotWatchedUnlessItIsAskedFor(t *testing.T) {
	c, s := beginWith(t, []string{testredis.FreeAddress(t)})
	c.await("/live", 200, "")
	s.services[0].limit = 100
	c.write(s.text())
	assert.Equal(t, []string{"redis-test"}, c.reload(s).Changed, "nobody has taken it before")
}

// A ConfigMap is a directory of links that Kubernetes swaps all at once.
func TestConfigMapIsFollowedUnderLoad(t *testing.T) {
	cluster := testredis.Shared(t, clusterWithReplicas)
	dir := t.TempDir()
	n, last := 0, ""
	swap := func(text string) {
		n++
		name := fmt.Sprintf("..2026_11_23_%d", n)
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name, "samaritan.yaml"), []byte(text), 0o600))
		require.NoError(t, os.Symlink(name, filepath.Join(dir, "..data_tmp")))
		require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
		if last != "" {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, last)))
		}
		last = name
	}
	c, s := beginWith(t, cluster.Addrs(), flags("-watch"), func(c *child) {
		text, err := os.ReadFile(c.file())
		require.NoError(t, err)
		swap(string(text))
		c.cmd.Args[2] = filepath.Join(dir, "samaritan.yaml")
		require.NoError(t, os.Symlink(filepath.Join("..data", "samaritan.yaml"), c.file()))
	})
	c.await("/ready", 200, "")
	clients := hammer(t, c.redis, 2)
	for i := range 4 {
		s.services[0].limit = 100 + i
		swap(s.text())
		c.await("/config", 200, fmt.Sprintf(`"connection_limit":%d`, 100+i))
		clients.more(100)
	}
	second := testredis.FreeAddress(t)
	s.services = append(s.services, entry{name: "second", listen: second, nodes: cluster.Addrs()})
	swap(s.text())
	require.Eventually(t, func() bool { return roundTrip(second) == nil }, patience, 5*time.Millisecond)
	clients.more(100)
	assert.EqualValues(t, 5, c.number("config.reload_total"))
}

// nextNotified is the next message to systemd that is not about the watchdog.
func nextNotified(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	b := make([]byte, 4096)
	for {
		n, err := conn.Read(b)
		require.NoError(t, err)
		if text := string(b[:n]); text != "WATCHDOG=1" {
			return text
		}
	}
}

func TestSystemdIsToldOfReloads(t *testing.T) {
	cluster := testredis.Shared(t, clusterWithReplicas)
	notify, address := notifySocket(t)
	c, s := beginWith(t, cluster.Addrs(), func(c *child) { c.cmd.Env = append(c.cmd.Env, "NOTIFY_SOCKET="+address) })
	notified(t, notify, "READY=1\nSTATUS=ready")
	begin := time.Now()
	c.signal(syscall.SIGUSR1)
	reloading := nextNotified(t, notify)
	require.True(t, strings.HasPrefix(reloading, "RELOADING=1\nMONOTONIC_USEC="), reloading)
	var usec int64
	_, err := fmt.Sscanf(reloading, "RELOADING=1\nMONOTONIC_USEC=%d", &usec)
	require.NoError(t, err)
	uptime, err := os.ReadFile("/proc/uptime")
	require.NoError(t, err)
	var up float64
	_, err = fmt.Sscan(string(uptime), &up)
	require.NoError(t, err)
	assert.InDelta(t, up*1e6, usec, float64(time.Since(begin).Microseconds())+2e6, "the clock of systemd")
	assert.Equal(t, "READY=1", nextNotified(t, notify))

	s.top = "nonsense: 1"
	c.write(s.text())
	c.signal(syscall.SIGUSR1)
	assert.Contains(t, nextNotified(t, notify), "RELOADING=1")
	assert.ElementsMatch(t, []string{"READY=1", "STATUS=ready; the last reload failed: the config file is not valid"},
		[]string{nextNotified(t, notify), nextNotified(t, notify)}, "the service goes on")
	s.top = ""
	c.reload(s)
	notified(t, notify, "STATUS=ready")
	c.signal(syscall.SIGTERM)
	notified(t, notify, "STOPPING=1\nSTATUS=stopping")
	assert.Equal(t, 0, c.exit())
}

// A process that drains leaves the file to the one that serves.
func TestOnlyTheProcessThatServesFollowsTheFile(t *testing.T) {
	cluster := testredis.Shared(t, clusterWithReplicas)
	stream := testredis.FreeAddress(t)
	s := sheet{services: []entry{
		{name: "stream", listen: stream, more: "protocol: TCP", nodes: []string{newGreeter(t, "a").address}},
	}}
	c := launchHot(t, nil, flags("-watch"), func(c *child) {
		s.admin = c.admin
		c.write(s.text())
	})
	c.await("/ready", 200, "")
	stays, err := visit(stream) // which keeps the old process
	require.NoError(t, err)
	defer stays.Close()
	c.restart()
	for i := range 3 {
		s.services = append(s.services, entry{name: fmt.Sprint("more-", i), listen: testredis.FreeAddress(t), nodes: cluster.Addrs()})
		c.write(s.text())
		c.await("/services", 200, fmt.Sprintf(`"more-%d"`, i))
	}
	c.await("/hotrestart", 200, `"clients":1,`)
	assert.NotContains(t, c.out.String(), "config not reloaded")

	require.NoError(t, syscall.Kill(c.serving(), syscall.SIGKILL)) // who takes back has to catch up
	c.awaitLog("this one takes back")
	c.await("/services", 200, `"more-2"`)
	require.NoError(t, stays.Close())
	c.endHot()
}
