package redis

import (
	"time"

	"samaritan/internal/eventloop"
	"samaritan/proc/redis/cluster"
	"samaritan/proc/redis/command"
	"samaritan/proc/redis/resp"
)

const (
	tryAgainFirst = 2 * time.Millisecond // doubled each time
	tryAgainWaits = 6
)

// replied takes a node's reply to a request. Redirections and the like send the
// request on; any other reply is final.
func (w *worker) replied(c *client, r *request, reply []byte) {
	if reply[0] == '-' {
		if r.has(reqRouted) && w.sendOn(c, r, reply) {
			return
		}
		w.stats.upstream.errors++
		r.flags |= reqFailed
	} else {
		r.flags &^= reqFailed
	}
	w.stats.upstream.replies++
	switch r.kind {
	case kindScan:
		w.scanPage(c, r, reply)
	case kindScanCheck:
		w.rangeChecked(c, r, reply)
	default:
		w.finish(r, reply, c.conn)
	}
}

// sendOn deals with the errors that a node gives for another reason than the request
// itself. True means that the request is on its way again.
func (w *worker) sendOn(c *client, r *request, reply []byte) bool {
	switch cluster.ErrorKind(reply) {
	case cluster.KindMoved:
		w.stats.upstream.moved++
		w.proc.topology.trigger(causeMoved)
		return w.redirect(c, r, reply)
	case cluster.KindAsk:
		w.stats.upstream.ask++
		return w.redirect(c, r, reply)
	case cluster.KindTryAgain:
		return w.tryAgain(r, c.proto)
	case cluster.KindLoading, cluster.KindMasterDown:
		w.proc.topology.trigger(causeNodeState)
		return r.has(reqReplica) && w.askMaster(r, c.proto)
	case cluster.KindClusterDown, cluster.KindReadOnly:
		w.proc.topology.trigger(causeNodeState)
	}
	return false
}

// redirect sends a request to the node that a MOVED or ASK names.
func (w *worker) redirect(from *client, r *request, reply []byte) bool {
	to, ok := cluster.ParseRedirect(reply)
	if !ok || r.hops >= maxHops {
		if ok {
			w.stats.upstream.hopLimit++
		}
		return false
	}
	r.hops++
	// A node that does not know its own address means the host that was asked.
	w.tmp = to.AppendAddr(w.tmp[:0], from.node.addr)
	w.resend(r, w.client(w.nodeNamed(w.tmp), from.proto), to.Kind == cluster.KindAsk)
	return true
}

// nodeNamed is nodeAt for an address that need not become a string when it is known.
func (w *worker) nodeNamed(addr []byte) *node {
	if n := w.nodes[string(addr)]; n != nil {
		return n
	}
	return w.nodeAt(string(addr))
}

// resend sends a request again, from the bytes that the window has kept.
func (w *worker) resend(r *request, c *client, asking bool) {
	if c.resting() {
		w.fail(r, c.unreachable())
		return
	}
	w.markRedirecting(r)
	frame := r.frame
	r.frame.Buf = nil // the reference goes over to the new client's line
	if asking {
		c.sendAsking(r, frame)
	} else {
		c.send(r, frame)
	}
}

// markRedirecting holds the session back until the request is answered, so that its
// later requests cannot overtake it on the way to another node.
func (w *worker) markRedirecting(r *request) {
	if r.has(reqRedirecting) {
		return
	}
	r.flags |= reqRedirecting
	if s := r.owner(); s != nil {
		s.redirecting++
		s.stop |= stopRedirect
		s.conn.Pause()
	}
}

// tryAgain asks the same node again a little later: the keys of the request are
// spread over two nodes while their slot moves.
func (w *worker) tryAgain(r *request, proto int) bool {
	if r.waits >= tryAgainWaits {
		return false
	}
	pause := tryAgainFirst << r.waits
	r.waits++
	w.markRedirecting(r)
	w.loop.After(pause, func() {
		c, _, problem := w.pick(r.info, r.slot, proto)
		if problem != "" {
			w.fail(r, problem)
			return
		}
		w.resend(r, c, false)
	})
	return true
}

// askMaster sends a read on from a replica that cannot answer it.
func (w *worker) askMaster(r *request, proto int) bool {
	r.flags &^= reqReplica
	i := w.view.slots.Master(r.slot)
	if i < 0 || r.hops >= maxHops {
		return false
	}
	r.hops++
	w.resend(r, w.client(w.view.nodes[i], proto), false)
	return true
}

// fail answers a request with an error of the proxy.
func (w *worker) fail(r *request, text string) {
	r.flags |= reqFailed
	w.stats.upstream.unanswered++
	w.finish(r, resp.AppendError(w.tmp[:0], text), nil)
}

// finish hands the final reply to whoever waits for it: every accepted request gets
// here exactly once.
func (w *worker) finish(r *request, reply []byte, src *eventloop.Conn) {
	r.dropFrame()
	if r.has(reqRedirecting) {
		r.flags &^= reqRedirecting
		if s := r.owner(); s != nil {
			s.redirecting--
		}
	}
	switch r.kind {
	case kindAsking:
		w.recycle(r)
		return
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

// readsOnly tells whether it does no harm to send the request twice.
func (r *request) readsOnly() bool { return r.info != nil && r.info.Flags.Has(command.ReadOnly) }
