package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api/protocol"
	"samaritan/api/redis"
	"samaritan/api/service"
	"samaritan/internal/testredis"
)

// withManager is beginWith for a daemon that has a management server, too.
func withManager(t *testing.T, nodes []string, s *manager) (*child, sheet) {
	t.Helper()
	var file sheet
	c, _ := beginWith(t, nodes, func(c *child) {
		file = sheet{admin: c.admin, top: s.top(), services: []entry{{name: "redis-test", listen: c.redis, nodes: nodes}}}
		c.write(file.text())
	})
	c.await("/dynamic", 200, `"connected":true`)
	return c, file
}

// While services come, change and go, the clients of all others notice nothing.
func TestServicesOfTheSourceComeChangeAndGoUnderLoad(t *testing.T) {
	cluster := testredis.StartCluster(t, testredis.Options{Replicas: 1})
	src := newManager(t)
	c, _ := withManager(t, cluster.Addrs(), src)
	c.await("/ready", 200, "")
	static := hammer(t, c.redis, 4)

	listen := testredis.FreeAddress(t)
	src.Set("orders", wireConfig(listen, protocol.Protocol_Redis), wireEndpoints(cluster.Addrs()...))
	c.awaitReady("orders")
	c.await("/config", 200, `"dynamic_services":[{"name":"orders","config":{"listener":`)
	dynamic := hammer(t, listen, 4)

	for i := range 20 {
		// All that changes in place: read strategy, limits, timeouts, hot keys, compression, endpoints.
		src.Set("orders", wireConfig(listen, protocol.Protocol_Redis, func(s *service.Config) {
			s.Listener.ConnectionLimit = uint32(100 + i)
			s.IdleTimeout = seconds(float64(60 + i))
			s.ProtocolOptions = &service.Config_RedisOption{RedisOption: &protocol.RedisOption{
				RequestTimeout: seconds(float64(10 + i)),
				HotKeys:        &redis.HotKeys{Capacity: uint32(10 + i)},
				Compression:    &redis.Compression{Enable: i%2 == 0, Threshold: 64},
			}}
		}), wireEndpoints(cluster.Addrs()[i%3:]...))
		// And another service that comes and goes.
		other := testredis.FreeAddress(t)
		src.Set("passing", wireConfig(other, protocol.Protocol_Redis), wireEndpoints(cluster.Addrs()...))
		c.awaitReady("passing")
		conn, err := testredis.Dial(other)
		require.NoError(t, err)
		reply, err := conn.Do("SET", fmt.Sprintf("passing:%d", i), "x")
		require.NoError(t, err)
		assert.Equal(t, "OK", reply)
		require.NoError(t, conn.Close())
		src.Remove("passing")
		c.awaitGone("passing")
		static.more(10)
		dynamic.more(10)
	}

	// The listener moves; who comes by the new address is served before the old one is gone.
	moved := testredis.FreeAddress(t)
	dynamic.end() // a connection by the old address ends when it has nothing in flight
	src.Set("orders", wireConfig(moved, protocol.Protocol_Redis), wireEndpoints(cluster.Addrs()...))
	require.Eventually(t, func() bool { at, state := c.state("orders"); return at == moved && state == "running" }, patience, 5*time.Millisecond)
	dynamic = hammer(t, moved, 4)
	dynamic.more(20)
	dynamic.end()

	src.Remove("orders")
	c.awaitGone("orders")
	c.await("/config", 200, `"dynamic_services":[],`)
	static.more(50)
	static.end()
	assert.NotContains(t, c.out.String(), "level=ERROR")
	assert.Zero(t, c.number("service.redis-test.downstream.rq_failure_total"))
}

// awaitReady waits until a service can serve.
func (c *child) awaitReady(name string) {
	c.t.Helper()
	c.await("/live", 200, "")
	require.Eventually(c.t, func() bool {
		_, state := c.state(name)
		_, ready := c.get("/ready")
		return state == "running" && !strings.Contains(ready, "service "+name+":")
	}, patience, 5*time.Millisecond, name)
}

// awaitGone waits until a service is not there any more.
func (c *child) awaitGone(name string) {
	c.t.Helper()
	require.Eventually(c.t, func() bool { _, state := c.state(name); return state == "" }, patience, 5*time.Millisecond, name)
}

// A source that is away, comes and goes, or is not one at all changes nothing for clients.
func TestSourceThatFailsChangesNothing(t *testing.T) {
	cluster := testredis.StartCluster(t, testredis.Options{})
	src := newManager(t)
	c, _ := withManager(t, cluster.Addrs(), src)
	listen := testredis.FreeAddress(t)
	src.Set("orders", wireConfig(listen, protocol.Protocol_Redis), wireEndpoints(cluster.Addrs()...))
	c.awaitReady("orders")
	load := hammer(t, listen, 4)

	src.leave()
	c.await("/dynamic", 200, `"connected":false`)
	load.more(50)

	stop := serveOn(t, src.address, babble)
	failures := c.number("dynamic.connect_failures_total")
	require.Eventually(t, func() bool { return c.number("dynamic.connect_failures_total") > failures }, patience, 10*time.Millisecond)
	load.more(50)
	stop()

	for range 5 { // it flaps
		src.start()
		load.more(10)
		src.leave()
		load.more(10)
	}

	src.start()
	c.await("/dynamic", 200, `"connected":true`)
	second := testredis.FreeAddress(t)
	src.Set("second", wireConfig(second, protocol.Protocol_Redis), wireEndpoints(cluster.Addrs()...))
	c.awaitReady("second")
	load.more(50)

	// What is invalid is refused, and what was good stays.
	src.Set("orders", wireConfig(listen, protocol.Protocol_Redis, func(s *service.Config) { s.IdleTimeout = seconds(-1) }), wireEndpoints(cluster.Addrs()...))
	src.Set("third", wireConfig("127.0.0.1:1", protocol.Protocol(99)), wireEndpoints(cluster.Addrs()...))
	c.await("/dynamic", 200, "idle_timeout")
	c.await("/dynamic", 200, "third")
	load.more(50)
	load.end()
	_, state := c.state("third")
	assert.Empty(t, state)
	_, state = c.state("orders")
	assert.Equal(t, "running", state)
}

// A start does not wait for the source: the services are there as they were.
func TestServicesOfTheSourceOutliveARestartWithoutIt(t *testing.T) {
	cluster := testredis.StartCluster(t, testredis.Options{})
	src := newManager(t)
	c, file := withManager(t, cluster.Addrs(), src)
	listen := testredis.FreeAddress(t)
	src.Set("orders", wireConfig(listen, protocol.Protocol_Redis), wireEndpoints(cluster.Addrs()...))
	c.awaitReady("orders")
	c.signal(syscall.SIGTERM)
	require.Equal(t, 0, c.exit())
	assert.FileExists(t, filepath.Join(c.data, "dynamic.json"))
	src.leave()

	again, _ := beginWith(t, cluster.Addrs(), func(next *child) {
		next.cmd.Args[2], next.cmd.Args[4] = c.file(), c.data
		next.admin, next.redis, next.data = c.admin, c.redis, c.data
		next.write(file.text())
	})
	again.awaitReady("orders")
	load := hammer(t, listen, 2)
	load.more(20)
	load.end()

	src.Set("orders", wireConfig(listen, protocol.Protocol_Redis, func(s *service.Config) { s.Listener.ConnectionLimit = 77 }), wireEndpoints(cluster.Addrs()...))
	src.start()
	again.await("/dynamic", 200, `"connected":true`)
	again.awaitReady("orders")
	src.Remove("orders")
	again.awaitGone("orders")
}

// A name that the file has is refused to the source, and given to it when the file lets go.
func TestServiceOfTheFileAndOfTheSourceWithOneName(t *testing.T) {
	cluster := testredis.StartCluster(t, testredis.Options{})
	src := newManager(t)
	c, file := withManager(t, cluster.Addrs(), src)
	listen, other := testredis.FreeAddress(t), testredis.FreeAddress(t)
	src.Set("redis-test", wireConfig(listen, protocol.Protocol_Redis), wireEndpoints(cluster.Addrs()...))
	src.Set("other", wireConfig(other, protocol.Protocol_Redis), wireEndpoints(cluster.Addrs()...))
	c.awaitReady("other")
	c.await("/dynamic", 200, `service \"redis-test\" of source \"dynamic\" is owned by source \"static\"`)
	at, _ := c.state("redis-test")
	assert.Equal(t, c.redis, at, "the file had it first")

	said := c.refuse(file.with(func(s *sheet) {
		s.services = append(s.services, entry{name: "other", listen: testredis.FreeAddress(t), nodes: cluster.Addrs()})
	}).text(), 422)
	assert.Contains(t, fmt.Sprint(said), `"other"`)
	assert.Contains(t, fmt.Sprint(said), "dynamic")

	c.reload(file.with(func(s *sheet) { s.services = nil }))
	require.Eventually(t, func() bool { at, state := c.state("redis-test"); return at == listen && state == "running" }, patience, 5*time.Millisecond)
}
