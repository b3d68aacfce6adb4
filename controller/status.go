package controller

import (
	"cmp"
	"net"
	"slices"
	"strconv"
	"time"

	"samaritan/internal/stats"
	"samaritan/proc"
)

// State is where a service is in its life.
type State string

const (
	// Starting: a proc was started and is not bound yet. The one before it, if
	// there is one, goes on serving.
	Starting State = "starting"
	// Running: the listener is bound. It may not be able to serve yet, see Ready.
	Running State = "running"
	// Failed: no proc with the present config could be started; it is tried again.
	Failed State = "failed"
	// Draining: the service was removed, or the process ends.
	Draining State = "draining"
)

// states are all of them, in the order of a life.
var states = []State{Starting, Running, Failed, Draining}

// ServiceStatus is what there is to tell about a service.
type ServiceStatus struct {
	Name     string
	Protocol string
	// Listen is the address that is bound or, before that, the one configured.
	Listen string
	State  State
	// LastError is the failure that the service is in, and for one that runs the
	// change that it did not take; empty when all is well.
	LastError string
	Since     time.Time // when it came into this state
	// NextRetry is when a failed service is tried again, zero for others.
	NextRetry time.Time
	// Ready: a proc serves requests with the present config, or with the one
	// before while the next proc comes up.
	Ready bool
	// Reason says why Ready is false.
	Reason string
}

// glance is what is copied under the lock; procs are asked without it.
type glance struct {
	ServiceStatus
	proc    proc.Proc
	removed bool
}

// Services returns all services ordered by name, also those that failed, and
// those that are removed but still drain unless their name is in use again.
func (c *Controller) Services() []ServiceStatus {
	glances := c.glances()
	list := make([]ServiceStatus, len(glances))
	for i, g := range glances {
		list[i] = g.ask()
	}
	return list
}

// Unready returns why services cannot serve, by name, of those that are known so far.
func (c *Controller) Unready() map[string]string {
	reasons := map[string]string{}
	for _, g := range c.glances() {
		if s := g.ask(); !g.removed && !s.Ready {
			reasons[s.Name] = s.Reason
		}
	}
	return reasons
}

// Knows tells whether there is a service of that name, which was not removed.
func (c *Controller) Knows(service string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.services[service] != nil
}

// Proc returns the proc that serves now, or else the one that comes up; nil when
// there is none.
func (c *Controller) Proc(service string) proc.Proc {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.services[service]; s != nil {
		return s.procLocked()
	}
	return nil
}

// Sources are the controller itself and all procs, also those that drain.
func (c *Controller) Sources() []stats.Source {
	c.mu.Lock()
	defer c.mu.Unlock()
	sources := []stats.Source{stats.SourceFunc(c.stats)}
	for i := range c.runs {
		sources = append(sources, i.proc)
	}
	return sources
}

func (c *Controller) stats(emit func(stats.Sample)) {
	count := map[State]int{}
	for _, g := range c.glances() {
		count[g.State]++
	}
	for _, state := range states {
		emit(stats.Sample{
			Name: "controller.services_" + string(state), Kind: stats.Gauge,
			Value: float64(count[state]), Help: "Services in the state " + string(state) + ".",
		})
	}
	for _, n := range []struct {
		name, help string
		value      uint64
	}{
		{"events_total", "Config events applied.", c.events.Load()},
		{"update_failures_total", "Changes that a service did not take.", c.updateFailures.Load()},
		{"service_failures_total", "Starts of a service that failed, and ends of one unasked.", c.failures.Load()},
		{"service_restarts_total", "Changes that needed a service to be started anew.", c.restarts.Load()},
	} {
		emit(stats.Sample{Name: "controller." + n.name, Value: float64(n.value), Help: n.help})
	}
}

// glances are ordered by name.
func (c *Controller) glances() []glance {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]glance, 0, len(c.services)+len(c.leaving))
	for _, s := range c.services {
		all = append(all, s.glanceLocked())
	}
	seen := map[string]bool{}
	for s := range c.leaving {
		if c.services[s.name] == nil && !seen[s.name] {
			seen[s.name] = true
			g := s.glanceLocked()
			g.removed = true
			all = append(all, g)
		}
	}
	slices.SortFunc(all, func(a, b glance) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

func (s *supervisor) glanceLocked() glance {
	config := s.wanted.Config
	address := config.GetListener().GetAddress()
	return glance{
		ServiceStatus: ServiceStatus{
			Name:      s.name,
			Protocol:  config.GetProtocol().String(),
			Listen:    net.JoinHostPort(address.GetIp(), strconv.Itoa(int(address.GetPort()))),
			State:     s.state,
			LastError: s.lastError,
			Since:     s.since,
			NextRetry: s.nextRetry,
		},
		proc: s.procLocked(),
	}
}

func (s *supervisor) procLocked() proc.Proc {
	switch {
	case s.serving != nil:
		return s.serving.proc
	case s.coming != nil:
		return s.coming.proc
	}
	return nil
}

// ask completes what was copied with what the proc says.
func (g glance) ask() ServiceStatus {
	s := g.ServiceStatus
	var p proc.Status
	if g.proc != nil {
		p = g.proc.Status()
		if p.Address != "" {
			s.Listen = p.Address
		}
	}
	switch s.State {
	case Failed:
		s.Reason = s.LastError
	case Draining:
		s.Reason = "draining"
	default:
		s.Ready = p.Ready
		if !p.Ready {
			s.Reason = cmp.Or(p.Reason, string(s.State))
		}
	}
	return s
}
