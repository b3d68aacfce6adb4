package source

import (
	"context"

	"google.golang.org/grpc"

	"samaritan/api"
	"samaritan/api/service"
)

// StreamDependencies tells of all services at once.
func (s *Source) StreamDependencies(_ *api.DependencyDiscoveryRequest, stream grpc.ServerStreamingServer[api.DependencyDiscoveryResponse]) error {
	s.askOnce.Do(func() { close(s.asked) })
	if !s.await(stream.Context()) {
		return nil
	}
	all := new(api.DependencyDiscoveryResponse)
	for _, one := range s.services {
		all.Added = append(all.Added, &service.Service{Name: one.Name})
	}
	if err := stream.Send(all); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

// await returns false when the context ends before there are services.
func (s *Source) await(ctx context.Context) bool {
	select {
	case <-s.published:
		return true
	case <-ctx.Done():
		return false
	}
}

// StreamSvcConfigs answers each subscription with all configs that it asks for.
func (s *Source) StreamSvcConfigs(stream grpc.BidiStreamingServer[api.SvcConfigDiscoveryRequest, api.SvcConfigDiscoveryResponse]) error {
	for {
		request, err := stream.Recv()
		if err != nil || !s.await(stream.Context()) {
			return nil // The daemon has gone, or it is to be left.
		}
		updated := map[string]*service.Config{}
		for _, name := range request.SvcNamesSubscribe {
			if one, ok := s.byName[name]; ok {
				updated[name] = one.Config
			}
		}
		if err := stream.Send(&api.SvcConfigDiscoveryResponse{Updated: updated}); err != nil {
			return err
		}
	}
}

// StreamSvcEndpoints answers each subscription with all endpoints of each service, and then sends the changes.
func (s *Source) StreamSvcEndpoints(stream grpc.BidiStreamingServer[api.SvcEndpointDiscoveryRequest, api.SvcEndpointDiscoveryResponse]) error {
	subscribed := make(chan []string)
	go receive(stream, subscribed)
	for {
		select {
		case names, ok := <-subscribed:
			if !ok || !s.await(stream.Context()) {
				return nil
			}
			if err := s.sendEndpoints(stream, names); err != nil {
				return err
			}
		case change := <-s.changes:
			if err := stream.Send(change); err != nil {
				return err
			}
		case <-stream.Context().Done():
			return nil
		}
	}
}

// receive passes subscriptions on until the stream ends, and then says so.
func receive(stream grpc.BidiStreamingServer[api.SvcEndpointDiscoveryRequest, api.SvcEndpointDiscoveryResponse], subscribed chan<- []string) {
	defer close(subscribed)
	for {
		request, err := stream.Recv()
		if err != nil {
			return
		}
		select {
		case subscribed <- request.SvcNamesSubscribe:
		case <-stream.Context().Done():
			return
		}
	}
}

func (s *Source) sendEndpoints(stream grpc.BidiStreamingServer[api.SvcEndpointDiscoveryRequest, api.SvcEndpointDiscoveryResponse], names []string) error {
	for _, name := range names {
		one, ok := s.byName[name]
		if !ok {
			continue
		}
		if err := stream.Send(&api.SvcEndpointDiscoveryResponse{SvcName: name, Added: one.Endpoints}); err != nil {
			return err
		}
	}
	return nil
}
