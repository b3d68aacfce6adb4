package dynamic

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"samaritan/api/service"
	"samaritan/config"
)

// entry is what is known of one dependency.
type entry struct {
	name string

	// The last valid config, as the server sent it: without defaults.
	config        *service.Config
	configLive    bool   // a server has told it to this process
	configProblem string // of the last one, when that was refused

	// The endpoints as the server sees them, and the last that were valid as a whole.
	// The second are made from the first when they are needed.
	seen            *endpointSet
	endpoints       []*service.Endpoint
	stale           bool // endpoints has to be made anew
	known           bool // there are endpoints, which may be none
	endpointsTold   bool // on this stream
	endpointsLive   bool
	endpointProblem string

	built *config.Service // the last good one, nil while something is missing
	clash string          // why it cannot run: another source has the name
}

func newEntry(name string) *entry {
	return &entry{name: name, seen: newEndpointSet()}
}

// missing says what the service waits for, "" when it has all.
func (e *entry) missing() string {
	switch {
	case e.config == nil && !e.known:
		return "config and endpoints"
	case e.config == nil:
		return "config"
	case !e.known:
		return "endpoints"
	}
	return ""
}

// problem says why updates of it, or itself, are refused.
func (e *entry) problem() string {
	text := ""
	for _, p := range []string{e.clash, e.configProblem, e.endpointProblem} {
		if p != "" && text != "" {
			text += "; "
		}
		text += p
	}
	return text
}

// fromDisk tells whether the server has not told all of what it has yet.
func (e *entry) fromDisk() bool {
	return e.config != nil && !e.configLive || e.known && !e.endpointsLive
}

// settle makes endpoints what the set is now. The set must have no problem.
func (e *entry) settle() {
	if e.stale {
		e.endpoints, e.stale = e.seen.list(), false
	}
}

// tellEndpoints takes a message of the endpoint stream, as the whole or as a change,
// and tells whether the valid endpoints are others now. What is refused is in
// endpointProblem.
func (e *entry) tellEndpoints(added, removed []*service.Endpoint, whole bool) bool {
	checked, bad := checkEndpoints(added)
	if bad || len(e.seen.items)+len(added) > maxEndpoints {
		e.settle() // while the set is still the valid one
	}
	changed := e.endpointProblem != "" || !e.known
	if whole {
		e.settle()
		e.seen = newEndpointSet()
		e.seen.change(checked, nil)
		changed = changed || !e.seen.equals(e.endpoints)
	} else {
		changed = e.seen.change(checked, removed) || changed
	}
	if e.endpointProblem = e.seen.problem(); e.endpointProblem != "" {
		return false
	}
	e.known, e.endpointsLive = true, true
	e.stale = e.stale || changed
	return changed
}

// tellConfig takes a config of the config stream and tells whether it is another
// one. The error is that it is refused.
func (e *entry) tellConfig(c *service.Config) (changed bool, err error) {
	if _, err := config.NewService(e.name, c, nil); err != nil {
		e.configProblem = problemText(err)
		return false, err
	}
	e.configProblem, e.configLive = "", true
	if e.config != nil && proto.Equal(e.config, c) {
		return false, nil
	}
	e.config = c
	return true, nil
}

// build makes the service from what is known, and tells whether it is another one.
// One that is the same keeps its pointer.
func (e *entry) build() (changed bool, err error) {
	if e.missing() != "" {
		return false, nil
	}
	e.settle()
	svc, err := config.NewService(e.name, e.config, e.endpoints)
	if err != nil {
		return false, err
	}
	if e.built != nil && sameService(e.built, svc) {
		return false, nil
	}
	e.built = svc
	return true, nil
}

func sameService(a, b *config.Service) bool {
	return slices.EqualFunc(a.Endpoints, b.Endpoints, sameEndpoint) && proto.Equal(a.Config, b.Config)
}
