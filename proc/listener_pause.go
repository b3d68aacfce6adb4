package proc

import (
	"errors"
	"sync"
)

// errPaused is why nobody is accepted while the listener is paused.
var errPaused = errors.New("accepting is paused")

// gate is held by Run, from the system call until the client has been handed over.
type gate struct {
	sync.Mutex // guards the following
	paused     bool
	opened     chan struct{} // closed by Resume, nil unless paused
}

// Pause stops Run from accepting and returns when nobody is being accepted any more: serve is
// not called. The address stays bound, and clients wait in the backlog. It may be called at
// any time, also before Run, but not from serve.
func (l *Listener) Pause() {
	l.gate.Lock()
	defer l.gate.Unlock()
	if !l.gate.paused {
		l.gate.paused, l.gate.opened = true, make(chan struct{})
	}
}

// Resume undoes any number of Pause.
func (l *Listener) Resume() {
	l.gate.Lock()
	defer l.gate.Unlock()
	if l.gate.paused {
		close(l.gate.opened)
		l.gate.paused, l.gate.opened = false, nil
	}
}

// awaitResume waits until the listener is not paused, or closed.
func (l *Listener) awaitResume() {
	l.gate.Lock()
	opened := l.gate.opened
	l.gate.Unlock()
	if opened == nil {
		return
	}
	select {
	case <-opened:
	case <-l.done:
	}
}

// Adopt counts a client in that was accepted elsewhere, whatever the limit is. It takes
// one Release like any other, and is not elsewhere any more.
func (l *Listener) Adopt() {
	l.active.Add(1) // first, so that its place is not free in between
	for n := l.elsewhere.Load(); n > 0 && !l.elsewhere.CompareAndSwap(n, n-1); n = l.elsewhere.Load() {
	}
}
