package main

import (
	"errors"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api/protocol"
	"samaritan/examples/discovery/server"
	"samaritan/internal/testredis"
)

// newLoggedManager is newManager with the log of the management server.
func newLoggedManager(t *testing.T) (*manager, *output) {
	t.Helper()
	log := &output{}
	m := &manager{
		Server: server.New(server.Options{Log: slog.New(slog.NewTextHandler(log, nil))}),
		t:      t, address: testredis.FreeAddress(t),
	}
	m.Depend("test", server.All)
	m.start()
	t.Cleanup(m.leave)
	return m, log
}

// has tells of a Redis service.
func (s *manager) has(name, listen string, nodes ...string) {
	s.Set(name, wireConfig(listen, protocol.Protocol_Redis), wireEndpoints(nodes...))
}

func (c *child) awaitState(name, listen, state string) {
	c.t.Helper()
	require.Eventually(c.t, func() bool {
		l, s := c.state(name)
		return l == listen && s == state
	}, patience, time.Millisecond)
}

func awaitRefusal(t *testing.T, address string) {
	t.Helper()
	require.Eventually(t, func() bool { return errors.Is(roundTrip(address), syscall.ECONNREFUSED) }, patience, time.Millisecond)
}

func TestManagementServerComesChangesAndGoesWithTheFile(t *testing.T) {
	cluster := testredis.Shared(t, clusterWithReplicas)
	c, s := beginWith(t, cluster.Addrs(), flags("-service", "test", "-id", "one"))
	c.await("/ready", 200, "")
	c.await("/dynamic", 404, "dynamic_source_config is not set")
	assert.EqualValues(t, -1, c.number("dynamic.connected"))

	first, heard := newLoggedManager(t)
	listen, second := testredis.FreeAddress(t), testredis.FreeAddress(t)
	first.has("told", listen, cluster.Addrs()...)
	s.top = "dynamic_source_config: {endpoint: '" + first.address + "'}"
	assert.Equal(t, []string{"dynamic_source_config"}, c.reload(s).Settings)
	c.awaitState("told", listen, "running")
	c.await("/dynamic", 200, `"services":1`)
	assert.Contains(t, heard.String(), `instance=one belong=test version=""`)
	c.await("/stats?filter=dynamic.", 200, "dynamic.connected: 1\n")
	require.Eventually(t, func() bool { return roundTrip(listen) == nil }, patience, time.Millisecond)
	clients := hammer(t, listen, 2)

	// What has nothing to do with it leaves it alone, and it leaves alone what the file has.
	s.services[0].limit = 9
	c.reload(s)
	clients.more(100)
	assert.Equal(t, 1, strings.Count(heard.String(), "stream begins\" stream=dependencies"))

	// Who asks is told anew.
	s.top += "\ninstance: {version: v7}"
	assert.Equal(t, []string{"instance"}, c.reload(s).Settings)
	require.Eventually(t, func() bool { return strings.Contains(heard.String(), "version=v7") }, patience, time.Millisecond)
	clients.more(100)

	// Another server takes its place, with the same services and more.
	other, _ := newLoggedManager(t)
	other.has("told", listen, cluster.Addrs()...)
	other.has("more", second, cluster.Addrs()...)
	s.top = "dynamic_source_config: {endpoint: '" + other.address + "'}"
	assert.Equal(t, []string{"dynamic_source_config", "instance"}, c.reload(s).Settings)
	c.awaitState("more", second, "running")
	c.await("/dynamic", 200, other.address)
	clients.more(100)
	clients.end()

	// When the file names none any more its services end.
	s.top = ""
	c.reload(s)
	awaitRefusal(t, listen)
	awaitRefusal(t, second)
	require.NoError(t, roundTrip(c.redis))
	c.await("/dynamic", 404, "dynamic_source_config is not set")
	c.awaitLog("the management server is not followed any more, its services end")
	assert.NotContains(t, c.out.String(), "level=ERROR")
	c.signal(syscall.SIGTERM)
	assert.Equal(t, 0, c.exit())
}

func TestNameOfTheManagementServerRefusesTheWholeFile(t *testing.T) {
	cluster := testredis.Shared(t, clusterWithReplicas)
	m := newManager(t)
	told, mine := testredis.FreeAddress(t), testredis.FreeAddress(t)
	m.has("both", told, cluster.Addrs()...)
	c, s := beginWith(t, cluster.Addrs(), func(c *child) { c.write(sheet{admin: c.admin, top: m.top()}.text()) })
	c.awaitState("both", told, "running")

	s.top = m.top()
	want := s.with(func(s *sheet) {
		s.admin = testredis.FreeAddress(t)
		s.services = append(s.services, entry{name: "both", listen: mine, nodes: cluster.Addrs()})
	})
	got := c.refuse(want.text(), 422)
	assert.Equal(t, "the services of the config file cannot be taken", got.Error)
	assert.Equal(t, []string{c.file() + `: service "both" of source "static" is owned by source "dynamic"`}, got.Problems)
	c.awaitLog(`msg="config problem" problem="` + c.file() + `: service \"both\" of source \"static\" is owned by source \"dynamic\""`)
	c.await("/config", 200, `"static_services":[]`)
	assert.True(t, refuses(want.admin), "what was made ready is given back")

	// A file that takes the source away may have its names at once.
	want.admin, want.top = c.admin, ""
	c.reload(want)
	c.awaitState("both", mine, "running")
	awaitRefusal(t, told)
}

func TestSourceThatDoesNotKnowWhoAsksIsNotFollowed(t *testing.T) {
	m := newManager(t)
	c, s := beginWith(t, []string{testredis.FreeAddress(t)}, func(c *child) {
		c.write(sheet{admin: c.admin, top: "dynamic_source_config: {endpoint: '" + m.address + "'}"}.text())
	})
	c.await("/dynamic", 404, "instance.belong")
	c.awaitLog(`level=WARN msg="dynamic_source_config is not used: it needs to know who asks" missing="instance.belong, or the flag -service"`)
	s.top = m.top()
	c.reload(s)
	c.await("/dynamic", 200, `"connected":true`)
}

// A sidecar is no less able to serve what it knows.
func TestSourceThatIsAwayDoesNotMakeUnready(t *testing.T) {
	cluster := testredis.Shared(t, clusterWithReplicas)
	c, _ := beginWith(t, cluster.Addrs(), flags("-service", "test"), func(c *child) {
		s := sheet{admin: c.admin, services: []entry{{name: "redis-test", listen: c.redis, nodes: cluster.Addrs()}}}
		s.top = "dynamic_source_config: {endpoint: '" + testredis.FreeAddress(t) + "'}"
		c.write(s.text())
	})
	c.await("/ready", 200, "")
	c.await("/dynamic", 200, `"connected":false`)
	c.signal(syscall.SIGTERM)
	assert.Equal(t, 0, c.exit())
}
