package dynamic

import (
	"maps"
	"slices"
	"time"

	"samaritan/config"
)

// applyStatus is how the last Apply went.
type applyStatus struct {
	total, failures uint64
	last            time.Time // that took the services
	err             string    // of the last one that failed for another reason than a name
}

// applyChanges builds what changed and applies the services if they are others than
// those applied last. Retry: also those that could not run for their name.
//
// Building and applying is paid by waiting: a server that changes a huge service all
// the time gets a tenth of a processor, and the changes are taken together. See pace.
func (c *Client) applyChanges(retry bool) {
	began := time.Now()
	defer func() { c.notBefore = c.pace.rest(began, time.Now()) }()
	c.mu.Lock()
	var clashed map[string]string
	if retry {
		clashed = c.model.unclash()
	}
	c.model.build()
	services := c.model.running()
	// The store may have services of another client, one before a reload. When there is
	// nothing to replace them with, they have to go all the same.
	nothing := c.model.live && len(c.model.entries) == 0 && c.outcome.total == 0
	c.mu.Unlock()
	c.applyAll(services, clashed, nothing)
	c.logResolved(clashed)
	c.save()
}

// applyAll applies the services without those whose names belong to another source.
// Who they are is what the error of Apply says. The clashes that there were before
// are not news. Always: also when they are the same as last.
func (c *Client) applyAll(services []*config.Service, before map[string]string, always bool) {
	for always || !slices.Equal(services, c.applied) || c.applyFailed() {
		err := c.o.Apply(slices.Clone(services))
		if err == nil {
			c.logServices(c.applied, services)
			c.applied = services
			c.noteApply("")
			return
		}
		clashes := clashesOf(err)
		without := slices.DeleteFunc(slices.Clone(services), func(s *config.Service) bool { return clashes[s.Name] != "" })
		if len(without) == len(services) {
			c.noteApply(shorten(err.Error(), maxText))
			c.flushIn(c.timing.reapply)
			return
		}
		c.noteClashes(clashes, before)
		services = without
	}
}

func (c *Client) applyFailed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.outcome.err != ""
}

// noteApply notes how it went, and logs when that is news.
func (c *Client) noteApply(problem string) {
	c.mu.Lock()
	before := c.outcome.err
	c.outcome.err = problem
	c.outcome.total++
	if problem == "" {
		c.outcome.last = time.Now()
	} else {
		c.outcome.failures++
	}
	c.mu.Unlock()
	switch {
	case problem != "" && problem != before:
		c.log.Error("services cannot be applied, trying again", "error", problem)
	case problem == "" && before != "":
		c.log.Info("services are applied again")
	}
}

// logServices says what the server has changed. What comes from before it has spoken is
// no change.
func (c *Client) logServices(before, now []*config.Service) {
	c.mu.Lock()
	live := c.model.live
	c.mu.Unlock()
	if !live {
		return
	}
	old := make(map[string]*config.Service, len(before))
	for _, s := range before {
		old[s.Name] = s
	}
	var added, removed, changed []string
	for _, s := range now {
		switch was := old[s.Name]; {
		case was == nil:
			added = append(added, s.Name)
		case was != s:
			changed = append(changed, s.Name)
		}
		delete(old, s.Name)
	}
	removed = slices.Sorted(maps.Keys(old))
	if len(added)+len(removed)+len(changed) > 0 {
		c.news.Info("the management server has changed services", "added", few(added), "removed", few(removed), "changed", few(changed), "services", len(now))
	}
}

func (c *Client) noteClashes(clashes, before map[string]string) {
	c.mu.Lock()
	for name, text := range clashes {
		c.model.clashed(name, text)
	}
	c.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(clashes)) {
		if before[name] != clashes[name] {
			c.model.log.Error("a service was rejected: its name is taken", "service", shortName(name), "problem", clashes[name])
		}
	}
}

// logResolved logs which services of those that clashed run now.
func (c *Client) logResolved(before map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(before)) {
		c.mu.Lock()
		e := c.model.entries[name]
		resolved := e != nil && e.clash == ""
		c.mu.Unlock()
		if resolved {
			c.log.Info("the name of a service is free now", "service", shortName(name))
		}
	}
}

// clashesOf finds all the names in an error that belong to another source.
func clashesOf(err error) map[string]string {
	found := map[string]string{}
	addClashes(err, found)
	return found
}

func addClashes(err error, found map[string]string) {
	if clash, ok := err.(*config.ClashError); ok { // each of a tree is wanted, not the first
		found[clash.Name] = shorten(clash.Error(), maxText)
		return
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		addClashes(e.Unwrap(), found)
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			addClashes(err, found)
		}
	}
}
