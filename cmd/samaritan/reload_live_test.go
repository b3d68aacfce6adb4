package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/admin"
	"samaritan/internal/testredis"
)

var clusterWithReplicas = testredis.Options{Masters: 3, Replicas: 1}

func TestClientsGoOnWhateverChangesOfTheirService(t *testing.T) {
	cluster := testredis.Shared(t, clusterWithReplicas)
	addrs := cluster.Addrs()
	c, s := beginWith(t, addrs[:3])
	c.await("/ready", 200, "")
	clients := hammer(t, c.redis, 4)
	connected := c.stat("downstream.cx_total")

	change := admin.Reloaded{Added: []string{}, Removed: []string{}, Changed: []string{"redis-test"}, Endpoints: []string{}, Settings: []string{}}
	for _, more := range []string{
		"protocol: Redis, redis_option: {request_timeout: 3s, slow_threshold: 1ms}, connect_timeout: 1s, idle_timeout: 1m",
		"protocol: Redis, redis_option: {compression: {enable: true, algorithm: SNAPPY, threshold: 64}}",
		"protocol: Redis, redis_option: {compression: {enable: true, algorithm: ZSTD, threshold: 64}}",
		"protocol: Redis, redis_option: {hot_keys: {interval: 1s, window: 1s, capacity: 5}}",
		"protocol: Redis, redis_option: {hot_keys: {enable: false}}",
		"protocol: Redis, health_check: {interval: 1s, redis_checker: {}}",
		"protocol: Redis",
	} {
		s.services[0].more = more
		assert.Equal(t, change, c.reload(s), more)
		clients.more(200)
	}
	for _, nodes := range [][]string{addrs[3:], addrs[1:2], addrs} {
		s.services[0].nodes = nodes
		got := c.reload(s)
		assert.Equal(t, []string{"redis-test"}, got.Endpoints)
		assert.Empty(t, got.Changed)
		clients.more(200)
	}
	assert.Equal(t, connected, c.stat("downstream.cx_total"), "nobody had to connect again")

	s.services[0].limit = 2
	assert.Equal(t, change, c.reload(s))
	require.Error(t, roundTrip(c.redis), "the limit holds for those who come")
	assert.Equal(t, 1, c.stat("downstream.cx_restricted"))
	clients.more(200)
	s.services[0].limit = 0
	c.reload(s)
	require.NoError(t, roundTrip(c.redis))
	clients.more(200)
	clients.end()
	assert.Zero(t, c.number("controller.service_restarts_total"))
	c.signal(syscall.SIGTERM)
	assert.Equal(t, 0, c.exit())
}

func TestReadStrategyChangesForClientsThatAreConnected(t *testing.T) {
	cluster := testredis.Shared(t, clusterWithReplicas)
	c, s := beginWith(t, cluster.Addrs())
	c.await("/ready", 200, "")
	conn, err := testredis.Dial(c.redis)
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Do("SET", "k", "v")
	require.NoError(t, err)
	replica := cluster.Replicas(cluster.Master(testredis.Slot("k")))[0]
	before := calls(t, replica, "get")
	_, err = conn.Do("GET", "k")
	require.NoError(t, err)
	assert.Equal(t, before, calls(t, replica, "get"))
	s.services[0].more = "protocol: Redis, redis_option: {read_strategy: REPLICA}"
	c.reload(s)
	require.Eventually(t, func() bool {
		_, err = conn.Do("GET", "k")
		return err == nil && calls(t, replica, "get") > before
	}, patience, 5*time.Millisecond)
}

func TestListenerMovesWhileClientsUseBothAddresses(t *testing.T) {
	cluster := testredis.Shared(t, clusterWithReplicas)
	c, s := beginWith(t, cluster.Addrs())
	c.await("/ready", 200, "")
	addresses := []string{c.redis, testredis.FreeAddress(t), testredis.FreeAddress(t)}

	stop := make(chan struct{})
	var wg sync.WaitGroup
	rounds := 0
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				assert.NoError(t, anywhere(addresses))
				rounds++
			}
		}
	})
	for range 3 {
		for _, to := range []string{addresses[1], addresses[2], addresses[0]} {
			s.services[0].listen = to
			assert.Equal(t, []string{"redis-test"}, c.reload(s).Changed)
			require.Eventually(t, func() bool {
				listen, state := c.state("redis-test")
				return listen == to && state == "running"
			}, patience, time.Millisecond)
			require.NoError(t, anywhere([]string{to}))
		}
	}
	close(stop)
	wg.Wait()
	assert.Greater(t, rounds, 10)
	for _, old := range addresses[1:] {
		require.Eventually(t, func() bool { return errors.Is(anywhere([]string{old}), syscall.ECONNREFUSED) }, patience, time.Millisecond)
	}
	assert.EqualValues(t, 9, c.number("controller.service_restarts_total"))
}

// anywhere does a round at the first address that takes it: where a service moves, the
// next address is bound before the one before is given up.
func anywhere(addresses []string) error {
	var errs []error
	for range 2 { // it may have moved to one that was asked already
		for _, address := range addresses {
			err := roundTrip(address)
			if err == nil {
				return nil
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func roundTrip(address string) error {
	conn, err := testredis.Dial(address)
	if err != nil {
		return err
	}
	defer conn.Close()
	got, err := conn.Do("PING")
	if err == nil && got != "PONG" {
		err = fmt.Errorf("PING: %v", got)
	}
	return err
}

// A connection to an address that is given up ends after what was sent is answered.
func TestClientsOfAnAddressThatIsGivenUpGetTheirRepliesFirst(t *testing.T) {
	cluster := testredis.Shared(t, clusterWithReplicas)
	c, s := beginWith(t, cluster.Addrs())
	c.await("/ready", 200, "")
	conn, err := testredis.Dial(c.redis)
	require.NoError(t, err)
	defer conn.Close()
	for i := range 500 {
		require.NoError(t, conn.Send([]any{"SET", fmt.Sprint("k", i), i}))
	}
	s.services[0].listen = testredis.FreeAddress(t)
	c.reload(s)
	for range 500 {
		got, err := conn.Receive()
		require.NoError(t, err)
		require.Equal(t, "OK", got)
	}
	_, err = conn.Receive()
	assert.True(t, errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET), err)
}

func TestListenAddressThatIsTakenLeavesTheServiceWhereItIs(t *testing.T) {
	cluster := testredis.Shared(t, clusterWithReplicas)
	c, s := beginWith(t, cluster.Addrs())
	c.await("/ready", 200, "")
	clients := hammer(t, c.redis, 2)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	moved := s.with(func(s *sheet) { s.services[0].listen = taken.Addr().String() })
	c.reload(moved)
	c.await("/services", 200, "address already in use")
	clients.more(200)
	c.reload(s)
	c.await("/services", 200, `"state":"running"`)
	clients.more(200)
	assert.Equal(t, c.redis, c.serviceStatus()["listen"])
}

func TestServicesComeAndGo(t *testing.T) {
	cluster := testredis.Shared(t, clusterWithReplicas)
	c, s := beginWith(t, cluster.Addrs())
	c.await("/ready", 200, "")
	clients := hammer(t, c.redis, 2)
	second := testredis.FreeAddress(t)
	two := s.with(func(s *sheet) {
		s.services = append(s.services, entry{name: "second", listen: second, nodes: cluster.Addrs()})
	})
	assert.Equal(t, []string{"second"}, c.reload(two).Added)
	require.Eventually(t, func() bool { return roundTrip(second) == nil }, patience, time.Millisecond)
	renamed := two.with(func(s *sheet) { s.services[1].name = "third" })
	got := c.reload(renamed)
	assert.Equal(t, []string{"third"}, got.Added)
	assert.Equal(t, []string{"second"}, got.Removed)
	require.Eventually(t, func() bool {
		listen, state := c.state("third")
		return listen == second && state == "running"
	}, patience, time.Millisecond)
	require.NoError(t, roundTrip(second))
	assert.Equal(t, []string{"third"}, c.reload(s).Removed)
	require.Eventually(t, func() bool { return errors.Is(roundTrip(second), syscall.ECONNREFUSED) }, patience, time.Millisecond)
	clients.more(200)
	c.awaitLog(`msg="config reloaded" cause=admin added=[third] removed=[second] changed=[] endpoints=[]`)
}
