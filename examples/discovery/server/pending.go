package server

import (
	"maps"
	"slices"
	"sync"
)

// pending is the set of names that a stream has to look at. However often a name
// is added, and however long the stream is busy, it is there once.
type pending struct {
	wake chan struct{} // has a value when names may have one

	mu    sync.Mutex // guards the following
	names map[string]struct{}
}

func newPending() *pending {
	return &pending{wake: make(chan struct{}, 1), names: map[string]struct{}{}}
}

func (p *pending) add(names ...string) {
	if len(names) == 0 {
		return
	}
	p.mu.Lock()
	for _, name := range names {
		p.names[name] = struct{}{}
	}
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// take empties the set and returns what was in it, ordered.
func (p *pending) take() []string {
	p.mu.Lock()
	names := p.names
	p.names = map[string]struct{}{}
	p.mu.Unlock()
	return slices.Sorted(maps.Keys(names))
}
