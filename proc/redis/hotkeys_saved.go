package redis

import (
	"errors"
	"fmt"
	"time"

	"samaritan/hotkey"
)

// savedTracking is a HOTKEYS session on its way to another process, as JSON. Times are in
// nanoseconds.
type savedTracking struct {
	CPU      bool            `json:"cpu,omitempty"`
	Net      bool            `json:"net,omitempty"`
	Count    int             `json:"count"`
	Duration time.Duration   `json:"duration,omitempty"`
	Sample   int64           `json:"sample"`
	Slots    [][2]int        `json:"slots,omitempty"` // ranges; none: all
	Started  time.Time       `json:"started"`
	Running  bool            `json:"running,omitempty"`
	Took     time.Duration   `json:"took,omitempty"`
	User     time.Duration   `json:"user,omitempty"`
	Sys      time.Duration   `json:"sys,omitempty"`
	Found    *hotkey.Tracked `json:"found"`
}

// saveTracking returns the last session and what it has found so far; nil when there is
// none. The session runs on.
func (p *Proc) saveTracking() *savedTracking {
	t := &p.tracking
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.last
	if h == nil {
		return nil
	}
	found := h.result
	if found == nil {
		found = h.sumOf(askWorkers(p, (*worker).tracked), hotkey.MaxTracked)
		if h.before != nil {
			found = found.after(h.before, hotkey.MaxTracked)
		}
	}
	s := &savedTracking{
		CPU: h.spec.cpu, Net: h.spec.net, Count: h.spec.count, Duration: h.spec.duration, Sample: h.spec.sample,
		Started: h.started, Running: h.result == nil,
		Took: found.took, User: found.cpu.user, Sys: found.cpu.sys, Found: found.Tracked,
	}
	if h.spec.slots != nil {
		s.Slots = h.spec.slots.Ranges()
	}
	return s
}

// loadTracking takes the place of a session of the other process. One that runs there goes
// on here, with what it had found; its time goes on, too. A session that runs here already
// stays.
func (p *Proc) loadTracking(s *savedTracking) {
	h := s.session()
	t := &p.tracking
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.current.Load() != nil:
	case s.Running:
		p.runTrackingLocked(h)
	default:
		close(h.ended)
		t.last, h.result, h.before = h, h.before, nil
	}
}

// limitImported does for a session that was there before Run what limitLocked does.
func (p *Proc) limitImported() {
	t := &p.tracking
	t.mu.Lock()
	defer t.mu.Unlock()
	if h := t.current.Load(); h != nil {
		p.limitLocked(h)
	}
}

func (s *savedTracking) session() *hotkeysSession {
	return &hotkeysSession{
		spec:    hotkeysSpec{cpu: s.CPU, net: s.Net, count: s.Count, duration: s.Duration, sample: s.Sample, slots: s.slots()},
		started: s.Started, ended: make(chan struct{}),
		before: &hotkeysResult{Tracked: s.Found, took: s.Took, cpu: cpuTime{s.User, s.Sys}},
	}
}

func (s *savedTracking) slots() *hotkey.SlotSet {
	if len(s.Slots) == 0 {
		return nil
	}
	set := new(hotkey.SlotSet)
	for _, r := range s.Slots {
		for slot := r[0]; slot <= r[1]; slot++ {
			set.Add(slot)
		}
	}
	return set
}

// check holds a session to what START takes.
func (s *savedTracking) check() error {
	switch {
	case !s.CPU && !s.Net, s.Count < 1 || s.Count > mostTrackedKeys, s.Sample < 1 || s.Sample > maxTrackedSample:
		return errors.New("a HOTKEYS session that cannot be")
	case s.Duration < 0 || s.Duration > maxTrackedSeconds*time.Second, s.Took < 0, s.User < 0, s.Sys < 0, s.Started.IsZero():
		return errors.New("a HOTKEYS session with times that cannot be")
	case s.Found == nil:
		return errors.New("a HOTKEYS session that has found nothing")
	case len(s.Slots) > hotkey.SlotCount:
		return errors.New("a HOTKEYS session with too many slots")
	}
	for _, r := range s.Slots {
		if r[0] < 0 || r[1] < r[0] || r[1] > lastSlot {
			return fmt.Errorf("a HOTKEYS session with the slots %d to %d", r[0], r[1])
		}
	}
	return nil
}
