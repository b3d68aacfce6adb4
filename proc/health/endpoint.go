package health

import (
	"time"
)

// endpoint is what is known of an address that is checked. It is guarded by the mutex
// of the monitor.
type endpoint struct {
	address  string
	mentions int    // how often the list of addresses has it
	gone     bool   // it is no longer checked
	against  uint64 // results in a row that speak against the verdict
	status   Status

	// Of the scheduler.
	due     time.Time
	lane    *lane // where it waits for its check, nil while it does not
	index   int   // in that lane
	slow    bool  // the last check took longer than patience
	running *attempt
}

func newEndpoint(address string) *endpoint {
	return &endpoint{address: address, status: Status{Address: address, Healthy: true}}
}

// planned reports whether the endpoint waits for its next check.
func (e *endpoint) planned() bool { return e.lane != nil }

// judge notes the result of a check and reports whether the verdict has changed. The
// first result is the verdict; after that it takes fall or rise results in a row that
// say otherwise.
func (e *endpoint) judge(passed bool, p *plan, now time.Time) (changed bool) {
	s := &e.status
	if !s.Checked {
		changed = passed != s.Healthy // Without a verdict it counted as healthy.
		if changed || s.Since.IsZero() {
			s.Since = now
		}
		s.Checked, s.Healthy = true, passed
		return changed
	}
	if passed == s.Healthy {
		e.against = 0
		return false
	}
	needed := p.fall
	if passed {
		needed = p.rise
	}
	if e.against++; e.against < needed {
		return false
	}
	e.against = 0
	s.Healthy, s.Since = passed, now
	return true
}

// note notes what there is to tell of a check.
func (e *endpoint) note(err error, started, now time.Time) {
	s := &e.status
	s.LastCheck, s.Micros, s.LastError = now, now.Sub(started).Microseconds(), ""
	if err == nil {
		s.Passed++
		return
	}
	s.Failed++
	s.LastError = err.Error()
}
