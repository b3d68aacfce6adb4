package server

import (
	"maps"
	"slices"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// maxSubscriptions is how many services one stream may be subscribed to. One that
// asks for more ends with ResourceExhausted.
const maxSubscriptions = 100_000

// follower is a stream of configs or endpoints: what it is subscribed to, and what
// it was told. Its receiver subscribes, its sender tells.
type follower struct {
	// immutable
	s       *Server
	pending *pending
	known   func(*entry) bool // whether it has what this kind of stream tells

	requests sync.Mutex // held while the subscriptions change; guards the following
	closed   bool

	mu   sync.Mutex        // guards the following; no other is taken with it
	told map[string]*entry // subscribed; nil: was told nothing yet
}

func newFollower(s *Server, known func(*entry) bool) *follower {
	return &follower{s: s, pending: newPending(), known: known, told: map[string]*entry{}}
}

// subscribe makes the names pending that are new.
func (f *follower) subscribe(names []string) error {
	f.requests.Lock()
	defer f.requests.Unlock()
	if f.closed {
		return nil
	}
	fresh, err := f.begin(names)
	if err != nil {
		return err
	}
	c := f.s.contents
	c.mu.Lock()
	for _, name := range fresh {
		if c.subscribers[name] == nil {
			c.subscribers[name] = map[*follower]struct{}{}
		}
		c.subscribers[name][f] = struct{}{}
	}
	c.mu.Unlock()
	f.pending.add(fresh...) // changes from now on come by themselves
	return nil
}

func (f *follower) begin(names []string) (fresh []string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range names {
		if _, ok := f.told[name]; ok {
			continue
		}
		if len(f.told) >= maxSubscriptions {
			err = status.Errorf(codes.ResourceExhausted, "more than %d services on one stream", maxSubscriptions)
			break
		}
		f.told[name] = nil
		fresh = append(fresh, name)
	}
	f.s.subscriptions.Add(int64(len(fresh)))
	return fresh, err
}

func (f *follower) unsubscribe(names []string) {
	f.requests.Lock()
	defer f.requests.Unlock()
	f.leave(names)
}

// close ends all subscriptions. There are none afterwards, whatever the receiver
// still gets.
func (f *follower) close() {
	f.requests.Lock()
	defer f.requests.Unlock()
	f.closed = true
	f.mu.Lock()
	names := slices.Collect(maps.Keys(f.told))
	f.mu.Unlock()
	f.leave(names)
}

func (f *follower) leave(names []string) {
	gone := f.end(names)
	c := f.s.contents
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range gone {
		delete(c.subscribers[name], f)
		if len(c.subscribers[name]) == 0 {
			delete(c.subscribers, name)
		}
	}
}

func (f *follower) end(names []string) (gone []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range names {
		if _, ok := f.told[name]; ok {
			delete(f.told, name)
			gone = append(gone, name)
		}
	}
	f.s.subscriptions.Add(-int64(len(gone)))
	return gone
}

// advance notes that the stream is told next about a service, and returns what it
// was told before. It is false when there is nothing to tell now.
func (f *follower) advance(name string, next *entry) (told *entry, ok bool) {
	if next == nil || !f.known(next) {
		return nil, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	told, ok = f.told[name]
	if !ok || told == next {
		return nil, false
	}
	f.told[name] = next
	return told, true
}
