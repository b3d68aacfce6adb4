package server

import (
	"maps"
	"slices"

	"samaritan/api/service"
)

// All stands for all services in a list of dependencies.
const All = "*"

// Snapshot is everything that a server tells.
type Snapshot struct {
	// Services by name.
	Services map[string]Service
	// Dependencies are the names of services by what the instance belongs to.
	// All is every service. Names without a service count from when there is one.
	Dependencies map[string][]string
}

// Service is what is told of one service.
type Service struct {
	// Config is nil while it is not known: none is sent.
	Config *service.Config
	// Endpoints are nil while they are not known: none are sent. Empty but not
	// nil says that there are none. Of several with the same address the first
	// one counts.
	Endpoints []*service.Endpoint
}

// Set adds or changes a service. See [Service] for what nil means. What is given
// is copied.
func (s *Server) Set(name string, c *service.Config, endpoints []*service.Endpoint) {
	s.change(func(d *delta) {
		d.set(name, newEntry(Service{Config: c, Endpoints: endpoints}))
	})
}

// Remove removes services; names that are not there do not matter.
func (s *Server) Remove(names ...string) {
	s.change(func(d *delta) {
		for _, name := range names {
			d.remove(name)
		}
	})
}

// Depend says which services the instances depend on that belong to belong: these,
// instead of what was said before. None at all: nothing.
func (s *Server) Depend(belong string, names ...string) {
	s.change(func(d *delta) { d.depend(belong, newSelection(names)) })
}

// Replace makes the contents the same as the snapshot. What is the same already
// is not told again. The services are copied.
func (s *Server) Replace(next Snapshot) {
	entries := make(map[string]*entry, len(next.Services))
	for name, svc := range next.Services {
		entries[name] = newEntry(svc)
	}
	s.change(func(d *delta) {
		for _, name := range slices.Sorted(maps.Keys(entries)) {
			d.set(name, entries[name])
		}
		for _, name := range slices.Sorted(maps.Keys(d.services)) {
			if entries[name] == nil {
				d.remove(name)
			}
		}
		for belong, names := range next.Dependencies {
			d.depend(belong, newSelection(names))
		}
		for belong := range d.selections {
			if _, ok := next.Dependencies[belong]; !ok {
				d.depend(belong, nil)
			}
		}
	})
}

// change makes one change of the contents, and tells the streams which names to
// look at.
func (s *Server) change(make func(d *delta)) {
	c := s.contents
	c.mu.Lock()
	d := &delta{catalog: c}
	make(d)
	c.tellLocked(d)
	c.mu.Unlock()

	if n := len(d.added) + len(d.changed) + len(d.removed); n > 0 {
		s.log.Info("services changed", "added", brief(d.added), "changed", brief(d.changed), "removed", brief(d.removed))
	}
	if len(d.belongs) > 0 {
		s.log.Info("dependencies changed", "belongs", brief(d.belongs))
	}
}

// delta is what one change has changed so far. The mutex of the catalog is held
// while it is made.
type delta struct {
	*catalog
	added, changed, removed []string
	belongs                 []string
	reselected              map[string][]string // by belong: names that may be another's now
}

func (d *delta) set(name string, e *entry) {
	old := d.services[name]
	switch {
	case old == nil:
		d.added = append(d.added, name)
	case old.same(e):
		return
	default:
		d.changed = append(d.changed, name)
	}
	d.services[name] = e
}

func (d *delta) remove(name string) {
	if d.services[name] == nil {
		return
	}
	delete(d.services, name)
	d.removed = append(d.removed, name)
}

// depend takes nil for a belong without dependencies.
func (d *delta) depend(belong string, next selection) {
	old := d.selections[belong]
	if maps.Equal(old, next) {
		return
	}
	if len(next) == 0 {
		delete(d.selections, belong)
	} else {
		d.selections[belong] = next
	}
	names := append(slices.Collect(maps.Keys(old)), slices.Collect(maps.Keys(next))...)
	if old.has(All) != next.has(All) {
		names = append(names, slices.Collect(maps.Keys(d.services))...)
	}
	if d.reselected == nil {
		d.reselected = map[string][]string{}
	}
	d.reselected[belong] = names
	d.belongs = append(d.belongs, belong)
}
