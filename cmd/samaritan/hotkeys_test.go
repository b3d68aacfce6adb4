package main

import (
	"encoding/json"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// rewrite changes the config of a child before it starts.
func rewrite(t *testing.T, c *child, before, after string) {
	t.Helper()
	file := c.cmd.Args[2]
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(text), before)
	require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(string(text), before, after)), 0o600))
}

// hotService is what the tests look at of a service in the answer of /hotkeys.
type hotService struct {
	Service string
	Enabled bool
	Keys    []struct{ Key, Node string }
	Slots   []struct{ Node string } `json:"slots_by_requests"`
}

// hotKeys asks for /hotkeys.
func (c *child) hotKeys(query string) []hotService {
	c.t.Helper()
	status, body := c.get("/hotkeys" + query)
	require.Equal(c.t, 200, status, body)
	require.NotContains(c.t, body, "null")
	var got struct{ Services []hotService }
	require.NoError(c.t, json.Unmarshal([]byte(body), &got), body)
	return got.Services
}

func TestHotKeysOverHTTP(t *testing.T) {
	cluster := testredis.StartCluster(t, testredis.Options{})
	c := launch(t, cluster.Addrs(), func(c *child) {
		rewrite(t, c, "protocol: Redis", "protocol: Redis, redis_option: {hot_keys: {interval: 1s, window: 10s}}")
	})
	c.await("/ready", 200, "")
	services := c.hotKeys("")
	require.Len(t, services, 1)
	assert.Equal(t, "redis-test", services[0].Service)
	assert.True(t, services[0].Enabled)
	assert.Empty(t, services[0].Keys)

	c.redisCLI("MSET", "a", "1", "b", "2")
	c.redisCLI("GET", "b")
	c.await("/hotkeys", 200, `"count":2`) // both are in: that of b
	services = c.hotKeys("?service=redis-test&count=1")
	require.Len(t, services, 1)
	require.Len(t, services[0].Keys, 1)
	assert.Equal(t, "b", services[0].Keys[0].Key)
	assert.Contains(t, cluster.Addrs(), services[0].Keys[0].Node)
	for _, s := range services[0].Slots {
		assert.Contains(t, cluster.Addrs(), s.Node)
	}
	for path, want := range map[string]int{"?service=nobody": 404, "?count=0": 400, "?count=x&service=redis-test": 400} {
		status, body := c.get("/hotkeys" + path)
		assert.Equal(t, want, status, body)
	}
	c.signal(syscall.SIGTERM)
	assert.Equal(t, 0, c.exit())
}

func TestHotKeysThatAreSwitchedOff(t *testing.T) {
	c := launch(t, []string{testredis.FreeAddress(t)}, func(c *child) {
		rewrite(t, c, "protocol: Redis", "protocol: Redis, redis_option: {hot_keys: {enable: false}}")
	})
	c.await("/services", 200, `"state":"running"`)
	services := c.hotKeys("")
	require.Len(t, services, 1)
	assert.False(t, services[0].Enabled)
	reply, err := c.call("HOTKEY LIST")
	require.NoError(t, err)
	assert.Contains(t, reply, "-ERR samaritan: hot keys are switched off")
}

func TestServicesWithoutHotKeysSaySo(t *testing.T) {
	c := launch(t, []string{testredis.FreeAddress(t)}, func(c *child) { rewrite(t, c, "protocol: Redis", "protocol: MySQL") })
	c.await("/services", 200, `"state":"running"`)
	assert.Empty(t, c.hotKeys(""))
	status, body := c.get("/hotkeys?service=redis-test")
	assert.Equal(t, 400, status)
	assert.Contains(t, body, "its protocol is MySQL")
}
