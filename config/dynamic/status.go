package dynamic

import (
	"time"

	"samaritan/internal/stats"
)

// StateLive is the Status.State of a client that the management server has told which
// services there are.
const StateLive = "live"

// Status is what there is to tell about the dynamic source. Lists have at most 1000
// names, the numbers beside them count all.
type Status struct {
	Endpoint string `json:"endpoint"`
	// Connected: all three streams are open and the server answers.
	Connected bool      `json:"connected"`
	Since     time.Time `json:"since,omitzero"` // of Connected
	// LastError is why the last connection ended, or could not be made.
	LastError string `json:"last_error,omitempty"`
	// LagSeconds is how old what is known may be, 0 while connected.
	LagSeconds float64 `json:"lag_seconds"`

	// State is where the list of dependencies comes from: none, disk or live.
	State string `json:"state"`
	// Dependencies is how many services the server says there are.
	Dependencies int `json:"dependencies"`
	// Services is how many of them were handed on to run.
	Services int `json:"services"`
	// FromDisk is how many of them the server has not told anew since the start.
	FromDisk int `json:"from_disk"`
	// Waiting says of those that do not run yet what is missing.
	WaitingCount int               `json:"waiting_count"`
	Waiting      map[string]string `json:"waiting"`
	// Rejected says why a service, or the last update of one, was refused.
	RejectedCount int               `json:"rejected_count"`
	Rejected      map[string]string `json:"rejected"`

	// The last message of each stream, and the last time that services were applied.
	LastDependencies time.Time `json:"last_dependencies,omitzero"`
	LastConfigs      time.Time `json:"last_configs,omitzero"`
	LastEndpoints    time.Time `json:"last_endpoints,omitzero"`
	LastApply        time.Time `json:"last_apply,omitzero"`
	ApplyError       string    `json:"apply_error,omitempty"`

	// StateFile is empty when none is kept.
	StateFile      string    `json:"state_file,omitempty"`
	StateFileSaved time.Time `json:"state_file_saved,omitzero"`
	StateFileError string    `json:"state_file_error,omitempty"`
}

// Status returns what holds now.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Status{
		Endpoint:  c.o.Source.Endpoint,
		Connected: c.link.connected, Since: c.link.since, LastError: c.link.err, LagSeconds: c.lagLocked().Seconds(),
		LastDependencies: c.link.updated[dependencies],
		LastConfigs:      c.link.updated[configs],
		LastEndpoints:    c.link.updated[endpoints],
		LastApply:        c.outcome.last, ApplyError: c.outcome.err,
	}
	c.model.describe(&s)
	if c.keeper != nil {
		k := c.keeper.snapshot()
		s.StateFile, s.StateFileSaved, s.StateFileError = c.keeper.path, k.last, k.err
	}
	return s
}

// lagLocked is how old what is known may be. A clock that was set back does not make
// it negative.
func (c *Client) lagLocked() time.Duration {
	if c.link.connected || c.link.current.IsZero() {
		return 0
	}
	return max(0, time.Since(c.link.current))
}

// describe adds what the model knows.
func (m *model) describe(s *Status) {
	s.Waiting, s.Rejected = map[string]string{}, map[string]string{}
	s.Dependencies = len(m.entries)
	for name, problem := range m.refused {
		s.RejectedCount += list(s.Rejected, name, problem)
	}
	for name, e := range m.entries {
		if e.built != nil && e.clash == "" {
			s.Services++
		}
		if e.fromDisk() {
			s.FromDisk++
		}
		s.WaitingCount += list(s.Waiting, name, e.missing())
		s.RejectedCount += list(s.Rejected, name, e.problem())
	}
	switch {
	case m.live:
		s.State = StateLive
	case len(m.entries) > 0:
		s.State = "disk"
	default:
		s.State = "none"
	}
}

// list adds a text that is not empty, while there is room, and returns 1 for it.
func list(m map[string]string, name, text string) int {
	if text == "" {
		return 0
	}
	if len(m) < maxListed {
		m[name] = text
	}
	return 1
}

// Stats implements stats.Source.
func (c *Client) Stats(emit func(stats.Sample)) {
	s := c.Status()
	c.mu.Lock()
	counts, link, apply := c.model.counts, c.link, c.outcome
	c.mu.Unlock()
	connected := 0
	if s.Connected {
		connected = 1
	}
	gauge := func(name, help string, value float64) {
		emit(stats.Sample{Name: "dynamic." + name, Kind: stats.Gauge, Value: value, Help: help})
	}
	gauge("connected", "1 while all streams of the management server are open.", float64(connected))
	gauge("lag_seconds", "How old what is known of dynamic services may be; 0 while connected.", s.LagSeconds)
	gauge("dependencies", "Services that the management server tells of.", float64(s.Dependencies))
	gauge("services", "Dynamic services that were handed on to run.", float64(s.Services))
	gauge("services_from_disk", "Dynamic services that were not told anew since the start.", float64(s.FromDisk))
	gauge("services_waiting", "Dynamic services whose config or endpoints are not known yet.", float64(s.WaitingCount))
	gauge("services_rejected", "Dynamic services that are refused, or whose last update was.", float64(s.RejectedCount))

	counter := func(name, help string, value uint64) {
		emit(stats.Sample{Name: "dynamic." + name, Value: float64(value), Help: help})
	}
	counter("connects_total", "Connections to the management server that stood.", link.connects)
	counter("connect_failures_total", "Attempts to connect that failed.", link.failures)
	counter("connection_losses_total", "Connections that stood and were lost.", link.losses)
	counter("updates_total", "Messages of the management server.", counts.updates)
	counter("rejected_total", "Updates, or parts of them, that were refused.", counts.rejected)
	counter("ignored_total", "Updates of services that are no dependencies.", counts.ignored)
	counter("applies_total", "Times that services were handed on.", apply.total)
	counter("apply_failures_total", "Times that services were not taken for another reason than a name.", apply.failures)
	if c.keeper != nil {
		k := c.keeper.snapshot()
		counter("persists_total", "Writes of the state file.", k.writes)
		counter("persist_failures_total", "Writes of the state file that failed.", k.failures)
	}
}
