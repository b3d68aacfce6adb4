package server

import (
	"log/slog"
	"maps"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"samaritan/api"
	"samaritan/api/service"
)

// StreamDependencies implements api.DiscoveryServiceServer.
func (s *Server) StreamDependencies(r *api.DependencyDiscoveryRequest, st api.DiscoveryService_StreamDependenciesServer) error {
	ctx := st.Context()
	if err := s.admit(ctx); err != nil {
		return err
	}
	belong := r.GetInstance().GetBelong()
	if belong == "" {
		return status.Error(codes.InvalidArgument, "instance.belong is required")
	}
	log := s.log.With("stream", "dependencies", "peer", peerOf(ctx), "instance", r.Instance.Id, "belong", belong)
	s.dependencies.Add(1)
	defer s.dependencies.Add(-1)
	d := &dependant{s: s, st: st, belong: belong, log: log, pending: newPending(), told: map[string]bool{}}
	s.contents.attach(d)
	defer s.contents.detach(d)

	log.Info("stream begins", "version", r.Instance.Version)
	err := d.send(d.pending.take(), true)
	if err == nil {
		err = d.pending.each(ctx, func(names []string) error { return d.send(names, false) })
	}
	log.Info("stream ends", "reason", status.Convert(err).Message())
	return err
}

// dependant is a stream of dependencies. Its own goroutine has all but pending.
type dependant struct {
	s       *Server
	st      api.DiscoveryService_StreamDependenciesServer
	belong  string
	log     *slog.Logger
	pending *pending
	told    map[string]bool // what the instance depends on, as it knows
}

// send tells which of the names are new and which are gone, also neither when it
// is the first message.
func (d *dependant) send(names []string, first bool) error {
	added, removed := d.diff(names)
	if len(added)+len(removed) == 0 && !first {
		return nil
	}
	err := d.st.Send(&api.DependencyDiscoveryResponse{Added: services(added), Removed: services(removed)})
	if err != nil {
		return err
	}
	d.s.sent.Add(1)
	d.log.Info("sent dependencies", "added", brief(added), "removed", brief(removed))
	return nil
}

// diff notes what there is now.
func (d *dependant) diff(names []string) (added, removed []string) {
	c := d.s.contents
	c.mu.RLock()
	defer c.mu.RUnlock()
	selected := c.selections[d.belong]
	for _, name := range names {
		is := c.services[name] != nil && selected.selects(name)
		switch {
		case is && !d.told[name]:
			d.told[name] = true
			added = append(added, name)
		case !is && d.told[name]:
			delete(d.told, name)
			removed = append(removed, name)
		}
	}
	return added, removed
}

func services(names []string) []*service.Service {
	list := make([]*service.Service, len(names))
	for i, name := range names {
		list[i] = &service.Service{Name: name}
	}
	return list
}

// attach makes all that the belong depends on pending, and what changes from now
// on.
func (c *catalog) attach(d *dependant) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dependants[d.belong] == nil {
		c.dependants[d.belong] = map[*pending]struct{}{}
	}
	c.dependants[d.belong][d.pending] = struct{}{}
	d.pending.add(c.listLocked(d.belong)...)
}

// listLocked returns the names of all that the belong depends on.
func (c *catalog) listLocked(belong string) []string {
	selected := c.selections[belong]
	if selected.has(All) {
		return slices.Collect(maps.Keys(c.services))
	}
	return slices.Collect(maps.Keys(selected))
}

func (c *catalog) detach(d *dependant) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.dependants[d.belong], d.pending)
	if len(c.dependants[d.belong]) == 0 {
		delete(c.dependants, d.belong)
	}
}
