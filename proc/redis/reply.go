package redis

import (
	"time"

	"samaritan/internal/eventloop"
	"samaritan/proc/redis/resp"
)

// replied takes a node's reply to a request. Redirections and the like send the
// request on; any other reply is final.
func (w *worker) replied(c *client, r *request, reply []byte) {
	if reply[0] == '-' {
		if r.has(reqRouted) && w.sendOn(c, r, reply) {
			return
		}
		r.flags |= reqFailed
	} else {
		r.flags &^= reqFailed
	}
	switch r.kind {
	case kindScan:
		w.scanPage(c, r, reply)
	case kindScanCheck:
		w.rangeChecked(c, r, reply)
	case kindScanRun:
		w.scanRunKnown(c, r, reply)
	case kindScanState:
		w.scanStateKnown(c, r, reply)
	case kindScanOwner:
		w.scanOwnerTold(c, r, reply)
	default:
		w.filterReply(r, reply, c.conn)
	}
}

// fail answers a request with an error of the proxy.
func (w *worker) fail(r *request, text string) {
	r.flags |= reqFailed
	w.finish(r, resp.AppendError(w.tmp[:0], text), nil)
}

// finish hands the final reply to whoever waits for it: every accepted request gets
// here exactly once.
func (w *worker) finish(r *request, reply []byte, src eventloop.Memory) {
	r.dropFrame()
	r.dropReply() // what a page of SCAN kept while it asked for something else
	if r.flags&(reqAway|reqWhole) != 0 {
		if s := r.owner(); s != nil {
			w.finishOrdered(s, r, reply, src)
			return
		}
	}
	w.deliver(r, reply, src)
}

// finishOrdered is finish for a request that others of its session wait for.
func (w *worker) finishOrdered(s *session, r *request, reply []byte, src eventloop.Memory) {
	next := s.unorder(r)
	w.deliver(r, reply, src)
	if next.r != nil {
		w.resume(next)
	}
}

// deliver hands over a reply.
func (w *worker) deliver(r *request, reply []byte, src eventloop.Memory) {
	if r.kind == kindDropped {
		w.recycle(r)
		return
	}
	if r.sent != 0 {
		w.stats.upstream.answered++
		w.stats.upstream.failed += uint64(btoi(r.has(reqFailed)))
	}
	switch r.kind {
	case kindPart:
		r.split.part(r, reply, src)
		return
	}
	w.observe(r)
	if s := r.sess; s != nil {
		s.complete(r, reply, src)
	} else {
		w.drop(r)
	}
}

// observe counts a request of a client that has its reply.
func (w *worker) observe(r *request) {
	c := w.stats.count(r.info)
	took := uint64(w.loop.Now()-r.start) / uint64(time.Microsecond)
	c.total++
	if r.has(reqFailed) {
		c.errors++
	}
	c.latency.Observe(took)
	if took >= w.stats.slowMicros {
		w.stats.slow++
	}
}

// drop ends a record together with the split that it may own.
func (w *worker) drop(r *request) {
	if r.kind == kindSplit && r.split != nil {
		w.recycleSplit(r.split)
	}
	w.recycle(r)
}
