package hotrestart

import (
	"errors"
	"fmt"
	"time"
)

// The window: so much is unanswered at most. It keeps the child busy, and is what a
// parent that is killed can take with it.
const (
	windowSessions = 64
	windowBytes    = 4 << 20
)

// gift is a session that has not been answered yet.
type gift struct {
	weight int // bytes
	done   func(error)
}

// Give sends a session to the child: its socket, its state and its input. It blocks
// while 64 sessions or 4 MiB of them are unanswered; one alone may be larger, up to 1 GiB.
//
// done is called exactly once, from any goroutine, Give's own included, and must not
// block. Until then nobody may touch the socket here. With nil the child has it. With
// a *RefusedError, an *UnknownError or ErrGone the child does not have it and never will:
// for ErrGone it is dead and all that it had acknowledged is known, or it has ended the
// connection after it had said that it ends, when it acknowledges nothing more.
func (s *Successor) Give(service string, fd int, state, input []byte, done func(error)) {
	if s.stays != "" {
		done(&RefusedError{s.stays})
		return
	}
	id, err := s.enlist(gift{len(state) + len(input), done})
	if err != nil {
		done(err)
		return
	}
	err = s.wire.send(kindSession, session{id, service, uint64(len(state))}, []int{fd}, state, input)
	switch {
	case errors.Is(err, errNotSent):
		s.answer(id, &RefusedError{err.Error()})
	default:
		s.notSent(err) // the end answers it
	}
}

// enlist waits for room in the window.
func (s *Successor) enlist(g gift) (id uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.settled && !s.fitsLocked(g) {
		s.changed.Wait()
	}
	switch {
	case s.settled:
		return 0, ErrGone
	case s.isEnding():
		return 0, &RefusedError{"the new process ends"}
	}
	s.lastID++
	s.given[s.lastID] = g
	s.weight += g.weight
	return s.lastID, nil
}

func (s *Successor) fitsLocked(g gift) bool {
	return len(s.given) == 0 || len(s.given) < windowSessions && s.weight+g.weight <= windowBytes
}

// answer tells whether there was such a session.
func (s *Successor) answer(id uint64, err error) bool {
	s.mu.Lock()
	g, ok := s.given[id]
	if ok {
		delete(s.given, id)
		s.weight -= g.weight
		s.changed.Broadcast()
	}
	s.mu.Unlock()
	if ok {
		g.done(err)
	}
	return ok
}

func (s *Successor) handleAnswer(m *message) error {
	var a answer
	if err := m.decode(&a); err != nil {
		return err
	}
	var refused error
	if m.kind == kindRefused {
		refused = &RefusedError{a.Reason}
	}
	if !s.answer(a.ID, refused) {
		return fmt.Errorf("%w: %s of a session that was not given", errProtocol, m.kind)
	}
	return nil
}

// refuseOldest is for an answer that does not say to which session: they are answered
// in the order given.
func (s *Successor) refuseOldest(err error) error {
	s.mu.Lock()
	oldest := uint64(0)
	for id := range s.given {
		if oldest == 0 || id < oldest {
			oldest = id
		}
	}
	s.mu.Unlock()
	if !s.answer(oldest, err) {
		return fmt.Errorf("%w: UNKNOWN for a session that was not given", errProtocol)
	}
	return nil
}

// unanswered waits until nothing is. The error says that the child is gone.
func (s *Successor) unanswered() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.settled && len(s.given) > 0 {
		s.changed.Wait()
	}
	if s.settled {
		return s.cause
	}
	return nil
}

// settle says of all that is unanswered that it will never be.
func (s *Successor) settle() {
	s.mu.Lock()
	left := s.given
	s.given, s.settled, s.weight = nil, true, 0
	s.changed.Broadcast()
	s.mu.Unlock()
	for _, g := range left {
		g.done(ErrGone)
	}
}

// watchTicks is how many times within the timeout watch looks.
const watchTicks = 10

// watch kills a child that does not answer. It counts ticks and not time: if this
// process was stopped for a while, all it has missed is one tick, and an answer that
// waits to be read comes before the next ones.
func (s *Successor) watch() {
	t := time.NewTicker(max(s.ackTimeout/watchTicks, time.Millisecond))
	defer t.Stop()
	idle, last := 0, s.advanced.Load()
	for {
		select {
		case <-s.gone:
			return
		case <-t.C:
		}
		now := s.advanced.Load()
		if idle++; now != last || !s.waits() {
			idle, last = 0, now
		}
		if idle >= watchTicks {
			s.fail(fmt.Errorf("the new process has not answered for %v", s.ackTimeout))
			return
		}
	}
}

// waits tells whether the child has to answer something.
func (s *Successor) waits() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.given) > 0 || !s.Answered()
}
