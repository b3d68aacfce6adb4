package health

import (
	"context"
	"maps"
	"time"
)

// turnLocked notes the new verdict of an endpoint for the next snapshot.
func (m *Monitor) turnLocked(e *endpoint) {
	if e.status.Healthy {
		delete(m.down, e.address)
	} else {
		m.down[e.address] = true
	}
	poke(m.news)
}

// publishLocked makes the verdicts of now the snapshot.
func (m *Monitor) publishLocked() {
	down := maps.Clone(m.down)
	m.unhealthy.Store(&down)
}

// announce publishes changes of verdicts and tells of them until ctx ends. The first
// one is told at once, and then all that come within a while together: when many
// endpoints go down, a snapshot for each of them would be much work.
func (m *Monitor) announce(ctx context.Context) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		select {
		case <-ctx.Done():
			return
		case <-m.news:
		}
		m.mu.Lock()
		m.publishLocked()
		m.mu.Unlock()
		m.changed()
		pause.Reset(announceEvery)
	}
}

// logTurn says that the verdict of an address has changed, and how long the one before
// held; before is zero for the verdict of a first check.
func (m *Monitor) logTurn(address string, err error, before, now time.Time) {
	args := []any{"address", address}
	if err != nil {
		args = append(args, "error", err)
	}
	if !before.IsZero() {
		args = append(args, "after", now.Sub(before).Round(time.Millisecond))
	}
	if err != nil {
		m.lines.Warn("endpoint is down", args...)
	} else {
		m.lines.Info("endpoint is up again", args...)
	}
}
