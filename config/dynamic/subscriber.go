package dynamic

import (
	"context"
	"errors"
	"sync"
)

var errNotRead = errors.New("the server does not read what it is sent")

// subscriber sends the requests of one stream, in the order in which they were
// made. Who makes one never waits. A name that is unsubscribed and subscribed again
// needs both requests: then the server tells all of it anew. That is why they do not
// cancel each other out.
type subscriber struct {
	send func(add, remove []string) error
	wake chan struct{}

	mu     sync.Mutex // guards the following
	queue  []subscription
	queued int // names
}

func newSubscriber(send func(add, remove []string) error) *subscriber {
	return &subscriber{send: send, wake: make(chan struct{}, 1)}
}

// put queues requests, what is to be removed first. False: there is no room.
func (s *subscriber) put(r subscription) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queued += len(r.add) + len(r.remove)
	if s.queued > maxQueued {
		return false
	}
	// Two requests: in which order a server works through one with both is not known.
	s.putLocked(r.remove, func(names []string) subscription { return subscription{remove: names} })
	s.putLocked(r.add, func(names []string) subscription { return subscription{add: names} })
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return true
}

func (s *subscriber) putLocked(names []string, request func([]string) subscription) {
	for len(names) > 0 {
		n := min(len(names), maxNames)
		s.queue = append(s.queue, request(names[:n]))
		names = names[n:]
	}
}

func (s *subscriber) take() []subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.queue
	s.queue, s.queued = nil, 0
	return queue
}

// run sends until ctx ends or sending fails.
func (s *subscriber) run(ctx context.Context) error {
	for {
		for _, r := range s.take() {
			if err := s.send(r.add, r.remove); err != nil {
				return err
			}
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
