package redis

import (
	"context"

	"samaritan/proc"
)

// Pause implements proc.Pauser.
func (p *Proc) Pause() { p.setPaused(true) }

// Resume implements proc.Pauser.
func (p *Proc) Resume() { p.setPaused(false) }

func (p *Proc) setPaused(paused bool) {
	p.pausing.Lock()
	defer p.pausing.Unlock()
	p.paused = paused
	if p.bound.Load() {
		p.applyPaused()
	}
}

// applyPaused passes on to the listener what was asked for. p.pausing is held.
func (p *Proc) applyPaused() {
	if p.paused {
		p.listener.Pause()
	} else {
		p.listener.Resume()
	}
}

// bind makes the listener, in the state that was asked for.
func (p *Proc) bind(ln *proc.Listener) {
	p.pausing.Lock()
	defer p.pausing.Unlock()
	p.listener = ln
	p.bound.Store(true)
	p.applyPaused()
}

// Clients implements proc.Pauser.
func (p *Proc) Clients() int {
	if !p.bound.Load() {
		return 0
	}
	return p.listener.Active()
}

// SetElsewhere implements proc.Limited.
func (p *Proc) SetElsewhere(n int) {
	if p.bound.Load() {
		p.listener.SetElsewhere(n)
	}
}

// Elsewhere implements proc.Limited.
func (p *Proc) Elsewhere() int {
	if !p.bound.Load() {
		return 0
	}
	return p.listener.Elsewhere()
}

// awaitGate waits until clients may be accepted, or ctx has ended.
func (p *Proc) awaitGate(ctx context.Context) {
	if p.env.Gate == nil {
		return
	}
	select {
	case <-p.env.Gate:
	case <-ctx.Done():
	}
}
