package dynamic

import (
	"maps"
	"os"
	"slices"
	"time"
)

// load applies what is known from before: by the client that ran until now, or from the
// state file.
func (c *Client) load() {
	switch {
	case c.before != nil:
		c.use(c.before)
		c.before = nil
		if c.keeper != nil {
			c.keeper.put(c.state()) // the other may not have been able to write it
		}
	case c.keeper != nil:
		c.loadFile()
	}
}

// use applies a state.
func (c *Client) use(s *state) {
	c.mu.Lock()
	if s.Current.Before(c.link.current) {
		c.link.current = s.Current
	}
	c.model.load(s.services)
	c.mu.Unlock()
	c.applyChanges(false)
}

func (c *Client) loadFile() {
	removeLeftovers(c.keeper.path)
	s, err := readState(c.keeper.path)
	switch {
	case err != nil:
		c.putAside(err)
		return
	case s == nil:
		return
	case s.Belong != c.o.Instance.Belong:
		c.log.Warn("the state file is of another service and is not used", "file", c.keeper.path,
			"belong", s.Belong, "is", c.o.Instance.Belong)
		return
	case s.Endpoint != c.o.Source.Endpoint:
		c.log.Warn("the state file is of another management server, and is used until this one answers",
			"file", c.keeper.path, "endpoint", s.Endpoint, "is", c.o.Source.Endpoint)
	}
	c.use(s)
	c.log.Info("services of the last run are used until the management server answers",
		"file", c.keeper.path, "services", len(c.applied), "current", s.Current)
}

// putAside keeps a file that is of no use, for whoever wants to know why.
func (c *Client) putAside(err error) {
	bad := c.keeper.path + ".bad"
	if rename := os.Rename(c.keeper.path, bad); rename != nil {
		c.log.Error("the state file is of no use", "error", err, "rename", rename)
		return
	}
	c.log.Error("the state file is of no use, and was put aside", "error", err, "file", bad)
}

// load takes what a state file has. Services that are not valid, by the rules of this
// program, come as far as they are.
func (m *model) load(services []savedService) {
	for i := range services {
		s := &services[i]
		if err := validName(s.name); err != nil {
			m.refuse(s.name, problemText(err))
			continue
		}
		if m.entries[s.name] != nil || !m.room(s.name) {
			continue
		}
		m.entries[s.name] = m.loadEntry(s)
		m.touch(m.entries[s.name])
	}
	m.unsaved = false
}

func (m *model) loadEntry(s *savedService) *entry {
	e := newEntry(s.name)
	if s.config != nil {
		if _, err := e.tellConfig(s.config); err != nil {
			m.reject(e, "saved config", "", e.configProblem)
		}
	}
	if s.known {
		e.tellEndpoints(s.endpoints, nil, true)
		if e.endpointProblem != "" {
			m.reject(e, "saved endpoints", "", e.endpointProblem)
		}
	}
	e.configLive, e.endpointsLive = false, false
	return e
}

// save gives the state to the keeper, when it is another one than the last.
func (c *Client) save() {
	c.mu.Lock()
	unsaved := c.model.unsaved
	c.mu.Unlock()
	if c.keeper != nil && unsaved {
		c.keeper.put(c.state())
	}
}

// saveLast writes the state at the end: what was not saved yet, or when it was
// current.
func (c *Client) saveLast() {
	c.mu.Lock()
	worth := c.model.unsaved || c.link.connected
	c.mu.Unlock()
	if worth {
		c.keeper.put(c.state())
	}
}

// state is what is known, to be saved.
func (c *Client) state() *state {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.model.unsaved = false
	s := &state{
		Current: c.link.current, Endpoint: c.o.Source.Endpoint,
		ID: c.o.Instance.Id, Belong: c.o.Instance.Belong,
		services: c.model.save(),
	}
	if c.link.connected || c.model.dependenciesTold {
		s.Current = time.Now()
	}
	s.Current = s.Current.UTC().Truncate(time.Millisecond)
	return s
}

// save returns the valid part of all that is known, ordered by name.
func (m *model) save() []savedService {
	services := make([]savedService, 0, len(m.entries))
	for _, name := range slices.Sorted(maps.Keys(m.entries)) {
		e := m.entries[name]
		e.settle()
		services = append(services, savedService{name: name, config: e.config, known: e.known, endpoints: e.endpoints})
	}
	return services
}
