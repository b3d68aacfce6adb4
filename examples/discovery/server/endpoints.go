package server

import (
	"log/slog"

	"samaritan/api"
)

// StreamSvcEndpoints implements api.DiscoveryServiceServer.
func (s *Server) StreamSvcEndpoints(st api.DiscoveryService_StreamSvcEndpointsServer) error {
	return s.follow(st.Context(), stream{
		name:    "endpoints",
		open:    &s.endpoints,
		known:   func(e *entry) bool { return e.endpoints != nil },
		receive: func() (request, error) { return st.Recv() },
		send: func(f *follower, names []string, log *slog.Logger) error {
			return f.sendEndpoints(st, names, log)
		},
	})
}

// sendEndpoints sends the endpoints that are new, one message for each service.
func (f *follower) sendEndpoints(st api.DiscoveryService_StreamSvcEndpointsServer, names []string, log *slog.Logger) error {
	var sent []string
	added, removed := 0, 0
	for _, name := range names {
		m := f.newEndpoints(name)
		if m == nil {
			continue
		}
		if err := st.Send(m); err != nil {
			return err
		}
		f.s.sent.Add(1)
		sent, added, removed = append(sent, name), added+len(m.Added), removed+len(m.Removed)
	}
	if len(sent) > 0 {
		log.Info("sent endpoints", "services", brief(sent), "added", added, "removed", removed)
	}
	return nil
}

// newEndpoints returns the message to send, nil for none.
func (f *follower) newEndpoints(name string) *api.SvcEndpointDiscoveryResponse {
	next := f.s.contents.service(name)
	told, ok := f.advance(name, next)
	if !ok {
		return nil
	}
	added, removed := told.diff(next)
	if told != nil && len(added)+len(removed) == 0 {
		return nil
	}
	return &api.SvcEndpointDiscoveryResponse{SvcName: name, Added: added, Removed: removed}
}
