package tcp

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"samaritan/api/service"
	"samaritan/config"
)

// set has all endpoints: those that are configured, and those that were and still have
// connections. It makes the candidates that the balancer picks from.
type set struct {
	balancer balancer

	mu      sync.Mutex // guards the following
	policy  service.LoadBalancePolicy
	known   map[string]*endpoint // by address
	ordered []*endpoint          // the configured ones, as the configuration has them
	down    map[string]bool      // that fail their health checks
}

func newSet() *set {
	s := &set{known: make(map[string]*endpoint)}
	s.balancer.current.Store(&candidates{})
	return s
}

// configure takes up the endpoints and the policy of svc at the time now. It returns
// the addresses that may be used, which are the ones to be checked.
func (s *set) configure(svc *config.Service, now int64) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ep := range s.ordered {
		ep.removed = true
	}
	s.policy = svc.Config.GetLbPolicy()
	s.ordered = nil
	for _, e := range svc.Endpoints {
		s.addLocked(e)
	}
	var addresses []string
	for _, ep := range s.known {
		ep.leaveOrStayLocked(now)
		if !ep.leaving.Load() {
			addresses = append(addresses, ep.address)
		}
	}
	s.rebuildLocked()
	slices.Sort(addresses)
	return addresses
}

func (s *set) addLocked(e *service.Endpoint) {
	at := endpointAddress(e)
	ep := s.known[at.String()]
	if ep == nil {
		ep = newEndpoint(at)
		s.known[ep.address] = ep
	}
	ep.state, ep.typ, ep.removed = e.GetState(), e.GetType(), false
	s.ordered = append(s.ordered, ep)
}

// leaveOrStayLocked notes since when no new connections go to the endpoint.
func (ep *endpoint) leaveOrStayLocked(now int64) {
	if usable(ep.state, ep.removed) {
		ep.leaving.Store(false)
		return
	}
	if !ep.leaving.Load() {
		ep.leftSince = now
		ep.leaving.Store(true)
	}
}

// setDown takes up the verdicts of the health checks. It asks for them within the lock:
// who comes last has seen the newest.
func (s *set) setDown(unhealthy func() map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = unhealthy()
	s.rebuildLocked()
}

func (s *set) rebuildLocked() {
	c := &candidates{policy: s.policy}
	for _, ep := range s.ordered {
		healthy := !s.down[ep.address]
		ep.healthy.Store(healthy)
		if !ep.leaving.Load() {
			c.add(ep, ep.typ, healthy)
		}
	}
	s.balancer.current.Store(c)
}

// hasUsable tells whether the configuration has an endpoint that may be used.
func (s *set) hasUsable() bool {
	c := s.balancer.current.Load()
	return slices.ContainsFunc(c.tiers[:], func(tier []*endpoint) bool { return len(tier) > 0 })
}

// overdue forgets the endpoints that were removed and have no connections left. It
// returns those whose connections have had their time to end, and when to look again:
// 0 for not before the configuration changes.
func (s *set) overdue(now int64, drain time.Duration) (over []*endpoint, again time.Duration) {
	const look = int64(time.Second)
	s.mu.Lock()
	defer s.mu.Unlock()
	for address, ep := range s.known {
		if !ep.leaving.Load() {
			continue
		}
		if ep.load.Load() == 0 {
			if ep.removed {
				delete(s.known, address)
			}
			continue
		}
		left := ep.leftSince + int64(drain) - now
		if left <= 0 {
			over = append(over, ep)
			left = look // one more may just have been made
		}
		wait := time.Duration(min(left, look))
		if again == 0 || wait < again {
			again = wait
		}
	}
	return over, again
}

// snapshot is an endpoint as it is configured at a moment.
type snapshot struct {
	*endpoint
	state   service.Endpoint_State
	typ     service.Endpoint_Type
	removed bool
}

// all returns the endpoints that are configured or have connections, by address.
func (s *set) all() []snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	some := make([]snapshot, 0, len(s.known))
	for ep := range maps.Values(s.known) {
		if !ep.removed || ep.load.Load() > 0 {
			some = append(some, snapshot{ep, ep.state, ep.typ, ep.removed})
		}
	}
	slices.SortFunc(some, func(a, b snapshot) int { return cmp.Compare(a.address, b.address) })
	return some
}
