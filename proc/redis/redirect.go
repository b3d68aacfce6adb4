package redis

import (
	"time"

	"samaritan/internal/eventloop"
	"samaritan/proc/redis/cluster"
	"samaritan/proc/redis/command"
)

const (
	tryAgainFirst = 2 * time.Millisecond // doubled each time
	tryAgainWaits = 6

	// passOver is how long a replica that cannot answer is not asked, give or take half.
	passOver = time.Second
)

// sendOn deals with the errors that a node gives for another reason than the request
// itself. True means that the request is on its way again.
func (w *worker) sendOn(c *client, r *request, reply []byte) bool {
	u := &w.stats.upstream
	switch cluster.ErrorKind(reply) {
	case cluster.KindMoved:
		u.moved++
		return w.redirect(c, r, reply)
	case cluster.KindAsk:
		u.ask++
		return w.redirect(c, r, reply)
	case cluster.KindTryAgain:
		u.tryAgain++
		return w.tryAgain(c, r)
	case cluster.KindLoading:
		u.loading++
	case cluster.KindMasterDown:
		u.masterDown++
	case cluster.KindClusterDown:
		u.clusterDown++
	case cluster.KindReadOnly:
		u.readOnly++
	case cluster.KindNoAuth:
		u.noAuth++
	default:
		return false
	}
	w.proc.topology.trigger(causeNodeState, "")
	w.proc.warn.Warn("a node refuses requests", "node", c.node.addr, "error", firstLine(reply))
	if !r.has(reqReplica) {
		return false
	}
	c.passOver()
	return w.askAnother(r, c)
}

// redirect sends a request to the node that a MOVED or ASK names.
func (w *worker) redirect(from *client, r *request, reply []byte) bool {
	u := &w.stats.upstream
	to, ok := cluster.ParseRedirect(reply)
	if !ok {
		u.malformedRedirects++
		w.proc.topology.trigger(causeMoved, "")
		w.proc.warn.Warn("a node sent a redirection that makes no sense", "node", from.node.addr, "error", firstLine(reply))
		return false
	}
	// A node that does not know its own address means the host that was asked.
	w.tmp = to.AppendAddr(w.tmp[:0], from.node.addr)
	n := w.nodeNamed(w.tmp)
	if to.Kind == cluster.KindMoved {
		w.proc.topology.trigger(causeMoved, n.addr)
		w.unsettle(r.slot)
	}
	if r.hops >= maxHops {
		u.hopLimit++
		w.proc.warn.Warn("a request was redirected too often", "node", from.node.addr, "hops", maxHops, "error", firstLine(reply))
		return false
	}
	r.hops++
	r.flags &^= reqReplica
	w.forward(r, from, w.client(n, from.lane), to.Kind == cluster.KindAsk)
	return true
}

// firstLine is an error reply as a text for the log.
func firstLine(reply []byte) string {
	line := reply[1:]
	for i, c := range line {
		if c == '\r' || c == '\n' || i == 200 {
			return string(line[:i])
		}
	}
	return string(line)
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
		w.fail(r, c.refuse())
		return
	}
	if limit := int64(w.settings.requestTimeout); limit > 0 && w.loop.Now()-r.start >= limit {
		w.stats.upstream.timeouts++
		w.fail(r, c.timedOut())
		return
	}
	frame := r.frame
	r.frame.Buf = nil // the reference goes over to the new client's line
	if asking {
		c.sendAsking(r, frame)
	} else {
		c.send(r, frame)
	}
}

// tryAgain asks the owner of the slot again a little later, as the keys of the request
// are spread over two nodes while their slot moves. False means that this has been
// done often enough, and that the request cannot be done key by key.
func (w *worker) tryAgain(c *client, r *request) bool {
	s := r.owner()
	if s == nil || r.isStep() {
		return false // one key alone cannot be spread over two nodes: the node talks nonsense
	}
	if r.waits >= tryAgainWaits {
		if w.keyByKey(r) {
			return true
		}
		w.stats.upstream.tryAgainLimit++
		w.proc.warn.Warn("the keys of a command stay spread over two nodes", "node", c.node.addr, "command", r.info.Name)
		return false
	}
	if i, wait := s.leave(r); wait {
		s.away[i].parked = true
		return true
	}
	pause := tryAgainFirst << r.waits
	r.waits++
	r.hops = 0 // every attempt goes by way of the owner, and may need an ASK
	w.loop.After(pause, func() { w.askOwner(r) })
	return true
}

// askOwner sends a request to the owner of its slot.
func (w *worker) askOwner(r *request) {
	s := r.owner()
	if s == nil {
		w.fail(r, "ERR samaritan: the client is gone")
		return
	}
	c, _, problem := w.pick(r.info, r.slot, s.lane())
	if problem != "" {
		w.fail(r, problem)
		return
	}
	w.resend(r, c, false)
}

// askAnother sends a read on from a replica that cannot answer it: to another replica,
// else to the master.
func (w *worker) askAnother(r *request, from *client) bool {
	master := w.view.slots.Master(r.slot)
	if master < 0 || r.hops >= maxHops {
		return false
	}
	r.hops++
	c := w.replica(master, from.lane)
	if c == nil {
		r.flags &^= reqReplica
		c = w.client(w.view.nodes[master], from.lane)
	}
	w.forward(r, from, c, false)
	return true
}

// readsOnly tells whether it does no harm to send the request twice.
func (r *request) readsOnly() bool { return r.info != nil && r.info.Flags.Has(command.ReadOnly) }

// sendAsking sends ASKING and the request as one unit: both are appended at once,
// so nothing gets between them.
func (c *client) sendAsking(r *request, frame eventloop.Ref) {
	a := c.w.newRequest(nil, nil, kindDropped)
	c.send(a, c.copyIn(askingFrame))
	c.send(r, frame)
}

var askingFrame = []byte("*1\r\n$6\r\nASKING\r\n")
