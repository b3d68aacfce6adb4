package tcp

import (
	"time"

	"samaritan/internal/eventloop"
	"samaritan/proc/health"
)

// endpointView is what people and tools see of an endpoint.
type endpointView struct {
	Address  string         `json:"address"`
	Type     string         `json:"type"`
	State    string         `json:"state"`             // as configured
	Removed  bool           `json:"removed,omitempty"` // not configured any more
	Draining bool           `json:"draining"`          // gets no new connections and still has some
	Healthy  bool           `json:"healthy"`           // as the health checks say
	Health   *health.Status `json:"health,omitempty"`  // of an endpoint that is checked
	Resting  time.Time      `json:"resting_until,omitzero"`
	Active   int64          `json:"active"`
	Total    uint64         `json:"total"`
	Failures uint64         `json:"connect_failures"`
	Rx       uint64         `json:"rx_bytes"`
	Tx       uint64         `json:"tx_bytes"`
}

// Endpoints are those that are configured, and those that were and still have connections,
// ordered by address, for people and tools.
func (p *Proc) Endpoints() any {
	checks := make(map[string]*health.Status)
	for _, s := range p.monitor.Statuses() {
		checks[s.Address] = &s
	}
	views := []endpointView{}
	for _, ep := range p.set.all() {
		views = append(views, ep.view(checks[ep.address]))
	}
	return views
}

func (s snapshot) view(check *health.Status) endpointView {
	v := endpointView{
		Address: s.address, Type: s.typ.String(), State: s.state.String(), Removed: s.removed,
		Draining: s.isDraining(), Healthy: s.healthy.Load(), Health: check,
		Active: s.active.Load(), Total: s.opened.Load(), Failures: s.failures.Load(),
		Rx: s.rx.Load(), Tx: s.tx.Load(),
	}
	if left := s.rest.until.Load() - eventloop.Nanotime(); left > 0 {
		v.Resting = time.Now().Add(time.Duration(left))
	}
	return v
}

// isUp tells whether the endpoint may be used, and is not down by its health checks.
func (s snapshot) isUp() bool { return usable(s.state, s.removed) && s.healthy.Load() }

// isDraining tells whether the endpoint has connections that it should not have for ever.
func (s snapshot) isDraining() bool { return !usable(s.state, s.removed) && s.load.Load() > 0 }
