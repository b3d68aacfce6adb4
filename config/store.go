package config

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// ErrRunning is the error of a second call of [Store.Run].
var ErrRunning = errors.New("config store: was run already")

// ClashError says that two sources have a service of the same name. The one that
// had it first keeps it.
type ClashError struct {
	Name   string
	Source string // that wants it
	Owner  string // that has it
}

// Error names both sources.
func (e *ClashError) Error() string {
	return fmt.Sprintf("service %q of source %q is owned by source %q", clip(e.Name), e.Source, e.Owner)
}

// Store has the services to run, from all sources, and tells one consumer what
// changed.
//
// It holds two states: what the sources want, and what the consumer was told.
// The next event is always the next step from the second to the first. So there
// is no queue of events that could grow: however fast the sources change a
// service while the consumer is busy, the consumer gets one step, and in the end
// has the last state. A change that is taken back meanwhile is not told at all.
//
// The order of the events depends on the calls of Apply alone, while they are
// not mixed with deliveries. Removals come first: they free names and
// listeners. The others come in the order in which their services began to
// differ; those of one Apply with changes before additions, then by name. For
// one service, its config comes before its endpoints.
type Store struct {
	events chan Event
	wake   chan struct{} // tells Run that pending changed

	mu      sync.Mutex // guards the following
	ran     bool
	wanted  map[string]owned
	told    map[string]*Service
	pending *line  // services to look at
	applies uint64 // calls of Apply so far
}

// owned is a service and the source it comes from.
type owned struct {
	source  string
	service *Service
}

// NewStore returns an empty store.
func NewStore() *Store {
	return &Store{
		events:  make(chan Event),
		wake:    make(chan struct{}, 1),
		wanted:  map[string]owned{},
		told:    map[string]*Service{},
		pending: newLine(),
	}
}

// Events returns the channel of the events. Run closes it when it returns.
func (s *Store) Events() <-chan Event { return s.events }

// Services returns what the sources want now, ordered by name. The consumer may
// not have been told of all of it yet.
func (s *Store) Services() []*Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	services := make([]*Service, 0, len(s.wanted))
	for _, name := range slices.Sorted(maps.Keys(s.wanted)) {
		services = append(services, s.wanted[name].service)
	}
	return services
}

// Has tells whether one of the sources wants a service of that name now.
func (s *Store) Has(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wanted[name].service != nil
}

// Apply replaces all services of one source. It never waits for the consumer.
// The services must come from Parse or NewService. A name that the source gives
// twice, or that another source owns, is an error, the latter a [ClashError] for
// each such name, all of them joined; then nothing is changed.
func (s *Store) Apply(source string, services []*Service) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkLocked(source, services); err != nil {
		return err
	}
	s.applies++
	names := make(map[string]bool, len(services))
	for _, svc := range services {
		names[svc.Name] = true
		if s.wanted[svc.Name].service != svc {
			s.wanted[svc.Name] = owned{source: source, service: svc}
			s.touchLocked(svc.Name)
		}
	}
	for name, o := range s.wanted {
		if o.source == source && !names[name] {
			delete(s.wanted, name)
			s.touchLocked(name)
		}
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

// checkLocked returns all reasons why the services of a source cannot be taken.
func (s *Store) checkLocked(source string, services []*Service) error {
	var errs []error
	seen := make(map[string]bool, len(services))
	for i, svc := range services {
		if svc == nil {
			errs = append(errs, fmt.Errorf("source %q: service %d is nil", source, i))
			continue
		}
		if seen[svc.Name] {
			errs = append(errs, fmt.Errorf("source %q has two services %q", source, svc.Name))
		}
		seen[svc.Name] = true
		if o, ok := s.wanted[svc.Name]; ok && o.source != source {
			errs = append(errs, &ClashError{Name: svc.Name, Source: source, Owner: o.source})
		}
	}
	return errors.Join(errs...)
}

// touchLocked marks a service to be looked at. One that is marked keeps its
// place, so that a service that changes all the time does not starve.
func (s *Store) touchLocked(name string) {
	since, ok := s.pending.since(name)
	if !ok {
		since = s.applies
	}
	s.lineUpLocked(name, since)
}

func (s *Store) lineUpLocked(name string, since uint64) {
	t := turn{since: since, name: name}
	if s.wanted[name].service != nil {
		t.removed = 1
	}
	if s.told[name] == nil {
		t.added = 1
	}
	s.pending.put(t)
}

// Run delivers the events until ctx is done; then it returns nil. An event that
// waits for the consumer is made anew when the sources change, so the consumer
// always gets a fresh one. Run can be called once: the second call returns
// [ErrRunning].
func (s *Store) Run(ctx context.Context) error {
	s.mu.Lock()
	ran := s.ran
	s.ran = true
	s.mu.Unlock()
	if ran {
		return ErrRunning
	}
	defer close(s.events)
	for ctx.Err() == nil {
		name, event, after := s.next()
		events := s.events
		if event == nil {
			events = nil // nothing to tell: wait
		}
		select {
		case events <- event:
			s.delivered(name, after)
		case <-s.wake:
		case <-ctx.Done():
		}
	}
	return nil
}

// next returns the event that is to be delivered next, nil if there is none.
func (s *Store) next() (name string, event Event, after *Service) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		name, ok := s.pending.first()
		if !ok {
			return "", nil, nil
		}
		if event, after = nextEvent(name, s.told[name], s.wanted[name].service); event != nil {
			return name, event, after
		}
		s.pending.leave(name)
	}
}

// delivered notes what the consumer knows now. The service goes to the end of
// the line: there may be another step, but not before the others had theirs.
func (s *Store) delivered(name string, after *Service) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if after == nil {
		delete(s.told, name)
	} else {
		s.told[name] = after
	}
	s.lineUpLocked(name, s.applies)
}
