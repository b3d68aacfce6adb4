package main

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// What the state file has is a part of the start.
func TestReadyIsNotSaidBeforeTheServicesOfTheLastRunAreUp(t *testing.T) {
	cluster := testredis.Shared(t, clusterWithReplicas)
	notify, address := notifySocket(t)
	told := testredis.FreeAddress(t)
	taken, err := net.Listen("tcp", told)
	require.NoError(t, err)
	c := launch(t, nil, func(c *child) {
		c.cmd.Env = append(c.cmd.Env, "NOTIFY_SOCKET="+address)
		c.write(sheet{admin: c.admin, top: "instance: {belong: test}\ndynamic_source_config: {endpoint: '" + testredis.FreeAddress(t) + "'}"}.text())
		require.NoError(t, os.MkdirAll(c.data, 0o700))
		state := `{"format":"samaritan dynamic state","version":1,"endpoint":"","belong":"test","services":[{"name":"told","config":{"listener":{"address":` +
			jsonAddress(told) + `},"protocol":"Redis"},"endpoints":[{"address":` + jsonAddress(cluster.Addrs()[0]) + `}]}]}`
		require.NoError(t, os.WriteFile(filepath.Join(c.data, "dynamic.json"), []byte(state), 0o600))
	})
	first := make([]byte, 4096)
	require.NoError(t, notify.SetReadDeadline(time.Now().Add(patience)))
	n, err := notify.Read(first)
	require.NoError(t, err)
	assert.Contains(t, string(first[:n]), "STATUS=not ready: ", "the service cannot listen yet")
	c.await("/ready", 503, "service told")
	require.NoError(t, taken.Close())
	notified(t, notify, "READY=1\nSTATUS=ready")
}

func jsonAddress(hostPort string) string {
	a := wireAddress(hostPort)
	return `{"ip":"` + a.Ip + `","port":` + strconv.Itoa(int(a.Port)) + `}`
}

// A file that nobody writes to must not keep the process from ending.
func TestTokenFileThatIsAPipeDoesNotHoldUpTheEnd(t *testing.T) {
	c := launch(t, nil, func(c *child) {
		pipe := filepath.Join(t.TempDir(), "token")
		require.NoError(t, syscall.Mkfifo(pipe, 0o600))
		c.write(sheet{admin: c.admin, top: "instance: {belong: test}\ndynamic_source_config: {endpoint: '127.0.0.1:1', token_file: '" + pipe + "'}"}.text())
	})
	c.await("/dynamic", 200, "is not a regular file")
	c.signal(syscall.SIGTERM)
	assert.Equal(t, 0, c.exit())
}

// Without a state file, as on a full disk, a reload must not forget what is known.
func TestReloadOfTheSourceKeepsWhatIsKnownWithoutAStateFile(t *testing.T) {
	cluster := testredis.Shared(t, clusterWithReplicas)
	m := newManager(t)
	one, two := testredis.FreeAddress(t), testredis.FreeAddress(t)
	m.has("one", one, cluster.Addrs()...)
	c, s := beginWith(t, cluster.Addrs(), func(c *child) {
		require.NoError(t, os.WriteFile(c.data, nil, 0o600)) // no directory
		c.write(sheet{admin: c.admin, top: m.top()}.text())
	})
	c.awaitState("one", one, "running")
	s.services = nil
	s.top = m.top() + "\n"
	m.leave()
	s.top = "instance: {id: two, belong: test}\ndynamic_source_config: {endpoint: '" + m.address + "'}"
	c.reload(s)
	c.await("/dynamic", 200, `"services":1`)
	m.has("two", two, cluster.Addrs()...)
	m.start()
	c.awaitState("two", two, "running")
	c.awaitState("one", one, "running")
}
