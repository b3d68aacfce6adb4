package health

import (
	"time"

	"google.golang.org/protobuf/proto"

	"samaritan/api/hc"
)

// Configure says what is checked from now on, and how; with a nil check nothing is,
// and all addresses count as healthy. It may be called before Run, and often: it costs
// little when the addresses are mostly those of the call before, in the same order. An
// address may be there more than once.
// The monitor keeps a reference to check, which must not change any more, and a copy
// of the addresses.
//
// What is known of addresses that stay is kept. When they are checked in another way
// from now on, their verdicts hold until the first check of that kind, which comes soon
// and decides at once; other times and thresholds alone change nothing. Addresses that
// go and come back begin anew. A check that [NewChecker] does not take is logged, and
// counts as nil.
func (m *Monitor) Configure(check *hc.HealthCheck, addresses []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := len(m.down)
	m.setPlanLocked(check)
	if m.plan == nil {
		addresses = nil
	}
	m.setAddressesLocked(addresses)
	if len(m.down) != known {
		m.publishLocked()
		poke(m.news)
	}
}

// setPlanLocked makes check the way in which addresses are checked.
func (m *Monitor) setPlanLocked(check *hc.HealthCheck) {
	old := m.plan
	switch {
	case check == nil:
		m.plan = nil
		m.setAddressesLocked(nil)
		return
	case old != nil && (check == old.given || proto.Equal(check, old.given)):
		return
	case old != nil && sameQuestion(check, old.given):
		m.plan = newPlan(check, old.checker)
		if m.plan.interval != old.interval {
			m.respreadLocked()
		}
		return
	}
	checker, err := newChecker(check, m.dial)
	if err != nil {
		m.lines.Error("endpoints are not checked", "error", err)
		m.setAddressesLocked(nil)
		m.plan = nil
		return
	}
	m.plan = newPlan(check, checker)
	m.askAnewLocked()
}

// askAnewLocked lets all addresses be checked as if for the first time, save that what is
// known of them stays until then. Each gets a new endpoint: the result of a check under
// way answers another question.
func (m *Monitor) askAnewLocked() {
	for address, old := range m.endpoints {
		m.abandonLocked(old)
		e := newEndpoint(address)
		e.mentions, e.status = old.mentions, old.status
		e.status.Checked = false
		m.endpoints[address] = e
		if m.ran {
			m.planLocked(e, time.Now().Add(m.plan.first()))
		}
	}
}

// sameQuestion reports whether two checks differ in times and thresholds at most.
func sameQuestion(a, b *hc.HealthCheck) bool {
	return proto.Equal(&hc.HealthCheck{Checker: a.Checker}, &hc.HealthCheck{Checker: b.Checker})
}

// respreadLocked plans all checks anew, when the interval has changed.
func (m *Monitor) respreadLocked() {
	for _, e := range m.endpoints {
		if !e.planned() {
			continue
		}
		wait := upTo(m.plan.interval)
		if !e.status.Checked {
			wait = m.plan.first()
		}
		m.planLocked(e, time.Now().Add(wait))
	}
}

// setAddressesLocked makes addresses those that are checked. As most calls change one
// or two of many, what the old and the new list have in common at their beginnings and
// their ends is not looked up.
func (m *Monitor) setAddressesLocked(addresses []string) {
	added, dropped := differing(addresses, m.addresses)
	for _, address := range added {
		m.useLocked(address)
	}
	for _, address := range dropped {
		m.releaseLocked(address)
	}
	had := len(m.addresses)
	m.addresses = append(m.addresses[:0], addresses...)
	clear(m.addresses[len(addresses):max(had, len(addresses))])
}

// differing cuts off what a and b have in common at both ends.
func differing(a, b []string) (restA, restB []string) {
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return a, b
}

// useLocked counts one more mention of an address, and begins to check it at the first.
func (m *Monitor) useLocked(address string) {
	e := m.endpoints[address]
	if e == nil {
		e = newEndpoint(address)
		m.endpoints[address] = e
		if m.ran {
			m.planLocked(e, time.Now().Add(m.plan.first()))
		}
	}
	e.mentions++
}

// releaseLocked takes a mention back, and forgets the address with the last one.
func (m *Monitor) releaseLocked(address string) {
	e := m.endpoints[address]
	if e.mentions--; e.mentions > 0 {
		return
	}
	delete(m.endpoints, address)
	delete(m.down, address)
	m.abandonLocked(e)
}

// abandonLocked ends all checking of an endpoint.
func (m *Monitor) abandonLocked(e *endpoint) {
	m.schedule.remove(e)
	if e.gone = true; e.running != nil {
		e.running.cancel()
	}
}
