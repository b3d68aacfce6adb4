package redis

import (
	"samaritan/api/service"
	healthcheck "samaritan/proc/health"
	"samaritan/proc/redis/cluster"
)

// endpointView is one server of a service, for people and tools.
type endpointView struct {
	Address    string              `json:"address"`
	Type       string              `json:"type,omitempty"`  // of a configured one
	State      string              `json:"state,omitempty"` // of a configured one
	Configured bool                `json:"configured"`      // false: learned from the cluster
	Role       string              `json:"role,omitempty"`  // "master" or "replica", when the slot map tells
	Health     *healthcheck.Status `json:"health,omitempty"`
}

// Endpoints are the servers that the service knows, for people and tools: first the
// configured ones in their order, then those that the cluster has told, by address. The
// health is missing while the service has no health check.
func (p *Proc) Endpoints() any {
	views := []endpointView{}
	roles := rolesOf(p.topology.Map())
	checks := p.checkStatuses()
	add := func(e endpointView) {
		e.Role, e.Health = roles[e.Address], checks[e.Address]
		views = append(views, e)
	}
	shown := make(map[string]bool)
	for _, e := range p.svc.Load().Endpoints {
		shown[endpointAddress(e)] = true
		add(configuredEndpoint(e))
	}
	for _, addr := range memberAddresses(p.topology.Map()) {
		if !shown[addr] {
			add(endpointView{Address: addr})
		}
	}
	return views
}

func configuredEndpoint(e *service.Endpoint) endpointView {
	return endpointView{
		Address: endpointAddress(e), Type: e.GetType().String(), State: e.GetState().String(), Configured: true,
	}
}

// memberAddresses are the addresses of the nodes of m, which may be nil, in order.
func memberAddresses(m *cluster.Map) []string {
	if m == nil {
		return nil
	}
	all := make([]string, 0, len(m.Nodes()))
	for _, n := range m.Nodes() {
		all = append(all, n.Addr)
	}
	return distinct(all)
}

// rolesOf are the roles of the nodes of m, which may be nil, by address.
func rolesOf(m *cluster.Map) map[string]string {
	roles := make(map[string]string)
	if m == nil {
		return roles
	}
	for _, n := range m.Nodes() {
		roles[n.Addr] = roleOf(n)
	}
	return roles
}

func roleOf(n cluster.Node) string {
	if n.Replica {
		return "replica"
	}
	return "master"
}

// checkStatuses are the health checks' results by address.
func (p *Proc) checkStatuses() map[string]*healthcheck.Status {
	all := make(map[string]*healthcheck.Status)
	for _, s := range p.monitor.Statuses() {
		all[s.Address] = &s
	}
	return all
}

// verdict is the result of a node's checks in a word, "" when there is none.
func verdict(s *healthcheck.Status) string {
	switch {
	case s == nil || !s.Checked:
		return ""
	case s.Healthy:
		return "up"
	}
	return "down"
}
