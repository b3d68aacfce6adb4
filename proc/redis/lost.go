package redis

import (
	"errors"
	"fmt"
	"time"

	"samaritan/internal/eventloop"
)

// Closed ends what was in flight, as nobody knows what the node has executed. What
// only reads is asked once more.
func (c *client) Closed(err error) {
	u := &c.w.stats.upstream
	c.conn = nil
	u.closed++
	u.lifetime.Observe(uint64(c.w.loop.Now()-c.opened) / uint64(time.Second))
	if errors.Is(err, errShutdown) || errors.Is(err, errRetired) || errors.Is(err, errRenewed) || errors.Is(err, eventloop.ErrClosed) {
		c.failAll(fmt.Sprintf("ERR samaritan: connection to node %s closed: %v", c.node.addr, err))
		return
	}
	c.w.proc.topology.trigger(causeConnection, "")
	if errors.Is(err, errSilent) {
		return // silent has done the rest
	}
	u.lost++
	if n := c.fifo.len(); n > 0 || !errors.Is(err, errEOF) {
		c.w.proc.warn.Warn("connection to node lost", "node", c.node.addr, "requests", n, "error", err)
	}
	text := fmt.Sprintf("ERR samaritan: connection to node %s lost before the reply: %v", c.node.addr, err)
	if !c.answered {
		if c.health.mute++; c.health.mute > 1 {
			// It accepts connections and does not serve them: no reason to try again at once.
			c.rest(err)
			c.failAll(text)
			return
		}
	}
	c.salvage(text)
}

// salvage goes through the requests of a broken connection: those that only read and
// may be asked again go to a new connection, the others fail.
func (c *client) salvage(text string) {
	lost := c.takeAll()
	c.bytes = 0
	writes := lastWrites(lost)
	for i, r := range lost {
		s := r.owner()
		if s == nil || !r.has(reqRouted) || r.hops > 0 || r.has(reqRetried) || !r.readsOnly() || writes[sessionSlot{s, r.slot}] > i {
			c.w.lose(r, text)
			continue
		}
		c.w.stats.upstream.retried++
		r.flags |= reqRetried
		if !r.isStep() {
			if i, wait := s.leave(r); wait {
				s.away[i].parked = true
				continue
			}
		}
		frame := r.frame
		r.frame.Buf = nil
		c.send(r, frame)
	}
	c.release()
}

// sessionSlot is what effects have an order for.
type sessionSlot struct {
	s    *session
	slot uint16
}

// lastWrites finds the last request of each session and slot that may have written, by
// index. A read in front of it must not be asked again: it would see what was written
// behind it.
func lastWrites(lost []*request) map[sessionSlot]int {
	writes := make(map[sessionSlot]int)
	for i, r := range lost {
		if s := r.owner(); s != nil && r.has(reqRouted) && !r.readsOnly() {
			writes[sessionSlot{s, r.slot}] = i
		}
	}
	return writes
}

// failAll answers every request in line with an error.
func (c *client) failAll(text string) {
	lost := c.takeAll()
	c.bytes = 0
	for _, r := range lost {
		c.w.lose(r, text)
	}
	c.release()
}

// lose fails a request whose connection has broken.
func (w *worker) lose(r *request, text string) {
	if r.kind != kindDropped {
		w.stats.upstream.lostRequests++
	}
	w.fail(r, text)
}
