package redis

import (
	"samaritan/internal/eventloop"
	"samaritan/proc/redis/filter"
)

// A reply that is small at its node may be large here, once its values are decompressed. So replies
// that would make a session hold too much wait as they came until it is their turn to be sent,
// and the client has taken what is before them. What a session holds is then sessionDecoded
// and one reply.

// heldReply is a reply that a filter works on beside the loop, or is to work on.
type heldReply struct {
	r     *request
	chain *filter.Chain
	reply filter.Reply
	in    eventloop.Ref // the reply as it came
	room  int           // bytes that it may have then
	next  *heldReply    // of the same command, when they wait
}

// holdReply begins the work on a reply, or has it wait. src is what it lies in.
func (w *worker) holdReply(r *request, chain *filter.Chain, f *filter.Reply, src eventloop.Memory) {
	h := &heldReply{r: r, chain: chain, reply: *f, in: w.keep(f.Bytes, src), room: f.Work.Room()}
	f.Memory, f.Work = nil, nil
	whole := r.whole()
	whole.taken += int32(h.room)
	s := whole.sess
	// To look takes no memory. The steps of a command come one after the other, and others may be parked behind it.
	if s == nil || h.room == 0 || s.hasRoom(whole, h.room) || r.isStep() {
		w.workOn(h)
		return
	}
	w.stats.compress.Delayed++
	h.next, whole.waiting = whole.waiting, h
	if next := s.unorder(r); next.r != nil { // the node has done it: nothing else need wait
		w.resume(next)
	}
}

// workOn has the work done on a goroutine, unless nobody wants it any more.
func (w *worker) workOn(h *heldReply) {
	if h.r.unread() {
		w.loop.Post(func() { w.endReply(h) }) // not now: its caller is on the way through a list
		return
	}
	s := h.r.owner()
	s.decoded += h.room
	h.reply.Work.Begin()
	w.workLater(s, h.in, h.reply.Work, func() {
		if s := h.r.owner(); s != nil {
			s.decoded -= h.room // what comes out is counted
		}
		w.endReply(h)
	})
}

// endReply hands the reply over to the rest of the chain.
func (w *worker) endReply(h *heldReply) {
	h.r.whole().taken -= int32(h.room)
	h.reply.Bytes = h.in.Bytes()
	h.r.surround(&h.reply)
	h.reply.Finish()
	w.passReply(h.r, h.chain, &h.reply, h.in.Buf)
	h.in.Buf.Release()
}

// surround tells the filters what there is besides a reply by now.
func (r *request) surround(f *filter.Reply) {
	whole := r.whole()
	f.Beside = int(whole.taken)
	f.Crowded = whole.sess != nil && !whole.sess.hasRoom(whole, 0)
}

// takes counts bytes that the reply to a request takes decompressed, until it is in the output.
func (r *request) takes(n int) {
	whole := r.whole()
	whole.taken += int32(n)
	if whole.sess != nil {
		whole.sess.decoded += n
	}
}

// hasRoom tells whether n more bytes may be decompressed for a request. Its turn always comes: a client
// that is slow to take its output is either given up or takes it.
func (s *session) hasRoom(r *request, n int) bool {
	return s.decoded+s.conn.Pending()+n <= sessionDecoded || s.head == r && s.stop&stopOutput == 0
}

// workOnHead begins the work on what has waited for its turn.
func (s *session) workOnHead() {
	for r := s.head; r != nil && r.waiting != nil && s.hasRoom(r, r.waiting.room); {
		h := r.waiting
		r.waiting = h.next
		s.w.workOn(h)
	}
}

// dropWaiting ends what has waited for its turn, which does not come any more.
func (w *worker) dropWaiting(r *request) {
	for r.waiting != nil {
		h := r.waiting
		r.waiting = h.next
		w.workOn(h)
	}
}
