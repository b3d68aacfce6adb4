package dynamic

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"samaritan/api"
	"samaritan/api/service"
	"samaritan/config"
	"samaritan/internal/logging"
)

// model is what is known of all dependencies. It does no input or output and has
// no lock: its owner is the client.
type model struct {
	log *logging.Throttle // of what is refused

	entries map[string]*entry
	dirty   map[string]*entry // to be built anew
	refused map[string]string // names of dependencies that cannot be -> why
	changed bool              // there is something to build or to apply
	unsaved bool              // there is something to save
	live    bool              // a server has told the dependencies to this process

	// Of the present streams.
	dependenciesTold bool
	skewed           map[stream]bool // something was lost: all that comes is a change

	counts modelCounts
}

// modelCounts only grow.
type modelCounts struct {
	updates, rejected, ignored uint64
}

// subscription is what a stream of dependencies makes the others ask for.
type subscription struct {
	add, remove []string
}

func newModel(log *logging.Throttle) *model {
	m := &model{log: log, entries: map[string]*entry{}, dirty: map[string]*entry{}, refused: map[string]string{}}
	m.begin()
	return m
}

// begin forgets what belongs to the streams before, and returns what the new ones
// have to subscribe.
func (m *model) begin() []string {
	m.dependenciesTold, m.skewed = false, map[stream]bool{}
	for _, e := range m.entries {
		e.endpointsTold = false
	}
	return slices.Sorted(maps.Keys(m.entries))
}

// lost notes that a message could not be decoded.
func (m *model) lost(s stream, err error) {
	m.counts.rejected++
	m.skewed[s] = true
	m.log.Error("an update was rejected: it cannot be decoded", "stream", s.String(), "error", shorten(err.Error(), maxText))
}

// tell takes a message, and returns what is to be subscribed then.
func (m *model) tell(message proto.Message) (s subscription) {
	switch r := message.(type) {
	case *api.DependencyDiscoveryResponse:
		return m.tellDependencies(r)
	case *api.SvcConfigDiscoveryResponse:
		m.tellConfigs(r)
	case *api.SvcEndpointDiscoveryResponse:
		m.tellEndpoints(r)
	}
	return s
}

// tellDependencies takes a message of the dependency stream.
func (m *model) tellDependencies(r *api.DependencyDiscoveryResponse) subscription {
	whole := !m.dependenciesTold && !m.skewed[dependencies] && !onlyRemoves(len(r.GetAdded()), len(r.GetRemoved()))
	m.changed = m.changed || !m.live // that there is nothing may have to be applied, too
	m.dependenciesTold, m.live = true, true
	var s subscription
	names := m.accept(r.GetAdded(), whole)
	if whole {
		s.remove = m.absent(names)
		m.logWhole(len(names), len(s.remove))
	} else {
		s.remove = m.present(r.GetRemoved(), names)
	}
	for _, name := range s.remove {
		m.drop(name)
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if m.entries[name] == nil && m.room(name) {
			m.entries[name] = newEntry(name)
			m.changed, m.unsaved = true, true
			s.add = append(s.add, name)
		}
	}
	return s
}

func onlyRemoves(added, removed int) bool { return added == 0 && removed > 0 }

// accept returns the names that can be those of services.
func (m *model) accept(added []*service.Service, whole bool) map[string]bool {
	if whole {
		clear(m.refused)
	}
	names := make(map[string]bool, len(added))
	for _, s := range added {
		name := s.GetName()
		if m.entries[name] != nil {
			names[name] = true
		} else if err := validName(name); err != nil {
			m.refuse(name, problemText(err))
		} else {
			names[name] = true
		}
	}
	return names
}

func (m *model) room(name string) bool {
	if len(m.entries) < maxServices {
		return true
	}
	m.refuse(name, fmt.Sprintf("there are %d dependencies already, which is the limit", maxServices))
	return false
}

// refuse notes a dependency that cannot be one.
func (m *model) refuse(name, problem string) {
	m.counts.rejected++
	name = shortName(name)
	if m.refused[name] == problem {
		return
	}
	if len(m.refused) < maxListed {
		m.refused[name] = problem
	}
	m.log.Error("a dependency was rejected", "service", name, "problem", problem)
}

func (m *model) absent(names map[string]bool) []string {
	var absent []string
	for name := range m.entries {
		if !names[name] {
			absent = append(absent, name)
		}
	}
	slices.Sort(absent)
	return absent
}

// present returns what is to be removed and is there. What is added in the same
// message stays.
func (m *model) present(removed []*service.Service, added map[string]bool) []string {
	var present []string
	for _, s := range removed {
		name := s.GetName()
		delete(m.refused, shortName(name))
		if m.entries[name] != nil && !added[name] {
			present = append(present, name)
		}
	}
	slices.Sort(present)
	return slices.Compact(present)
}

// logWhole says what a first message does to what was known.
func (m *model) logWhole(told, gone int) {
	switch {
	case gone > 0 && told == 0:
		m.log.Warn("the management server says that there are no dependencies: all services end", "removed", gone)
	case gone > 0:
		m.log.Info("dependencies have gone while the management server was away", "removed", gone)
	}
}

func (m *model) drop(name string) {
	delete(m.entries, name)
	delete(m.dirty, name)
	m.changed, m.unsaved = true, true
}

// tellConfigs takes a message of the config stream.
func (m *model) tellConfigs(r *api.SvcConfigDiscoveryResponse) {
	for name, c := range r.GetUpdated() {
		e := m.entries[name]
		if e == nil {
			m.counts.ignored++
			continue
		}
		before := e.configProblem
		changed, err := e.tellConfig(c)
		if err != nil {
			m.reject(e, "config", before, e.configProblem)
		}
		if changed {
			m.touch(e)
		}
	}
}

// tellEndpoints takes a message of the endpoint stream.
func (m *model) tellEndpoints(r *api.SvcEndpointDiscoveryResponse) {
	e := m.entries[r.GetSvcName()]
	if e == nil {
		m.counts.ignored++
		return
	}
	whole := !e.endpointsTold && !m.skewed[endpoints] && !onlyRemoves(len(r.GetAdded()), len(r.GetRemoved()))
	e.endpointsTold = true
	before := e.endpointProblem
	if e.tellEndpoints(r.GetAdded(), r.GetRemoved(), whole) {
		m.touch(e)
	}
	if e.endpointProblem != "" {
		m.reject(e, "endpoints", before, e.endpointProblem)
	}
}

// reject counts a refused update. The same problem is logged once.
func (m *model) reject(e *entry, what, before, problem string) {
	m.counts.rejected++
	if before != problem {
		m.log.Error("an update was rejected, the last good one stays", "service", shortName(e.name), "update", what, "problem", problem)
	}
}

func (m *model) touch(e *entry) {
	m.dirty[e.name] = e
	m.changed, m.unsaved = true, true
}

// build makes anew what changed.
func (m *model) build() {
	for _, e := range m.dirty {
		if _, err := e.build(); err != nil {
			before := e.configProblem
			e.configProblem = problemText(err)
			m.reject(e, "service", before, e.configProblem)
		}
	}
	clear(m.dirty)
	m.changed = false
}

// running returns the services that shall run, ordered by name.
func (m *model) running() []*config.Service {
	services := make([]*config.Service, 0, len(m.entries))
	for _, name := range slices.Sorted(maps.Keys(m.entries)) {
		if e := m.entries[name]; e.built != nil && e.clash == "" {
			services = append(services, e.built)
		}
	}
	return services
}

// clashed notes that another source has the name of a service.
func (m *model) clashed(name, text string) {
	if e := m.entries[name]; e != nil {
		e.clash = text
		m.counts.rejected++
	}
}

// unclash lets all services try again, and returns those that could not run.
func (m *model) unclash() map[string]string {
	old := map[string]string{}
	for name, e := range m.entries {
		if e.clash != "" {
			old[name], e.clash = e.clash, ""
		}
	}
	return old
}
