package main

import (
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// refuses tells whether nobody listens at an address.
func refuses(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err == nil {
		_ = conn.Close()
	}
	return err != nil
}

// at is the child as seen over another admin address.
func (c *child) at(address string) { c.admin = address }

func TestAdminServerMovesAndAnswersTheOneWhoAsked(t *testing.T) {
	c, s := beginWith(t, []string{testredis.FreeAddress(t)})
	c.await("/live", 200, "")
	for range 5 {
		old := c.admin
		s.admin = testredis.FreeAddress(t)
		got := c.reload(s) // over the old address
		assert.Equal(t, []string{"admin.bind"}, got.Settings)
		c.at(s.admin)
		status, body := c.get("/live")
		assert.Equal(t, 200, status, body)
		require.Eventually(t, func() bool { return refuses(old) }, patience, time.Millisecond)
	}
	assert.EqualValues(t, 5, c.number("config.reload_success_total"))
	c.awaitLog(`msg="admin server has moved" address=` + s.admin)
	c.signal(syscall.SIGTERM)
	assert.Equal(t, 0, c.exit())
}

func TestRequestsOfAnAdminServerThatMovesAreFinished(t *testing.T) {
	c, s := beginWith(t, []string{testredis.FreeAddress(t)})
	c.await("/live", 200, "")
	old := c.admin
	done := make(chan string, 1)
	go func() {
		resp, err := c.client.Get("http://" + old + "/debug/pprof/profile?seconds=4") // longer than at the end of the process
		status, body := answerOf(resp, err)
		assert.Equal(t, 200, status)
		done <- body
	}()
	require.Eventually(t, func() bool { return c.number("admin.cx_active") == 2 }, patience, time.Millisecond)
	s.admin = testredis.FreeAddress(t)
	c.reload(s)
	c.at(s.admin)
	require.Eventually(t, func() bool { return refuses(old) }, patience, time.Millisecond)
	c.await("/live", 200, "")
	assert.NotEmpty(t, <-done, "a whole profile")
}

func TestAdminServerMovesToAnAddressThatIncludesTheOldOne(t *testing.T) {
	c, s := beginWith(t, []string{testredis.FreeAddress(t)})
	c.await("/live", 200, "")
	local := s.admin
	_, port, err := net.SplitHostPort(local)
	require.NoError(t, err)
	for i, to := range []string{"0.0.0.0:" + port, local, "0.0.0.0:" + port, "127.0.0.2:" + port} {
		s.admin = to
		assert.Equal(t, []string{"admin.bind"}, c.reload(s).Settings)
		if to == "127.0.0.2:"+port {
			c.at(to)
		}
		c.await("/config", 200, strings.Split(to, ":")[0])
		require.Eventually(t, func() bool { // the old one may have answered, and nobody be bound
			return strings.Count(c.out.String(), "admin server has moved") == i+1
		}, patience, time.Millisecond)
	}
	require.Eventually(t, func() bool { return refuses(local) }, patience, time.Millisecond)
	assert.NotContains(t, c.out.String(), "level=ERROR")
}

func TestAdminServerAndAServiceTradeTheirAddresses(t *testing.T) {
	cluster := testredis.Shared(t, clusterWithReplicas)
	c, s := beginWith(t, cluster.Addrs())
	c.await("/ready", 200, "")
	s.admin, s.services[0].listen = s.services[0].listen, s.admin
	got := c.reload(s)
	assert.Equal(t, []string{"admin.bind"}, got.Settings)
	assert.Equal(t, []string{"redis-test"}, got.Changed)
	c.admin, c.redis = c.redis, c.admin
	c.await("/services", 200, `"state":"running"`)
	require.Eventually(t, func() bool { return roundTrip(c.redis) == nil }, patience, 5*time.Millisecond)
	assert.Equal(t, c.redis, c.serviceStatus()["listen"])
}

func TestAdminServerGoesOnWhileItsNewAddressCannotBeHad(t *testing.T) {
	c, s := beginWith(t, []string{testredis.FreeAddress(t)})
	c.await("/services", 200, `"state":"running"`)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	got := c.refuse(s.with(func(s *sheet) { s.admin = taken.Addr().String() }).text(), 500)
	assert.Contains(t, got.Error, "admin.bind: ")
	assert.Contains(t, got.Error, "address already in use")
	c.await("/live", 200, "")
	require.NoError(t, taken.Close())
	s.admin = taken.Addr().String()
	c.reload(s)
	c.at(s.admin)
	c.await("/live", 200, "")
}

// A port that the kernel chose can be written down.
func TestAdminServerOfAnyPortStaysAtTheOneThatItHas(t *testing.T) {
	c, s := beginWith(t, []string{testredis.FreeAddress(t)})
	c.await("/live", 200, "")
	s.admin = "127.0.0.1:0"
	c.reload(s)
	const moved = `msg="admin server has moved" address=`
	c.awaitLog(moved)
	_, s.admin, _ = strings.Cut(c.out.String(), moved)
	s.admin, _, _ = strings.Cut(s.admin, "\n")
	c.at(s.admin)
	assert.Equal(t, []string{"admin.bind"}, c.reload(s).Settings)
	c.await("/config", 200, strings.TrimPrefix(s.admin, "127.0.0.1:"))
	assert.NotContains(t, c.out.String(), "level=ERROR")
}

func TestAdminServerMovesWhileItIsAskedAllTheTime(t *testing.T) {
	c, s := beginWith(t, []string{testredis.FreeAddress(t)})
	c.await("/live", 200, "")
	addresses := []string{c.admin, testredis.FreeAddress(t)}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					assert.True(t, anyAnswers(c, addresses), "one of the addresses answers")
				}
			}
		})
	}
	for i := range 10 {
		s.admin = addresses[(i+1)%2]
		assert.Equal(t, []string{"admin.bind"}, c.reload(s).Settings)
		c.at(s.admin)
		c.await("/live", 200, "")
	}
	close(stop)
	wg.Wait()
}

// anyAnswers asks each address twice: it may have moved to one that was asked already.
func anyAnswers(c *child, addresses []string) bool {
	for range 2 {
		for _, address := range addresses {
			resp, err := c.client.Get("http://" + address + "/live")
			if status, _ := answerOf(resp, err); status == 200 {
				return true
			}
		}
	}
	return false
}
