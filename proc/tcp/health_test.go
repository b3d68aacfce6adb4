package tcp

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	"samaritan/api/hc"
	"samaritan/api/service"
)

// checked asks for checks by TCP connection, many a second.
func checked(c *service.Config) {
	c.HealthCheck = &hc.HealthCheck{
		Interval: durationpb.New(20 * time.Millisecond), Timeout: durationpb.New(200 * time.Millisecond),
		FallThreshold: 2, RiseThreshold: 2,
	}
}

// failing makes an exchange part of the check, which echo servers pass and named ones fail.
func failing(c *service.Config) {
	checked(c)
	c.HealthCheck.Checker = &hc.HealthCheck_AtcpChecker{AtcpChecker: &hc.ATCPChecker{
		Action: []*hc.ATCPChecker_Action{{Send: []byte("ping"), Expect: []byte("ping")}},
	}}
}

// sees waits until the proxy knows of each endpoint whether it passes its checks.
func (p *proxy) sees(healthy map[string]bool) {
	p.t.Helper()
	eventually(p.t, func() bool {
		for _, ep := range p.Endpoints().([]endpointView) {
			if ep.Healthy != healthy[ep.Address] || ep.Health == nil || !ep.Health.Checked {
				return false
			}
		}
		return true
	}, "the checks see it: %+v", p.Endpoints)
}

func TestUnhealthyEndpointsGetNoNewConnections(t *testing.T) {
	bad, good := refusing(t), named(t, "a")
	p := run(t, all(bad, good), checked)
	p.sees(map[string]bool{good: true})
	for range 10 {
		assert.Equal(t, "a", greeting(t, p.dial()))
	}
	assert.Zero(t, p.stat("upstream.cx_connect_fail"), "nobody tried")
	assert.Zero(t, p.stat("upstream.lb_fallback_total"))
	assert.Zero(t, p.endpointStat("endpoint.up", bad))
	assert.EqualValues(t, 1, p.endpointStat("endpoint.up", good))
	assert.Zero(t, p.endpointStat("health.up", bad))
	assert.True(t, p.Status().Ready)
}

func TestConnectionsToAnEndpointThatFallsIllStay(t *testing.T) {
	a, b := named(t, "a"), serve(t, echo) // b passes the check that a fails
	p := run(t, all(a))
	c := p.dial()
	assert.Equal(t, "a", greeting(t, c))
	p.update(all(a, b), failing)
	p.sees(map[string]bool{b: true})
	for range 5 {
		exchange(t, p.dial(), "hello")
	}
	exchange(t, c, "still here")
	p.update(all(a, b))
	eventually(t, func() bool { return p.endpointStat("endpoint.up", a) == 1 }, "nothing is checked any more")
}

func TestAllUnhealthyMeansAll(t *testing.T) {
	a, b, c := named(t, "a"), named(t, "b"), named(t, "c")
	p := run(t, []*service.Endpoint{at(a), at(b), backup(c)}, failing)
	p.sees(nil)
	got := map[string]int{}
	for range 10 {
		got[greeting(t, p.dial())]++
	}
	assert.Equal(t, map[string]int{"a": 5, "b": 5}, got)
	assert.EqualValues(t, 10, p.stat("upstream.lb_fallback_total"))
	assert.True(t, p.Status().Ready, "checks do not make a service unready")
}

func TestEndpointThatRecoversIsUsedAgain(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := ln.Addr().String()
	require.NoError(t, ln.Close())
	spare := named(t, "b")
	p := run(t, []*service.Endpoint{at(address), backup(spare)}, checked)
	p.sees(map[string]bool{spare: true})
	assert.Equal(t, "b", greeting(t, p.dial()))
	ln, err = net.Listen("tcp", address)
	require.NoError(t, err)
	serveOn(t, ln, func(c *net.TCPConn) { _, _ = c.Write([]byte("a")); echo(c) })
	p.sees(map[string]bool{spare: true, address: true})
	assert.Equal(t, "a", greeting(t, p.dial()))
}
