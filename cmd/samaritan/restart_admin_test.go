package main

import (
	"context"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// occupy has an address in use until free is called.
func occupy(t *testing.T, address string) (free func()) {
	t.Helper()
	free = serveOn(t, address, func(context.Context, net.Listener) {})
	t.Cleanup(free)
	return free
}

// As with a service: what the old process has, the new one has to have.
func TestRestartWaitsForTheAdminAddress(t *testing.T) {
	nodes := testredis.Shared(t, clusterWithReplicas).Addrs()
	c := launchHot(t, nodes)
	c.await("/ready", 200, "")
	first, was, other := c.serving(), c.admin, testredis.FreeAddress(t)
	free := occupy(t, other)
	s := sheet{admin: other, services: []entry{{name: "redis-test", listen: c.redis, nodes: nodes}}}
	c.write(s.text())
	c.signal(syscall.SIGHUP)
	c.await("/hotrestart", 200, `"waiting_for":"admin.bind: `)
	assert.Equal(t, first, c.serving())

	free()
	c.admin = other
	c.await("/hotrestart", 200, `"restarts":1`)
	assert.NotEqual(t, first, c.serving())
	c.admin = was
	require.Eventually(t, func() bool { status, _ := c.get("/live"); return status == 0 }, patience, 5*time.Millisecond)
	c.endHot()
}

func TestRestartFailsWhenTheAdminAddressIsInUse(t *testing.T) {
	nodes := testredis.Shared(t, clusterWithReplicas).Addrs()
	c := launchHot(t, nodes, flags("-restart-timeout", "5s"))
	c.await("/ready", 200, "")
	first, other := c.serving(), testredis.FreeAddress(t)
	occupy(t, other)
	c.write(sheet{admin: other, services: []entry{{name: "redis-test", listen: c.redis, nodes: nodes}}}.text())
	status, body := c.post("/ops/hotrestart")
	assert.Equal(t, 500, status, body)
	assert.Contains(t, body, "admin.bind: ")
	assert.Contains(t, body, "address already in use")
	assert.Equal(t, first, c.serving())
	c.await("/hotrestart", 200, `"phase":"serving"`)
	c.endHot()
}

// The old process gives up its address once the new one serves.
func TestAdminAddressThatIncludesTheOldOne(t *testing.T) {
	nodes := testredis.Shared(t, clusterWithReplicas).Addrs()
	c := launchHot(t, nodes)
	c.await("/ready", 200, "")
	_, port, err := net.SplitHostPort(c.admin)
	require.NoError(t, err)
	c.write(sheet{admin: "0.0.0.0:" + port, services: []entry{{name: "redis-test", listen: c.redis, nodes: nodes}}}.text())
	c.restart()
	c.await("/hotrestart", 200, `"restarts":1`)
	c.endHot()
}

// What the old process does not have, the new one need not have.
func TestRestartDoesNotWaitForAnAdminServerThatIsNotThere(t *testing.T) {
	nodes := testredis.Shared(t, clusterWithReplicas).Addrs()
	var free func()
	c := launchHot(t, nodes, func(c *child) { free = occupy(t, c.admin) })
	c.awaitLog("admin server cannot listen")
	require.Eventually(t, func() bool { reply, _ := c.call("PING"); return strings.HasPrefix(reply, "+PONG") }, patience, 5*time.Millisecond)
	first := c.serving()
	c.signal(syscall.SIGHUP)
	require.Eventually(t, func() bool { return c.serving() != first }, patience, 5*time.Millisecond)
	free()
	c.await("/hotrestart", 200, `"restarts":1`)
	c.endHot()
}
