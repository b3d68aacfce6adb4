package server

import (
	"slices"
	"sync"
)

// catalog is the contents of a server, and who has to be told when they change.
//
// The mutex of a pending set is taken with the one here held, never the other way
// round.
type catalog struct {
	mu         sync.RWMutex // guards the following
	services   map[string]*entry
	selections map[string]selection // by belong

	subscribers map[string]map[*follower]struct{} // by service, also for one that is not there
	dependants  map[string]map[*pending]struct{}  // by belong, likewise
}

func newCatalog() *catalog {
	return &catalog{
		services:    map[string]*entry{},
		selections:  map[string]selection{},
		subscribers: map[string]map[*follower]struct{}{},
		dependants:  map[string]map[*pending]struct{}{},
	}
}

// service returns what there is of a service, nil for nothing.
func (c *catalog) service(name string) *entry {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.services[name]
}

// tellLocked puts what changed into the pending sets of those it concerns.
func (c *catalog) tellLocked(d *delta) {
	for _, names := range [][]string{d.added, d.changed, d.removed} {
		for _, name := range names {
			for f := range c.subscribers[name] {
				f.pending.add(name)
			}
		}
	}
	listed := slices.Concat(d.added, d.removed)
	for belong, streams := range c.dependants {
		names := append(c.selections[belong].pick(listed), d.reselected[belong]...)
		for p := range streams {
			p.add(names...)
		}
	}
}

// selection is the names that a belong depends on; All stands for every name.
type selection map[string]struct{}

func newSelection(names []string) selection {
	s := make(selection, len(names))
	for _, name := range names {
		s[name] = struct{}{}
	}
	return s
}

func (s selection) has(name string) bool {
	_, ok := s[name]
	return ok
}

// selects tells whether the name is in it, by All or by itself.
func (s selection) selects(name string) bool { return s.has(All) || s.has(name) }

// pick returns the names that are selected.
func (s selection) pick(names []string) []string {
	var picked []string
	for _, name := range names {
		if s.selects(name) {
			picked = append(picked, name)
		}
	}
	return picked
}
