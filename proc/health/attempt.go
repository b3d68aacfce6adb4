package health

import (
	"context"
	"time"
)

// attempt is a check under way.
type attempt struct {
	endpoint *endpoint
	plan     *plan
	started  time.Time
	cancel   context.CancelFunc
	late     bool // has no place, or no longer
	over     bool
}

// planLocked lets an endpoint be checked at a time, and the scheduler know.
func (m *Monitor) planLocked(e *endpoint, due time.Time) {
	m.schedule.add(e, due)
	if e.index == 0 {
		poke(m.wake)
	}
}

// startDue starts the checks that are due, as far as there are places, and returns how
// long there is nothing more to do.
func (m *Monitor) startDue(ctx context.Context) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.schedule.evict(now)
	for e := m.schedule.next(now); e != nil; e = m.schedule.next(now) {
		m.startLocked(ctx, e, now)
	}
	return m.schedule.wait(now)
}

// startLocked starts the check of an endpoint.
func (m *Monitor) startLocked(ctx context.Context, e *endpoint, now time.Time) {
	a := &attempt{endpoint: e, plan: m.plan, started: now}
	own, cancel := context.WithTimeout(ctx, a.plan.timeout)
	a.cancel = cancel
	m.schedule.begin(a)
	m.checks.Go(func() {
		defer cancel()
		err := a.try(own)
		m.finish(a, err, ctx.Err() != nil)
	})
}

// try makes the check.
func (a *attempt) try(ctx context.Context) error {
	if err := a.plan.checker.Check(ctx, a.endpoint.address); err != nil {
		return err
	}
	return ctx.Err() // A result that comes too late is none.
}

// finish takes the result of a check and plans the next one. The result is dropped
// when the check was cut short, because its address was removed or because all ends.
func (m *Monitor) finish(a *attempt, err error, ending bool) {
	m.mu.Lock()
	now := time.Now()
	e := a.endpoint
	m.schedule.end(a, now)
	if m.schedule.full {
		m.schedule.full = false
		poke(m.wake)
	}
	if e.gone || ending {
		m.mu.Unlock()
		return
	}
	e.note(err, a.started, now)
	before := e.status.Since
	changed := e.judge(err == nil, m.plan, now)
	if changed {
		m.turnLocked(e)
	}
	m.planLocked(e, latest(a.started.Add(m.plan.pause()), now))
	m.mu.Unlock()
	if changed {
		m.logTurn(e.address, err, before, now)
	}
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
