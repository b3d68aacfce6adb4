package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// crowd is of newcomers who try to get in all the time, and leave when they have.
type crowd struct {
	let, tried atomic.Int64
}

// gather has newcomers come until the test has ended, or stop is called. greet returns
// whether one has been let in.
func gather(t *testing.T, address string, greet func(net.Conn) bool) (c *crowd, stop func()) {
	c = &crowd{}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for sleep(ctx, time.Millisecond) {
				if conn, err := net.DialTimeout("tcp", address, patience); err == nil {
					_ = conn.SetDeadline(time.Now().Add(patience))
					if greet(conn) {
						c.let.Add(1)
					}
					c.tried.Add(1)
					_ = conn.Close()
				}
			}
		})
	}
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(stop)
	return c, stop
}

// more waits until some more have tried.
func (c *crowd) more(t *testing.T, n int64) {
	t.Helper()
	at := c.tried.Load()
	require.Eventually(t, func() bool { return c.tried.Load() >= at+n }, patience, time.Millisecond)
}

// pings tells whether a newcomer to a Redis service is served.
func pings(conn net.Conn) bool {
	_, _ = conn.Write([]byte("PING\r\n"))
	line, _ := bufio.NewReader(conn).ReadString('\n')
	return line == "+PONG\r\n"
}

// greeted is the same for a greeter.
func greeted(conn net.Conn) bool {
	_, err := conn.Read(make([]byte, 1))
	return err == nil
}

// The clients that are there already are those of the limit, in whichever process they are.
func TestConnectionLimitHoldsOverRestarts(t *testing.T) {
	const limit = 4
	cluster := testredis.Shared(t, clusterWithReplicas)
	stream := testredis.FreeAddress(t)
	c := launchHot(t, nil, func(c *child) {
		c.write(sheet{admin: c.admin, services: []entry{
			{name: "redis-test", listen: c.redis, limit: limit, nodes: cluster.Addrs()},
			{name: "stream", listen: stream, limit: limit, more: "protocol: TCP", nodes: []string{newGreeter(t, "a").address}},
		}}.text())
	})
	c.await("/ready", 200, "")
	callers, guests := make([]*caller, limit), make([]*guest, limit)
	for i := range limit {
		callers[i] = c.caller()
		require.Equal(t, "+PONG", callers[i].say("PING"))
		g, err := visit(stream)
		require.NoError(t, err)
		defer g.Close()
		guests[i] = g
	}
	atRedis, stopRedis := gather(t, c.redis, pings)
	atStream, stopStream := gather(t, stream, greeted)
	var last int
	for range 3 {
		last = c.restart()
		atRedis.more(t, 10)
		atStream.more(t, 10)
	}
	c.await("/hotrestart", 200, `"clients":0,"adopted":4`)
	assert.Zero(t, atRedis.let.Load(), "all places are taken")
	assert.Zero(t, atStream.let.Load())
	for i := range limit {
		assert.Equal(t, "+PONG", callers[i].say("PING"))
		assert.NoError(t, guests[i].ask("hello"))
	}
	assert.Equal(t, float64(limit), c.number("service.redis-test.downstream.cx_active"))

	_ = callers[0].conn.Close() // here
	_ = guests[0].Close()       // in the first of the four
	require.Eventually(t, func() bool { return atRedis.let.Load() > 0 && atStream.let.Load() > 0 }, patience, 5*time.Millisecond, "a place that is free is given")
	stopRedis()
	stopStream()
	for _, g := range guests {
		_ = g.Close()
	}
	c.gone(c.cmd.Process.Pid)
	for range limit { // of the processes before there is nobody any more
		require.Eventually(t, func() bool {
			g, err := visit(stream)
			if err == nil {
				t.Cleanup(func() { _ = g.Close() })
			}
			return err == nil
		}, patience, 5*time.Millisecond)
	}
	assert.Equal(t, last, c.serving())
	c.endHot()
}

// A process that takes back has only its own clients.
func TestConnectionLimitAfterTakingBack(t *testing.T) {
	cluster := testredis.Shared(t, clusterWithReplicas)
	c := launchHot(t, nil, func(c *child) {
		c.write(sheet{admin: c.admin, services: []entry{{name: "redis-test", listen: c.redis, limit: 2, nodes: cluster.Addrs()}}}.text())
	})
	c.await("/ready", 200, "")
	k := c.caller()
	require.Equal(t, "+PONG", k.say("PING"))
	second := c.restart()
	c.await("/hotrestart", 200, `"adopted":1`)
	require.NoError(t, syscall.Kill(second, syscall.SIGKILL))
	c.awaitLog("this one takes back")
	c.await("/ready", 200, "")
	for range 2 {
		require.Eventually(t, func() bool {
			conn, err := net.Dial("tcp", c.redis)
			if err != nil {
				return false
			}
			t.Cleanup(func() { _ = conn.Close() })
			_ = conn.SetDeadline(time.Now().Add(patience))
			return pings(conn)
		}, patience, 5*time.Millisecond)
	}
	c.endHot()
}

// Nobody is left of a process that was killed.
func TestConnectionLimitAfterTheOldProcessWasKilled(t *testing.T) {
	stream := testredis.FreeAddress(t)
	c := launchHot(t, nil, func(c *child) {
		c.write(sheet{admin: c.admin, services: []entry{
			{name: "stream", listen: stream, limit: 1, more: "protocol: TCP", nodes: []string{newGreeter(t, "a").address}},
		}}.text())
	})
	c.await("/ready", 200, "")
	stays, err := visit(stream)
	require.NoError(t, err)
	defer stays.Close()
	first := c.serving()
	c.restart()
	c.await("/hotrestart", 200, `"clients":1,`)
	_, err = visit(stream)
	require.Error(t, err)
	require.NoError(t, syscall.Kill(first, syscall.SIGKILL))
	require.Eventually(t, func() bool {
		g, err := visit(stream)
		if err == nil {
			t.Cleanup(func() { _ = g.Close() })
		}
		return err == nil
	}, patience, 5*time.Millisecond, "its place is free")
	require.NoError(t, syscall.Kill(c.serving(), syscall.SIGTERM))
	require.Eventually(t, func() bool { return c.serving() == 0 }, patience, 5*time.Millisecond)
}

// The state of a process that does not tell has no such field.
func TestClientsBeforeAreTheFirstThingInTheState(t *testing.T) {
	text, err := json.Marshal(&handedState{Restarts: 3})
	require.NoError(t, err)
	assert.Nil(t, clientsBefore(text))
	assert.Nil(t, clientsBefore(nil))
	rest := takeNumber(complete(text, map[string]int{"a": 2, "b": 1}))
	assert.Equal(t, map[string]int{"a": 2, "b": 1}, clientsBefore(rest))
	var s handedState
	require.NoError(t, json.Unmarshal(rest, &s))
	assert.Equal(t, uint64(3), s.Restarts)
}
