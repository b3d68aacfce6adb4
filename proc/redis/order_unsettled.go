package redis

import "time"

// A slot that comes back to a node while requests are on their way there is a trap: the
// first of a session may be told MOVED and those behind it be executed, and nothing that is
// done with the first can be in time. So for a while after a MOVED nobody has more than one
// request in flight for the slot.

// unsettledFor is how long a slot is held to be on the move after a MOVED.
const unsettledFor = time.Second

// unsettle notes that a slot has just moved.
func (w *worker) unsettle(slot uint16) {
	if w.unsettled == nil {
		w.unsettled = make(map[uint16]int64)
	}
	w.unsettled[slot] = w.loop.Now() + int64(unsettledFor)
	w.hurry() // the sweep ends it
}

// settle ends what has lasted long enough.
func (w *worker) settle(now int64) {
	for slot, until := range w.unsettled {
		if now >= until {
			delete(w.unsettled, slot)
		}
	}
	if len(w.unsettled) == 0 {
		w.unsettled = nil
	}
}

// mustWaitAlone tells whether a request for a slot has to wait until nothing of the session is
// in flight. If so, it comes again.
func (s *session) mustWaitAlone(slot uint16) bool {
	if s.inFlight == 0 || s.w.unsettled[slot] == 0 {
		return false
	}
	s.stop |= stopMap
	s.w.stats.upstream.orderHeld++
	return true
}
