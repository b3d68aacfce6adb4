package server

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"

	"samaritan/api"
	"samaritan/api/common"
	"samaritan/api/service"
)

const (
	patience = 10 * time.Second
	pollTime = 2 * time.Millisecond
	// calm is how long nothing has to come for a test to believe that nothing does.
	calm = 50 * time.Millisecond
)

// rig is a server on a socket.
type rig struct {
	*Server
	t       *testing.T
	address string
	stop    func() // and waits
}

func startServer(t *testing.T, o Options) *rig {
	t.Helper()
	r := &rig{Server: New(o), t: t}
	r.serve("127.0.0.1:0")
	return r
}

// serve serves until stop.
func (r *rig) serve(address string) {
	r.t.Helper()
	l, err := net.Listen("tcp", address)
	require.NoError(r.t, err)
	r.address = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- r.Serve(ctx, l) }()
	stopped := false
	r.stop = func() {
		cancel()
		if !stopped {
			stopped = true
			require.NoError(r.t, <-result)
		}
	}
	r.t.Cleanup(r.stop)
}

// connect makes a client with a connection of its own.
func (r *rig) connect(options ...grpc.DialOption) api.DiscoveryServiceClient {
	r.t.Helper()
	if len(options) == 0 {
		options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))
	}
	c, err := grpc.NewClient(r.address, options...)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = c.Close() })
	return api.NewDiscoveryServiceClient(c)
}

// inbox reads a stream on a goroutine, so that a test can wait for a message, or
// for none.
type inbox[T any] struct {
	t      *testing.T
	got    chan T
	failed chan error
}

func newInbox[T any](t *testing.T, recv func() (T, error)) *inbox[T] {
	in := &inbox[T]{t: t, got: make(chan T, 10_000), failed: make(chan error, 1)}
	go func() {
		for {
			m, err := recv()
			if err != nil {
				in.failed <- err
				return
			}
			in.got <- m
		}
	}()
	return in
}

func (in *inbox[T]) next() T {
	in.t.Helper()
	select {
	case m := <-in.got:
		return m
	case err := <-in.failed:
		require.NoError(in.t, err)
	case <-time.After(patience):
		require.Fail(in.t, "no message")
	}
	panic("unreachable")
}

func (in *inbox[T]) nothing() {
	in.t.Helper()
	select {
	case m := <-in.got:
		require.Fail(in.t, "a message", "%v", m)
	case err := <-in.failed:
		require.NoError(in.t, err)
	case <-time.After(calm):
	}
}

func (in *inbox[T]) end() error {
	in.t.Helper()
	select {
	case err := <-in.failed:
		return err
	case <-time.After(patience):
		require.Fail(in.t, "the stream does not end")
		return nil
	}
}

type (
	dependencyInbox = inbox[*api.DependencyDiscoveryResponse]
	configInbox     struct {
		*inbox[*api.SvcConfigDiscoveryResponse]
		st api.DiscoveryService_StreamSvcConfigsClient
	}
	endpointInbox struct {
		*inbox[*api.SvcEndpointDiscoveryResponse]
		st api.DiscoveryService_StreamSvcEndpointsClient
	}
)

func dependencies(t *testing.T, c api.DiscoveryServiceClient, belong string) *dependencyInbox {
	t.Helper()
	st, err := c.StreamDependencies(context.Background(), &api.DependencyDiscoveryRequest{
		Instance: &common.Instance{Id: "1", Version: "test", Belong: belong},
	})
	require.NoError(t, err)
	return newInbox(t, st.Recv)
}

func configs(t *testing.T, c api.DiscoveryServiceClient) configInbox {
	t.Helper()
	st, err := c.StreamSvcConfigs(context.Background())
	require.NoError(t, err)
	return configInbox{newInbox(t, st.Recv), st}
}

func (in configInbox) ask(subscribe, unsubscribe []string) {
	in.t.Helper()
	require.NoError(in.t, in.st.Send(&api.SvcConfigDiscoveryRequest{SvcNamesSubscribe: subscribe, SvcNamesUnsubscribe: unsubscribe}))
}

func endpoints(t *testing.T, c api.DiscoveryServiceClient) endpointInbox {
	t.Helper()
	st, err := c.StreamSvcEndpoints(context.Background())
	require.NoError(t, err)
	return endpointInbox{newInbox(t, st.Recv), st}
}

func (in endpointInbox) ask(subscribe, unsubscribe []string) {
	in.t.Helper()
	require.NoError(in.t, in.st.Send(&api.SvcEndpointDiscoveryRequest{SvcNamesSubscribe: subscribe, SvcNamesUnsubscribe: unsubscribe}))
}

// tell is the next message as text.
func (in endpointInbox) tell() string {
	in.t.Helper()
	m := in.next()
	return fmt.Sprintf("%s +%v -%v", m.SvcName, show(m.Added), show(m.Removed))
}

func tellNames(m *api.DependencyDiscoveryResponse) string {
	list := func(services []*service.Service) []string {
		names := []string{}
		for _, s := range services {
			names = append(names, s.Name)
		}
		return names
	}
	return fmt.Sprintf("+%v -%v", list(m.Added), list(m.Removed))
}

// show has one word for each endpoint.
func show(list []*service.Endpoint) []string {
	words := []string{}
	for _, p := range list {
		word := fmt.Sprint(p.Address.Port)
		if p.State != service.Endpoint_UP {
			word += p.State.String()
		}
		if p.Type != service.Endpoint_MAIN {
			word += p.Type.String()
		}
		words = append(words, word)
	}
	return words
}

// conf is a config that its timeout tells from others.
func conf(seconds int64) *service.Config {
	return &service.Config{ConnectTimeout: &durationpb.Duration{Seconds: seconds}}
}

// eps are endpoints on these ports, all fine.
func eps(ports ...uint32) []*service.Endpoint {
	list := []*service.Endpoint{}
	for _, port := range ports {
		list = append(list, &service.Endpoint{Address: &common.Address{Ip: "10.0.0.1", Port: port}})
	}
	return list
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, patience, pollTime, what)
}
