package source

import (
	"context"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"

	"samaritan/api"
	"samaritan/api/service"
)

// Service is one that the daemon shall have.
type Service struct {
	Name      string
	Config    *service.Config
	Endpoints []*service.Endpoint
}

// maxChanges is how many changes wait to be sent before Change waits.
const maxChanges = 10_000

// Source is a running management server. It is safe for concurrent use.
type Source struct {
	api.UnimplementedDiscoveryServiceServer

	// immutable
	addr    string
	server  *grpc.Server
	ended   chan struct{} // closed when the server has
	changes chan *api.SvcEndpointDiscoveryResponse

	asked     chan struct{} // closed when the daemon has asked what it depends on
	askOnce   sync.Once
	published chan struct{} // closed when the following are there; they do not change any more
	services  []*Service
	byName    map[string]*Service
}

// Start starts one on a free port of loopback. The caller has to call Close.
func Start() (*Source, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Source{
		addr: l.Addr().String(), server: grpc.NewServer(grpc.WaitForHandlers(true)), ended: make(chan struct{}),
		changes: make(chan *api.SvcEndpointDiscoveryResponse, maxChanges),
		asked:   make(chan struct{}), published: make(chan struct{}), byName: map[string]*Service{},
	}
	api.RegisterDiscoveryServiceServer(s.server, s)
	go s.serve(l)
	return s, nil
}

func (s *Source) serve(l net.Listener) {
	defer close(s.ended)
	_ = s.server.Serve(l) // If it ended before Close, the daemon would get nothing, which is noticed.
}

// Close ends all streams.
func (s *Source) Close() {
	s.server.Stop()
	<-s.ended
}

// Addr is where the daemon finds it, as host:port.
func (s *Source) Addr() string { return s.addr }

// Publish waits until the daemon has asked what it depends on, and lets it know these services. It returns the moment
// before that. It is called once.
func (s *Source) Publish(ctx context.Context, services []*Service) (time.Time, error) {
	select {
	case <-s.asked:
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	}
	s.services = services
	for _, one := range services {
		s.byName[one.Name] = one
	}
	now := time.Now()
	close(s.published)
	return now, nil
}

// Change sends a change of the endpoints of a service.
func (s *Source) Change(ctx context.Context, name string, added, removed []*service.Endpoint) error {
	select {
	case s.changes <- &api.SvcEndpointDiscoveryResponse{SvcName: name, Added: added, Removed: removed}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
