package redis

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	restMin = 50 * time.Millisecond // the first rest of a node, give or take half
	restMax = time.Second           // the longest, likewise

	probeTimeout = time.Second // at most, if connect_timeout is longer
)

// health is what a client knows of the state of its node. A node that cannot be
// connected to, has fallen silent, or closes connections without a word rests: its
// requests fail at once, and it is probed apart from them until it answers. The
// clients of a node rest together, unless the node just does not want to speak one of
// the protocol versions.
type health struct {
	mute      int    // connections in a row that ended without a word
	failures  int    // probes in a row
	alone     bool   // the other clients of the node may go on
	retryAt   int64  // loop time of the next probe
	refusal   string // the error reply while it rests, "" when it does not
	passUntil int64  // loop time until which reads pass over it, see passOver
}

// resting tells whether the node is known to be away: its requests fail at once.
func (c *client) resting() bool { return c.health.refusal != "" }

// fit tells whether reads may choose the node, of a master's replicas.
func (c *client) fit() bool { return !c.resting() && c.w.loop.Now() >= c.health.passUntil }

// passOver keeps reads away from a replica that has just said that it cannot answer.
func (c *client) passOver() {
	c.w.stats.upstream.passedOver++
	c.health.passUntil = c.w.loop.Now() + int64(passOver/2+rand.N(passOver))
}

// rest begins or lengthens the time in which the node gets no requests.
func (c *client) rest(err error) {
	h := &c.health
	h.alone = isErrorReply(err)
	h.refusal = fmt.Sprintf("ERR samaritan: node %s is not reachable: %v", c.node.addr, err)
	pause := min(restMin<<min(h.failures, 8), restMax)
	h.failures++
	h.retryAt = c.w.loop.Now() + int64(pause/2+rand.N(pause))
	if h.alone {
		c.wakeOthers() // it does answer
	}
	for _, other := range c.node.clients {
		if other != nil && !h.alone && !other.resting() {
			pass := other.health.passUntil
			other.health = c.health
			other.health.passUntil = pass
		}
	}
	c.w.hurry()
}

// resting returns the errors of the nodes that rest, by address.
func (w *worker) resting() map[string]string {
	errs := make(map[string]string)
	for addr, n := range w.nodes {
		for _, c := range n.clients {
			if c != nil && c.resting() {
				errs[addr] = c.health.refusal
			}
		}
	}
	return errs
}

// inherit lets a new client rest when the others of its node do.
func (c *client) inherit() {
	for _, other := range c.node.clients {
		if other != nil && other.resting() && !other.health.alone {
			c.health = other.health
			c.health.passUntil = 0
		}
	}
}

// recovered ends the rest.
func (c *client) recovered() {
	if c.resting() {
		c.w.proc.warn.Info("node answers again", "node", c.node.addr)
		c.w.proc.topology.trigger(causeConnection, "")
	}
	c.health = health{passUntil: c.health.passUntil}
	c.wakeOthers()
}

// wakeOthers ends the rest of the node's clients that do not rest alone.
func (c *client) wakeOthers() {
	for _, other := range c.node.clients {
		if other != nil && other.resting() && !other.health.alone {
			other.health = health{passUntil: other.health.passUntil}
		}
	}
}

// refuse is the error reply for a request to a node that rests.
func (c *client) refuse() string {
	c.w.stats.upstream.unreachable++
	return c.health.refusal
}

// timedOut is the error reply for requests that have waited too long.
func (c *client) timedOut() string {
	return fmt.Sprintf("ERR samaritan: node %s timed out: no reply within %v", c.node.addr, c.w.settings.requestTimeout)
}

// dialFailed lets the node rest and fails all that waited for the connection. Reads
// that waited for a replica go elsewhere.
func (c *client) dialFailed(err error, probe bool) {
	u := &c.w.stats.upstream
	if isTimeout(err) {
		u.connectTimeout++
	}
	u.connectFail++
	if probe {
		u.probeFailures++
	}
	c.w.proc.warn.Warn("cannot connect to node", "node", c.node.addr, "error", err)
	c.rest(err)
	c.w.proc.topology.trigger(causeConnection, "")
	lost := c.takeAll()
	c.bytes = 0
	for _, r := range lost {
		if !r.has(reqReplica) || !c.w.askAnother(r, c) {
			c.w.fail(r, c.refuse())
		}
	}
	c.release()
}

// tend is called every now and then: it ends requests that have waited too long, and
// probes a node that rests.
func (c *client) tend(now int64) {
	if limit := int64(c.w.settings.requestTimeout); limit > 0 && c.fifo.len() > 0 {
		c.expire(now, limit)
	}
	if b := c.window; b != nil && b.Sole() && cap(b.B) > windowSize {
		b.Release() // it was made for one large request
		c.window = nil
	}
	if c.resting() && c.conn == nil && !c.probing && !c.dialling && now >= c.health.retryAt && !c.node.retired && !c.w.ended {
		c.probe()
	}
}

// probe tries whether the node answers. If it does, the connection stays.
func (c *client) probe() {
	c.probing = true
	c.w.stats.upstream.probes++
	set := c.w.settings
	c.connect(dialTarget{
		addr: c.node.addr, proto: c.lane.proto(), readOnly: set.read != 0,
		timeout: min(set.connectTimeout, probeTimeout), ping: true,
	})
}

// expire ends the requests that have waited for longer than limit. When nothing comes
// at all the connection is closed, as the replies behind could not be matched;
// otherwise it stays, and late replies are dropped.
func (c *client) expire(now, limit int64) {
	oldest := c.fifo.at(0)
	if c.conn == nil {
		if now-c.oldest >= limit {
			c.expireUnsent(now, limit)
		}
		return
	}
	// A large reply on its way has more time: a second for each MiB that has come.
	limit += int64(c.conn.Buffered()>>20) * int64(time.Second)
	heard := max(oldest.sent, c.conn.LastRead())
	if c.conn.Pending() > 0 {
		heard = max(heard, c.conn.LastSent()) // it takes what it is sent, which may be large
	}
	silence := now - heard
	if silence >= limit || (oldest.kind == kindDropped && now-oldest.start >= 2*limit) {
		c.silent()
		return
	}
	if now-c.oldest < limit {
		return
	}
	c.oldest = now
	for i := range c.fifo.len() {
		r := c.fifo.at(i)
		if r.kind == kindDropped {
			continue
		}
		if now-r.start < limit {
			c.oldest = min(c.oldest, r.start)
			continue // one behind it may be older, having been at another node before
		}
		// Its place in line is kept for the late reply.
		late := c.w.newRequest(nil, nil, kindDropped)
		late.start, late.sent, late.frame.Len = r.start, r.sent, r.frame.Len
		c.fifo.set(i, late)
		c.bytes += r.frame.Len // timeOut takes it off, and so will the late reply
		c.timeOut(r)
	}
}

// expireUnsent is expire while the connection is still being made: as nothing has been
// sent, requests just leave the line, each with the ASKING before it.
func (c *client) expireUnsent(now, limit int64) {
	all := c.takeAll()
	old := all[:0]
	c.bytes = 0
	var asking *request
	for _, r := range all {
		switch {
		case r.kind == kindDropped:
			asking = r
			continue
		case now-r.start >= limit:
			if asking != nil {
				c.w.recycle(asking)
			}
			c.bytes += r.frame.Len // timeOut takes it off
			old = append(old, r)
		default:
			if asking != nil {
				c.send(asking, asking.frame)
			}
			c.send(r, r.frame)
		}
		asking = nil
	}
	for _, r := range old {
		c.timeOut(r)
	}
	c.releaseIfRoom()
}

// timeOut fails a request that has waited too long.
func (c *client) timeOut(r *request) {
	c.bytes -= r.frame.Len
	c.w.stats.upstream.timeouts++
	c.w.proc.warn.Warn("a request timed out", "node", c.node.addr, "limit", c.w.settings.requestTimeout)
	c.w.fail(r, c.timedOut())
}

var errSilent = errors.New("the node is silent")

// silent closes the connection of a node that does not answer any more, fails its
// requests and lets it rest.
func (c *client) silent() {
	u := &c.w.stats.upstream
	u.silences++
	lost := c.takeAll()
	c.bytes = 0
	c.w.proc.warn.Warn("node timed out, its connection is closed", "node", c.node.addr, "requests", len(lost), "limit", c.w.settings.requestTimeout)
	text := c.timedOut()
	conn := c.conn
	c.conn = nil
	c.rest(fmt.Errorf("no reply within %v", c.w.settings.requestTimeout))
	for _, r := range lost {
		if r.kind != kindDropped {
			u.timeouts++
		}
		c.w.fail(r, text)
	}
	c.release()
	c.conn = conn
	conn.Close(errSilent)
}
