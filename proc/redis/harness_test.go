package redis

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	"samaritan/api/common"
	"samaritan/api/hc"
	"samaritan/api/protocol"
	"samaritan/api/redis"
	"samaritan/api/service"
	"samaritan/config"
	"samaritan/internal/eventloop"
	"samaritan/proc"
)

// proxyOptions is what a test may change about the proxy it starts; zero values are
// the defaults of the configuration.
type proxyOptions struct {
	read           redis.ReadStrategy
	limit          uint32
	idleTimeout    time.Duration
	connectTimeout time.Duration
	requestTimeout time.Duration
	loops          int
	drain          time.Duration
	check          *hc.HealthCheck
	log            io.Writer // the test's output when nil
	gate           <-chan struct{}
}

// testProxy is a Proc that serves on a free loopback port.
type testProxy struct {
	*Proc
	Addr   string
	stop   context.CancelFunc
	ended  chan struct{}
	result error
}

// startProxy runs a real Proc in front of the given seeds, waits until it is bound
// (and ready, when seeds answer), and ends it with the test.
func startProxy(t testing.TB, o proxyOptions, seeds ...string) *testProxy {
	t.Helper()
	group, err := eventloop.NewGroup(max(o.loops, 1))
	require.NoError(t, err)
	loopsCtx, stopLoops := context.WithCancel(context.Background())
	loopsEnded := make(chan struct{})
	go func() { defer close(loopsEnded); _ = group.Run(loopsCtx) }()

	svc, err := config.NewService("test", o.config(), endpointsOf(t, seeds))
	require.NoError(t, err)
	var lc net.ListenConfig
	env := proc.Env{
		Listen: lc.Listen, Loops: group, Log: slog.New(slog.NewTextHandler(cmp.Or(o.log, t.Output()), nil)),
		Drain: max(o.drain, time.Second), Version: "test", Gate: o.gate,
	}
	built, err := New(svc, env)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	p := &testProxy{Proc: built.(*Proc), stop: stop, ended: make(chan struct{})}
	go func() { defer close(p.ended); p.result = p.Run(ctx) }()
	t.Cleanup(func() {
		p.Stop()
		stopLoops()
		<-loopsEnded
	})
	require.Eventually(t, func() bool { return p.Status().Address != "" }, 5*time.Second, time.Millisecond)
	p.Addr = p.Status().Address
	return p
}

// ready waits for the slot map.
func (p *testProxy) ready(t testing.TB) *testProxy {
	t.Helper()
	require.Eventually(t, func() bool { return p.Status().Ready }, 10*time.Second, time.Millisecond)
	return p
}

// Stop ends the proxy as SIGTERM would and waits for it.
func (p *testProxy) Stop() {
	p.stop()
	<-p.ended
}

func (o proxyOptions) config() *service.Config {
	return &service.Config{
		Listener:       &service.Listener{Address: &common.Address{Ip: "127.0.0.1"}, ConnectionLimit: o.limit},
		Protocol:       protocol.Protocol_Redis,
		HealthCheck:    o.check,
		IdleTimeout:    duration(o.idleTimeout),
		ConnectTimeout: duration(o.connectTimeout),
		ProtocolOptions: &service.Config_RedisOption{RedisOption: &protocol.RedisOption{
			ReadStrategy: o.read, RequestTimeout: duration(o.requestTimeout),
		}},
	}
}

func duration(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

func endpointsOf(t testing.TB, addrs []string) []*service.Endpoint {
	t.Helper()
	var all []*service.Endpoint
	for _, a := range addrs {
		host, port, err := net.SplitHostPort(a)
		require.NoError(t, err)
		n, err := strconv.Atoi(port)
		require.NoError(t, err)
		all = append(all, &service.Endpoint{Address: &common.Address{Ip: host, Port: uint32(n)}})
	}
	return all
}
