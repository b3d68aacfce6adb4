package redis

import (
	"hash/maphash"
	"slices"
	"time"

	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

// What one session sends takes effect in the order sent, for all commands that have a
// key in common. While the slot map stands still that comes by itself: one slot is one
// node, and one node is one connection. Three things keep it when a slot moves:
//
//   - A session takes up a new slot map only when nothing of its own is in flight
//     (session.follow).
//   - A request that is sent on to another node, or waits to be tried again, is away.
//     Requests of the same session and slot that come back behind it are parked until
//     it is answered (away).
//   - While the keys of a slot are spread over two nodes, a command with several keys
//     may be told to try again, and one behind it with fewer of these keys be
//     executed. So the latter is not sent before the former is answered (wholes).

// away is a request that a node has sent back, and where it goes next.
type away struct {
	r      *request
	parked bool    // behind an earlier one of the same slot
	to     *client // where it goes, when parked; nil: to whoever owns its slot then
}

// leave enters a request among those that are away and stops the session from sending
// others. It reports whether the request has to wait for an earlier one.
func (s *session) leave(r *request) (i int, wait bool) {
	for j := range s.away {
		if s.away[j].r == r {
			return j, false // it goes on; what is behind it waits already
		}
		wait = wait || s.away[j].r.slot == r.slot
	}
	r.flags |= reqAway
	s.away = append(s.away, away{r: r})
	s.stop |= stopAway
	s.conn.Pause()
	return len(s.away) - 1, wait
}

// back takes an answered request off and returns the one that waited for it, if any.
func (s *session) back(r *request) (next away) {
	i := 0
	for s.away[i].r != r {
		i++
	}
	s.away = append(s.away[:i], s.away[i+1:]...)
	if len(s.away) == 0 {
		s.away = nil // slots seldom move: an idle session need not keep it
	}
	for ; i < len(s.away); i++ {
		if a := &s.away[i]; a.r.slot == r.slot {
			if a.parked {
				next = *a
				a.parked = false
			}
			break
		}
	}
	return next
}

// unorder takes an answered request off all that others wait for, and returns the one that was
// parked behind it, if any.
func (s *session) unorder(r *request) (next away) {
	if r.has(reqAway) {
		next = s.back(r)
	}
	if r.has(reqWhole) {
		s.unhold(r)
	}
	r.flags &^= reqAway | reqWhole
	return next
}

// forward sends a request that came back from one node on to another, as soon as those
// of its session and slot that were sent before it are answered. asking puts ASKING in
// front of it.
func (w *worker) forward(r *request, from, to *client, asking bool) {
	s := r.owner()
	switch {
	case s == nil:
		w.fail(r, "ERR samaritan: the client is gone") // nobody reads this; and nothing may be overtaken
		return
	case r.isStep():
		w.resend(r, to, asking) // the command that it is a step of is away in its place
		return
	}
	i, wait := s.leave(r)
	if wait {
		if asking {
			// An ASK is good for the moment only: later the other node could take the
			// command although the key is, again, where it came from.
			to = from
		}
		r.hops--
		s.away[i].parked, s.away[i].to = true, to
		return
	}
	if pause := detour(r.hops); pause > 0 && !asking {
		w.loop.After(pause, func() { w.resume(away{r: r, to: to}) })
		return
	}
	w.resend(r, to, asking)
}

// detour is how long a request is held before it follows one more MOVED: nodes that
// send it to and fro have not agreed yet on who owns the slot.
func detour(hops uint8) time.Duration {
	if hops <= 2 {
		return 0
	}
	return detourFirst << (hops - 3)
}

// detourFirst is the pause before the third hop; it is doubled for each further one.
const detourFirst = 8 * time.Millisecond

// resume sends what has been held back.
func (w *worker) resume(a away) {
	if a.to == nil || a.r.owner() == nil {
		w.askOwner(a.r)
		return
	}
	// The node may have left the map meanwhile, and its client have ended.
	w.resend(a.r, w.client(w.nodeAt(a.to.node.addr), a.to.lane), false)
}

// whole is a command of a session in flight that has several keys in one slot.
type whole struct {
	r    *request
	keys keySet
}

const (
	// maxWholes bounds the list; a session with so many waits for the first of them.
	maxWholes = 128
	// maxSpareWholes is how many lists a worker keeps for reuse.
	maxSpareWholes = 64
	// maxSpareKeys is the longest list of hashes that is kept with them.
	maxSpareKeys = 256
	// maxCompared is how many pairs of keys are compared, some ten microseconds.
	maxCompared = 32 << 10
)

// keySet stands for the keys of a command in one slot.
type keySet struct {
	hashes []uint32 // of the keys, in their order
	bloom  uint64   // one bit for each, to see quickly that two sets have none in common
	write  bool
}

var keySeed = maphash.MakeSeed()

// reset empties the set for the keys of another command.
func (k *keySet) reset(info *command.Info) {
	*k = keySet{hashes: k.hashes[:0], write: !info.Flags.Has(command.ReadOnly)}
}

func (k *keySet) add(key []byte) {
	h := maphash.Bytes(keySeed, key)
	k.hashes = append(k.hashes, uint32(h))
	k.bloom |= 1 << (h >> 58)
}

// conflicts tells whether the order of two commands matters and may be lost. With the
// same keys it is not: as long as one of them is away, neither command is executed.
//
// Sets that would take long to compare count as overlapping: waiting costs a round trip.
func (k *keySet) conflicts(o *keySet) bool {
	if k.bloom&o.bloom == 0 || !(k.write || o.write) || slices.Equal(k.hashes, o.hashes) {
		return false
	}
	if len(k.hashes) > 1 && len(o.hashes) > 1 && len(k.hashes)*len(o.hashes) > maxCompared {
		return true
	}
	return slices.ContainsFunc(k.hashes, func(h uint32) bool { return slices.Contains(o.hashes, h) })
}

// mustWait tells whether a command has to wait for an earlier one. If so, it comes
// again.
func (s *session) mustWait(slot uint16, keys *keySet) bool {
	wait := len(s.wholes) >= maxWholes && len(keys.hashes) > 1
	for i := range s.wholes {
		h := &s.wholes[i]
		wait = wait || (h.r.slot == slot && h.keys.conflicts(keys))
	}
	if wait {
		s.stop |= stopWhole
		s.w.stats.upstream.orderHeld++
	}
	return wait
}

// mustWaitKey is mustWait for a command with one key.
func (s *session) mustWaitKey(info *command.Info, slot uint16, key []byte) bool {
	set := &s.w.set
	set.reset(info)
	set.add(key)
	return s.mustWait(slot, set)
}

// keySetOf makes the set of all keys of a command. It is good until the next one is
// made.
func (w *worker) keySetOf(info *command.Info, frame []byte, args []resp.Arg, keys []int) *keySet {
	set := &w.set
	set.reset(info)
	for _, i := range keys {
		set.add(argument(frame, args, i))
	}
	return set
}

// hold enters a command that is being sent.
func (s *session) hold(r *request, keys *keySet) {
	w := s.w
	if s.wholes == nil {
		if n := len(w.wholes); n > 0 {
			s.wholes = w.wholes[n-1]
			w.wholes = w.wholes[:n-1]
		}
	}
	r.flags |= reqWhole
	n := len(s.wholes)
	if n < cap(s.wholes) {
		s.wholes = s.wholes[:n+1] // the element has a list of hashes from before
	} else {
		s.wholes = append(s.wholes, whole{})
	}
	h := &s.wholes[n]
	h.r = r
	h.keys = keySet{hashes: append(h.keys.hashes[:0], keys.hashes...), bloom: keys.bloom, write: keys.write}
}

// unhold takes an answered command off.
func (s *session) unhold(r *request) {
	i := 0
	for s.wholes[i].r != r {
		i++
	}
	last := len(s.wholes) - 1
	answered := s.wholes[i]
	copy(s.wholes[i:], s.wholes[i+1:])
	answered.r = nil
	s.wholes[last] = answered
	s.wholes = s.wholes[:last]
	if last == 0 {
		s.w.handBack(s.wholes)
		s.wholes = nil
	}
	s.allow(stopWhole)
}

// handBack keeps an emptied list for the next session, with its lists of hashes unless
// these are long.
func (w *worker) handBack(list []whole) {
	list = list[:cap(list)]
	large := slices.ContainsFunc(list, func(h whole) bool { return cap(h.keys.hashes) > maxSpareKeys })
	if large || len(w.wholes) >= maxSpareWholes {
		return
	}
	w.wholes = append(w.wholes, list[:0])
}

// forget gives up what a closed session has parked: none of it has been executed.
func (s *session) forget() {
	gone := s.away
	s.away = nil
	for i := range gone {
		if gone[i].parked {
			s.w.fail(gone[i].r, "ERR samaritan: the client is gone")
		}
	}
	s.wholes = nil
}
