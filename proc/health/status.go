package health

import (
	"slices"
	"strings"
	"time"

	"samaritan/internal/stats"
)

// Status is what is known of one address.
type Status struct {
	Address string `json:"address"`
	// Healthy is the verdict; true before the first check. While the first check of
	// another kind is awaited it is the verdict of the kind before.
	Healthy bool `json:"healthy"`
	// Checked: at least one check of the present kind has ended.
	Checked bool `json:"checked"`
	// Since when the verdict holds.
	Since time.Time `json:"since,omitzero"`
	// LastCheck is when the last check has ended, LastError what was wrong then, and
	// Micros how many microseconds it took.
	LastCheck time.Time `json:"last_check,omitzero"`
	LastError string    `json:"last_error,omitempty"`
	Micros    int64     `json:"last_check_micros,omitempty"`
	// Passed and Failed count the checks.
	Passed uint64 `json:"passed"`
	Failed uint64 `json:"failed"`
}

// Statuses returns what is known of all addresses that are checked, ordered by address.
func (m *Monitor) Statuses() []Status {
	m.mu.Lock()
	all := make([]Status, 0, len(m.endpoints))
	for _, e := range m.endpoints {
		all = append(all, e.status)
	}
	m.mu.Unlock()
	slices.SortFunc(all, func(a, b Status) int { return strings.Compare(a.Address, b.Address) })
	return all
}

// Stats emits the samples of all addresses that are checked, for the service that they
// belong to.
func (m *Monitor) Stats(service string, emit func(stats.Sample)) {
	for _, s := range m.Statuses() {
		up := 0.0
		if s.Healthy {
			up = 1
		}
		sample := stats.Sample{Service: service, Endpoint: s.Address}
		sample.Name, sample.Kind, sample.Value, sample.Help = "health.up", stats.Gauge, up,
			"1 while the endpoint is healthy or was not checked yet, 0 while it is down."
		emit(sample)
		sample.Name, sample.Kind, sample.Value, sample.Help = "health.passed_total", stats.Counter, float64(s.Passed),
			"Health checks that the endpoint has passed."
		emit(sample)
		sample.Name, sample.Value, sample.Help = "health.failed_total", float64(s.Failed),
			"Health checks that the endpoint has failed."
		emit(sample)
	}
}
