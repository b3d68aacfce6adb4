package dynamic

import (
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"

	"samaritan/api"
	"samaritan/api/common"
	"samaritan/api/service"
)

// within is how long a test waits for what has to happen.
const within = 10 * time.Second

// server is a management server that says what a test tells it to, over real
// sockets.
type server struct {
	api.UnimplementedDiscoveryServiceServer

	t       *testing.T
	address string
	grpc    *grpc.Server

	dependencies chan *dependencyStream
	configs      chan *configStream
	endpoints    chan *endpointStream
	refuse       func(stream) error // nil: takes all streams
}

type (
	dependencyStream = serverStream[api.DependencyDiscoveryRequest, api.DependencyDiscoveryResponse]
	configStream     = serverStream[api.SvcConfigDiscoveryRequest, api.SvcConfigDiscoveryResponse]
	endpointStream   = serverStream[api.SvcEndpointDiscoveryRequest, api.SvcEndpointDiscoveryResponse]
)

// serverStream is one stream that a client has opened. The handler stays until end
// is closed or has an error.
type serverStream[Req, Res any] struct {
	grpc.ServerStream
	header metadata.MD
	end    chan error

	mu   sync.Mutex
	seen []*Req
}

func (s *serverStream[Req, Res]) send(r *Res) error { return s.SendMsg(r) }

func (s *serverStream[Req, Res]) requests() []*Req {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

func (s *serverStream[Req, Res]) note(r *Req) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, r)
}

// listen starts a server on a free port, or on the one given.
func listen(t *testing.T, address string, options ...grpc.ServerOption) *server {
	t.Helper()
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", address)
	require.NoError(t, err)
	s := newServer(t, l.Addr().String(), options...)
	go s.grpc.Serve(l) //nolint:errcheck
	t.Cleanup(s.grpc.Stop)
	return s
}

// listenRaw starts one that can send a rawMessage.
func listenRaw(t *testing.T) *server {
	t.Helper()
	return listen(t, "", grpc.ForceServerCodecV2(rawCodec{encoding.GetCodecV2("proto")}))
}

func newServer(t *testing.T, address string, options ...grpc.ServerOption) *server {
	s := &server{
		t: t, address: address, grpc: grpc.NewServer(options...),
		dependencies: make(chan *dependencyStream, 100),
		configs:      make(chan *configStream, 100),
		endpoints:    make(chan *endpointStream, 100),
	}
	api.RegisterDiscoveryServiceServer(s.grpc, s)
	return s
}

func (s *server) StreamDependencies(r *api.DependencyDiscoveryRequest, st grpc.ServerStreamingServer[api.DependencyDiscoveryResponse]) error {
	return serve(s, dependencies, st, s.dependencies, r)
}

func (s *server) StreamSvcConfigs(st grpc.BidiStreamingServer[api.SvcConfigDiscoveryRequest, api.SvcConfigDiscoveryResponse]) error {
	return serve(s, configs, st, s.configs, nil)
}

func (s *server) StreamSvcEndpoints(st grpc.BidiStreamingServer[api.SvcEndpointDiscoveryRequest, api.SvcEndpointDiscoveryResponse]) error {
	return serve(s, endpoints, st, s.endpoints, nil)
}

func serve[Req, Res any](s *server, which stream, st grpc.ServerStream, opened chan *serverStream[Req, Res], first *Req) error {
	if s.refuse != nil {
		if err := s.refuse(which); err != nil {
			return err
		}
	}
	header, _ := metadata.FromIncomingContext(st.Context())
	h := &serverStream[Req, Res]{ServerStream: st, header: header, end: make(chan error, 1)}
	if first != nil {
		h.note(first)
	} else {
		go func() {
			for {
				r := new(Req)
				if st.RecvMsg(r) != nil {
					return
				}
				h.note(r)
			}
		}()
	}
	opened <- h
	select {
	case err := <-h.end:
		return err
	case <-st.Context().Done():
		return st.Context().Err()
	}
}

// peer is a client that has opened its three streams.
type peer struct {
	t *testing.T
	d *dependencyStream
	c *configStream
	e *endpointStream
}

// accept waits for a client.
func (s *server) accept() *peer {
	s.t.Helper()
	return &peer{t: s.t, d: next(s.t, s.dependencies), c: next(s.t, s.configs), e: next(s.t, s.endpoints)}
}

func next[T any](t *testing.T, from chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(within):
		require.FailNow(t, "no stream was opened")
		panic("unreachable")
	}
}

// depends says which dependencies come and go.
func (p *peer) depends(added, removed []string) {
	p.t.Helper()
	require.NoError(p.t, p.d.send(&api.DependencyDiscoveryResponse{Added: named(added), Removed: named(removed)}))
}

func named(names []string) []*service.Service {
	var list []*service.Service
	for _, name := range names {
		list = append(list, &service.Service{Name: name})
	}
	return list
}

func (p *peer) config(name string, c *service.Config) {
	p.t.Helper()
	require.NoError(p.t, p.c.send(&api.SvcConfigDiscoveryResponse{Updated: map[string]*service.Config{name: c}}))
}

func (p *peer) hosts(name string, added, removed []*service.Endpoint) {
	p.t.Helper()
	require.NoError(p.t, p.e.send(&api.SvcEndpointDiscoveryResponse{SvcName: name, Added: added, Removed: removed}))
}

// tell says all of one service.
func (p *peer) tell(name string, port uint32, hosts ...int) {
	p.t.Helper()
	p.config(name, tcpConfig(port))
	p.hosts(name, at(hosts...), nil)
}

// subscribed returns what the client wants on both streams, when they agree.
func (p *peer) subscribed() ([]string, bool) {
	var c, e []string
	for _, r := range p.c.requests() {
		c = follow(c, r.SvcNamesSubscribe, r.SvcNamesUnsubscribe)
	}
	for _, r := range p.e.requests() {
		e = follow(e, r.SvcNamesSubscribe, r.SvcNamesUnsubscribe)
	}
	slices.Sort(c)
	slices.Sort(e)
	return c, slices.Equal(c, e)
}

func follow(names, add, remove []string) []string {
	names = slices.DeleteFunc(names, func(n string) bool { return slices.Contains(remove, n) })
	return append(names, add...)
}

// wants waits until the client has subscribed exactly these.
func (p *peer) wants(names ...string) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		got, ok := p.subscribed()
		return ok && slices.Equal(got, names)
	}, within, time.Millisecond, "subscribed: %v", names)
}

// at returns endpoints 10.0.0.h:7000.
func at(hosts ...int) []*service.Endpoint {
	var list []*service.Endpoint
	for _, h := range hosts {
		ip := net.IPv4(10, byte(h>>16), byte(h>>8), byte(h)).String()
		list = append(list, &service.Endpoint{Address: &common.Address{Ip: ip, Port: 7000}})
	}
	return list
}

func tcpConfig(port uint32) *service.Config {
	c := anyConfig()
	c.Listener.Address.Port = port
	return c
}
