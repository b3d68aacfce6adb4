package redis

import (
	"errors"
	"time"

	"samaritan/internal/eventloop"
	"samaritan/proc"
)

const (
	// maxFrozen is how many clients of a worker may be frozen at a time. More would be no
	// faster, as the other process takes them one by one, and each would wait longer.
	maxFrozen = 32
	// maxAsked is how many sessions of a worker may be held back, to become clean.
	maxAsked = 32
	// moveVisits is how many sessions are looked at in one iteration of the loop.
	moveVisits = 1024
	// moveTick is how often those held back are looked at when nothing happens to them.
	moveTick = 5 * time.Millisecond
	// firstPatience is how long a session is held back to become clean while others wait
	// for their turn. It costs the client nothing as long as its replies are still due;
	// so when no others wait it is doubled in each round, up to mostPatience.
	firstPatience = 20 * time.Millisecond
	mostPatience  = 640 * time.Millisecond
	// firstRest is how long it takes until those who were not clean get another turn. It
	// is doubled in each round, up to mostRest.
	firstRest = 5 * time.Millisecond
	mostRest  = 320 * time.Millisecond
)

// moveStep is how far a session has come on its way to another process.
type moveStep uint8

const (
	moveNone    moveStep = iota
	moveAsked            // held back by stopMove until it is clean
	moveFrozen           // a departure; what becomes of it is not decided here
	moveRefused          // the other process does not take it: not to be offered again
)

// workerMove is a worker's part in a move. It goes through the sessions in rounds: one that is
// clean is frozen at once; another one is held back for a while, and tried again in the
// next round if that was not enough.
type workerMove struct {
	*move
	w      *worker
	cursor int // sessions below it are still to be looked at in this round
	round  int
	next   int64 // loop time at which the next round begins, when cursor is 0
	asked  []askedSession
	frozen int
	posted bool // step is in the mailbox
	over   bool
	timer  *eventloop.Timer
}

// askedSession is one that is held back, and until when.
type askedSession struct {
	s     *session
	until int64
}

// beginMove takes part in a move.
func (w *worker) beginMove(m *move) {
	v := &workerMove{move: m, w: w, cursor: len(w.sessions)}
	for _, s := range w.sessions {
		if s.moving == moveRefused {
			s.moving = moveNone // there is another one to ask
		}
	}
	v.timer = w.loop.After(moveTick, v.step)
	v.kick()
	w.mover = v
	m.signal() // the last client may have gone before
}

// endMove lets go of all sessions that are held back.
func (w *worker) endMove(m *move) {
	v := w.mover
	if v == nil || v.move != m {
		return
	}
	w.mover = nil
	v.over = true
	v.timer.Stop()
	for _, a := range v.asked {
		a.s.moveNot(moveNone)
	}
}

// kick has step run in the next iteration, when output has been written.
func (v *workerMove) kick() {
	if v != nil && !v.posted && !v.over {
		v.posted = true
		v.w.loop.Post(v.step)
	}
}

// step moves on what can be moved on now.
func (v *workerMove) step() {
	v.posted = false
	if v.over {
		return
	}
	now := v.w.loop.Now()
	v.lookAtAsked(now)
	if v.cursor == 0 && now >= v.next {
		v.cursor = len(v.w.sessions)
	}
	if v.cursor > 0 {
		v.lookAround(now)
	}
	v.arm(now)
}

// arm has step run again when there is something to do by then, whatever happens.
func (v *workerMove) arm(now int64) {
	switch {
	case len(v.asked) > 0, v.cursor > 0:
		v.timer.Reset(moveTick)
	default:
		v.timer.Reset(time.Duration(v.next - now))
	}
}

// lookAtAsked freezes those held back that have become clean, and lets go of those that
// take too long.
func (v *workerMove) lookAtAsked(now int64) {
	left := v.asked[:0]
	for _, a := range v.asked {
		s := a.s
		switch {
		case s.moving != moveAsked || s.gone.Load():
		case s.clean() && v.freeze(s):
		case now >= a.until:
			s.moveNot(moveNone)
		default:
			left = append(left, a)
		}
	}
	clear(v.asked[len(left):])
	v.asked = left
}

// lookAround goes on with the round, as long as there is room.
func (v *workerMove) lookAround(now int64) {
	w := v.w
	v.cursor = min(v.cursor, len(w.sessions))
	for n := 0; v.cursor > 0; n++ {
		if v.frozen >= maxFrozen || len(v.asked) >= maxAsked || v.alone.Load() {
			return // until one of them goes
		}
		if n == moveVisits {
			v.kick()
			return
		}
		v.cursor--
		v.offer(w.sessions[v.cursor], now)
	}
	v.next = now + int64(min(firstRest<<min(v.round, 10), mostRest))
	v.round++
}

// offer gives a session its turn.
func (v *workerMove) offer(s *session, now int64) {
	switch {
	case s.moving != moveNone || s.stop&stopEnd != 0 || s.overflowed:
	case s.clean():
		v.freeze(s)
	case s.inFlight == 0 && s.conn.Pending() == 0 && s.stop == 0:
		// Input that it came with is not delivered yet, or it has ended.
	case v.round > 0:
		s.moving = moveAsked
		s.stop |= stopMove
		s.conn.Pause()
		v.asked = append(v.asked, askedSession{s, now + v.patience()})
	}
}

// patience is how long a session is held back, in nanoseconds.
func (v *workerMove) patience() int64 {
	if len(v.w.sessions) > maxAsked {
		return int64(firstPatience)
	}
	return int64(min(firstPatience<<min(v.round-1, 10), mostPatience))
}

// clean tells whether nothing is under way for the session. Half a request may have come.
func (s *session) clean() bool {
	return s.inFlight == 0 && s.stop&^stopMove == 0 && s.held == nil && !s.overflowed && s.conn.Freezable()
}

// freeze makes a clean session a departure. False means that it has to wait.
func (v *workerMove) freeze(s *session) bool {
	large := s.conn.Buffered() > largeInput
	if v.frozen >= maxFrozen || !v.admit(large) {
		return false
	}
	d := &departure{s: s, by: v, large: large}
	input, ok := s.conn.Freeze()
	if !ok {
		v.leave(large)
		return false
	}
	d.client = proc.Client{FD: s.fd, State: s.pack()}
	if input.Buf != nil {
		d.input = input
		d.client.Input = input.Bytes()
	}
	s.moving = moveFrozen
	s.stop |= stopMove
	v.frozen++
	if !v.add(d) {
		d.done(errMoveOver)
	}
	return true
}

// decided ends a departure: the session is not this process's any more, or goes on.
func (d *departure) decided(err error) {
	v, s := d.by, d.s
	v.frozen--
	v.leave(d.large)
	v.kick()
	if d.input.Buf != nil {
		d.input.Buf.Release()
	}
	switch {
	case s.gone.Load(): // the service was stopped meanwhile
		closeFD(d.client.FD)
	case err == nil:
		s.conn.Close(errMoved)
		closeFD(d.client.FD)
	case errors.Is(err, errMoveOver):
		s.moveNot(moveNone)
	default:
		s.moveNot(moveRefused)
	}
}

// moveNot lets a session go on that was held back, or frozen, for a move.
func (s *session) moveNot(step moveStep) {
	s.moving = step
	s.conn.Thaw()
	s.allow(stopMove)
}
