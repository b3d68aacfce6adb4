package redis

import (
	"samaritan/config"
	"samaritan/proc/redis/cluster"
)

// configureChecks says what is to be checked, and brings what is known of it to the
// workers. It is called whenever the configuration or the slot map has changed.
func (p *Proc) configureChecks() {
	p.checking.Lock()
	svc := p.svc.Load() // within the lock: who comes last has seen the newest
	p.monitor.Configure(svc.Config.GetHealthCheck(), checkedAddresses(svc, p.topology.Map()))
	p.checking.Unlock()
	p.each((*worker).heedChecks)
}

// checkedAddresses are the endpoints and the nodes of m, which may be nil.
func checkedAddresses(svc *config.Service, m *cluster.Map) []string {
	var all []string
	for _, e := range svc.Endpoints {
		all = append(all, endpointAddress(e))
	}
	return distinct(append(all, memberAddresses(m)...))
}

// verdictsChanged is called by the monitor. A node that goes down or comes back is a
// reason to look at the slot map, too: the cluster may be about to change it.
func (p *Proc) verdictsChanged() {
	p.each((*worker).heedChecks)
	p.topology.trigger(causeNodeState, "")
}

// heedChecks takes up the newest verdicts, on the loop.
func (w *worker) heedChecks() {
	down := w.proc.monitor.Unhealthy()
	for addr, n := range w.nodes {
		n.down = down[addr]
	}
}
