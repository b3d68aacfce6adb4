package tcp

import "context"

// hold is a reason not to accept.
type hold uint8

const (
	holdGate  hold = 1 << iota // Env.Gate is not open
	holdPause                  // Pause was called
)

// Pause implements proc.Pauser. It has effect before Run, too, and none after it.
func (p *Proc) Pause() { p.loops.hold(holdPause) }

// Resume implements proc.Pauser.
func (p *Proc) Resume() { p.loops.release(holdPause) }

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

// awaitGate lets clients in when the gate is open, unless ctx ends before.
func (p *Proc) awaitGate(ctx context.Context) {
	select {
	case <-p.env.Gate:
		p.loops.release(holdGate)
	case <-ctx.Done():
	}
}

// hold returns when nobody is accepted any more. Who waits stays in the socket's backlog:
// for release, or for another process that has the socket.
func (g *loops) hold(why hold) {
	g.mu.Lock()
	g.holds |= why
	held := g.tellLocked()
	g.mu.Unlock()
	<-held
}

// release goes on accepting unless there is another reason not to.
func (g *loops) release(why hold) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holds &^= why
	g.tellLocked()
}

// tellLocked brings what holds to the loop that accepts, if there is one, in the order of
// the changes. The channel is closed when the loop has taken it up.
func (g *loops) tellLocked() (done chan struct{}) {
	done = make(chan struct{})
	if len(g.all) == 0 { // run looks at holds before the first loop begins
		close(done)
		return done
	}
	l, held := g.all[0], g.holds != 0
	if !l.post(func() { l.setHeld(held); close(done) }) {
		close(done) // it has ended, and its listener before
	}
	return done
}
