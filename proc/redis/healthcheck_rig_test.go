package redis

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"samaritan/api/hc"
	"samaritan/api/service"
	"samaritan/config"
	"samaritan/internal/stats"
	healthcheck "samaritan/proc/health"
)

const (
	// checkEvery is how often the checks in these tests are made. A busy machine may let one
	// wait, so they are patient, unless what they ask has been stopped.
	checkEvery     = 30 * time.Millisecond
	checkPatience  = 5 * time.Second
	checkOfStopped = 300 * time.Millisecond
	// checksToFall and checksToRise are how many of them a verdict takes.
	checksToFall = 3
	checksToRise = 2
)

// checking is a health check that answers soon, and asks by PING; user and password
// may be left out.
func checking(login ...string) *hc.HealthCheck {
	r := &hc.RedisChecker{}
	if len(login) > 0 {
		r.Password = login[0]
	}
	if len(login) > 1 {
		r.Username = login[1]
	}
	return &hc.HealthCheck{
		Interval: durationpb.New(checkEvery), Timeout: durationpb.New(checkPatience),
		FallThreshold: checksToFall, RiseThreshold: checksToRise,
		Checker: &hc.HealthCheck_RedisChecker{RedisChecker: r},
	}
}

// checkingStopped is checking for nodes that will not answer.
func checkingStopped() *hc.HealthCheck {
	c := checking()
	c.Timeout = durationpb.New(checkOfStopped)
	return c
}

// checkingTCP is the same with a check that is content with a connection.
func checkingTCP() *hc.HealthCheck {
	c := checking()
	c.Checker = &hc.HealthCheck_TcpChecker{TcpChecker: &hc.TCPChecker{}}
	return c
}

// alter changes the service while it runs.
func (p *testProxy) alter(t testing.TB, change func(c *service.Config), endpoints ...string) {
	t.Helper()
	old := p.svc.Load()
	c := proto.Clone(old.Config).(*service.Config)
	change(c)
	all := old.Endpoints
	if len(endpoints) > 0 {
		all = endpointsOf(t, endpoints)
	}
	svc, err := config.NewService("test", c, all)
	require.NoError(t, err)
	require.NoError(t, p.Update(svc))
	p.onWorkers(func(*worker) {})
}

// setCheck changes the health check, and nothing else.
func (p *testProxy) setCheck(t testing.TB, check *hc.HealthCheck) {
	t.Helper()
	p.alter(t, func(c *service.Config) { c.HealthCheck = check })
}

// endpoint is what the proxy shows of one server, nil when it does not know it.
func (p *testProxy) endpoint(addr string) *endpointView {
	for _, e := range p.Endpoints().([]endpointView) {
		if e.Address == addr {
			return &e
		}
	}
	return nil
}

// status is what the checks say of a server; the zero value when it is not checked.
func (p *testProxy) status(addr string) healthcheck.Status {
	if e := p.endpoint(addr); e != nil && e.Health != nil {
		return *e.Health
	}
	return healthcheck.Status{}
}

// judged waits until the checks have found a server up or down, and the workers have
// heard of it.
func (p *testProxy) judged(t testing.TB, addr string, up bool) {
	t.Helper()
	given := func() bool {
		s := p.status(addr)
		return s.Checked && s.Healthy == up && p.monitor.Healthy(addr) == up
	}
	eventually(t, given, "verdict on "+addr)
	heeded := func() bool {
		all := true
		p.onWorkers(func(w *worker) {
			n := w.nodes[addr]
			all = all && (n == nil || n.down == !up)
		})
		return all
	}
	eventually(t, heeded, "workers know of "+addr)
}

// checkSamples are the values of one stat of the health checks by server.
func (p *testProxy) checkSamples(name string) map[string]float64 {
	all := map[string]float64{}
	p.Stats(func(s stats.Sample) {
		if s.Name == name && s.Endpoint != "" {
			all[s.Endpoint] = s.Value
		}
	})
	return all
}

// sick makes a node refuse PING, which is how it is checked, and serve all else as
// before under its name; and well ends that.
func sick(n *stub, name string) {
	serve := answers(name)
	n.does(func(c *stubConn, args []string) bool {
		return args[0] == "PING" && c.say("-ERR no\r\n") || serve(c, args)
	})
}

func well(n *stub, name string) { n.does(answers(name)) }
