package redis

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"samaritan/internal/eventloop"
	"samaritan/proc/redis/resp"
)

const (
	windowSize = 64 << 10 // bytes of one buffer of a client's send window

	backoffMin = 50 * time.Millisecond
	backoffMax = 2 * time.Second
)

var (
	errRetired  = errors.New("the node left the cluster")
	errRenewed  = errors.New("the connection is made anew")
	errShutdown = errors.New("shutting down")
	errEOF      = errors.New("the node closed the connection")
)

// client is one pipelined connection to one node, shared by all sessions of its
// worker. Requests are answered in the order sent; until the reply to a request is
// final its bytes stay in the window, which is where a redirection takes them from.
//
// It connects when the first request comes, and again when one comes after the
// connection broke. While dialling, requests wait; when dialling fails they fail,
// and so do all others until a backoff is over.
type client struct {
	// immutable
	w     *worker
	node  *node
	proto int // 2 or 3

	conn     *eventloop.Conn // nil while not connected
	dialling bool
	fifo     fifo
	window   *eventloop.Buf // requests are copied here; full ones live on in fifo
	bytes    int            // of all requests in fifo
	scan     resp.Scanner
	failures int   // in a row
	retryAt  int64 // loop time until which it rests after a failure
	lastErr  error
	opened   int64      // loop time at which it was connected
	renew    bool       // to be connected anew when nothing is in flight
	waiting  []*session // held back by a full window
}

func (c *client) inFlight() int { return c.fifo.len() }

// resting tells whether the node could not be reached a moment ago: requests fail
// at once meanwhile.
func (c *client) resting() bool {
	return c.conn == nil && !c.dialling && c.lastErr != nil && c.w.loop.Now() < c.retryAt
}

// full tells whether the node has as much outstanding as it may.
func (c *client) full() bool { return c.bytes >= nodeWindow || c.fifo.len() >= nodeRequests }

// reserve returns the window with room for n more bytes. What is appended to it
// becomes a request with send.
func (c *client) reserve(n int) *eventloop.Buf {
	b := c.window
	if b != nil && b.Sole() {
		b.B = b.B[:0]
	}
	if b == nil || b.Room() < n {
		if b != nil {
			b.Release()
		}
		b = c.w.loop.NewBuf(max(n, windowSize))
		c.window = b
	}
	return b
}

// copyIn stores a copy of frame in the window.
func (c *client) copyIn(frame []byte) eventloop.Ref {
	b := c.reserve(len(frame))
	off := len(b.B)
	b.B = append(b.B, frame...)
	b.Retain()
	return eventloop.Ref{Buf: b, Off: off, Len: len(frame)}
}

// send puts a request at the end of the line. frame is owned by the request from
// now on; nothing is written before the end of the loop's iteration.
func (c *client) send(r *request, frame eventloop.Ref) {
	r.frame = frame
	r.sent = c.w.loop.Now()
	c.bytes += frame.Len
	c.fifo.push(r)
	if c.conn != nil {
		c.conn.AppendRef(frame)
	} else if !c.dialling {
		c.dial()
	}
}

// sendAsking sends ASKING and the request as one unit: both are appended at once,
// so nothing gets between them.
func (c *client) sendAsking(r *request, frame eventloop.Ref) {
	a := c.w.newRequest(nil, nil, kindAsking)
	c.send(a, c.copyIn(askingFrame))
	c.send(r, frame)
}

var askingFrame = []byte("*1\r\n$6\r\nASKING\r\n")

func (c *client) dial() {
	if c.w.ended {
		c.lastErr = errShutdown
		c.failAll(c.unreachable())
		return
	}
	c.dialling = true
	set := c.w.settings
	c.w.stats.upstream.connects++
	loop, proc := c.w.loop, c.w.proc
	target := dialTarget{addr: c.node.addr, proto: c.proto, readOnly: set.read != 0, timeout: set.connectTimeout}
	proc.dials.Go(func() {
		fd, err := target.dial(proc.ctx)
		if !loop.Post(func() { c.dialled(fd, err) }) && err == nil {
			closeFD(fd)
		}
	})
}

// dialled takes over the socket that was dialled, or fails everything that waited.
func (c *client) dialled(fd int, err error) {
	c.dialling = false
	if err == nil && c.w.draining && len(c.w.sessions) == 0 {
		closeFD(fd)
		err = errShutdown
	}
	if err == nil {
		c.conn, err = c.w.loop.Add(fd, c)
		if err != nil {
			closeFD(fd)
		}
	}
	if err != nil {
		c.dialFailed(err)
		return
	}
	c.conn.CountBytes(&c.w.stats.upstream.bytes)
	c.w.stats.upstream.opened++
	c.opened = c.w.loop.Now()
	c.failures, c.lastErr = 0, nil
	c.scan.Reset()
	for i := range c.fifo.len() {
		c.conn.AppendRef(c.fifo.at(i).frame)
	}
}

func (c *client) dialFailed(err error) {
	if isTimeout(err) {
		c.w.stats.upstream.connectTimeout++
	}
	c.w.stats.upstream.connectFail++
	c.w.proc.warn.Warn("cannot connect to node", "node", c.node.addr, "error", err)
	c.rest(err)
	c.w.proc.topology.trigger(causeConnection)
	text := c.unreachable()
	lost := c.fifo.take()
	c.bytes = 0
	for _, r := range lost {
		if !r.has(reqReplica) || !c.w.askMaster(r, c.proto) {
			c.w.fail(r, text)
		}
	}
	c.release()
}

// rest begins or lengthens the time in which no new connection is tried.
func (c *client) rest(err error) {
	c.lastErr = err
	backoff := min(backoffMin<<min(c.failures, 6), backoffMax)
	c.failures++
	c.retryAt = c.w.loop.Now() + int64(backoff/2) + rand.Int64N(int64(backoff))
}

// unreachable is the error reply for requests to a node that is away.
func (c *client) unreachable() string {
	return fmt.Sprintf("ERR samaritan: node %s is not reachable: %v", c.node.addr, c.lastErr)
}

// Data matches replies to requests, in order.
func (c *client) Data(b []byte) int {
	used := 0
	for used < len(b) {
		n, err := c.scan.Scan(b[used:])
		if err != nil {
			c.w.stats.upstream.protocolErrors++
			c.conn.Close(fmt.Errorf("the node broke the protocol: %w", err))
			return len(b)
		}
		if n == 0 {
			c.conn.Expect(c.scan.Need())
			break
		}
		c.answer(b[used : used+n])
		if c.conn == nil {
			return len(b)
		}
		used += n
	}
	if len(c.waiting) > 0 && c.bytes < nodeWindow/2 && c.fifo.len() < nodeRequests/2 {
		c.release()
	}
	if c.renew {
		c.reconnect()
	}
	return used
}

// answer gives a reply to the request that has waited longest.
func (c *client) answer(reply []byte) {
	if reply[0] == '>' {
		return // out of band, and nobody has asked for any
	}
	r := c.fifo.pop()
	if r == nil {
		c.w.stats.upstream.protocolErrors++
		c.conn.Close(errors.New("the node sent a reply that nobody asked for"))
		return
	}
	c.bytes -= r.frame.Len
	c.w.replied(c, r, reply)
}

// EOF is the node's end of the connection.
func (c *client) EOF() { c.conn.Close(errEOF) }

// Flushed is not used: the window, not the socket, bounds what is outstanding.
func (c *client) Flushed() {}

// Closed fails what was in flight, as nobody knows what the node has executed. What
// only reads is asked once more.
func (c *client) Closed(err error) {
	c.conn = nil
	c.w.stats.upstream.closed++
	c.w.stats.upstream.lifetime.Observe(uint64(c.w.loop.Now()-c.opened) / uint64(time.Second))
	if errors.Is(err, errShutdown) || errors.Is(err, errRetired) || errors.Is(err, errRenewed) || errors.Is(err, eventloop.ErrClosed) {
		c.failAll(fmt.Sprintf("ERR samaritan: connection to node %s closed: %v", c.node.addr, err))
		return
	}
	if c.fifo.len() > 0 {
		c.w.proc.warn.Warn("connection to node lost", "node", c.node.addr, "requests", c.fifo.len(), "error", err)
	}
	c.w.proc.topology.trigger(causeConnection)
	c.salvage(err)
}

// salvage goes through the requests of a broken connection: those that only read,
// and were not tried again before, go to a new connection; the others fail.
func (c *client) salvage(err error) {
	text := fmt.Sprintf("ERR samaritan: connection to node %s lost before the reply: %v", c.node.addr, err)
	lost := c.fifo.take()
	c.bytes = 0
	for i := 0; i < len(lost); i++ {
		r := lost[i]
		if r.has(reqRouted) && r.hops == 0 && !r.has(reqRetried) && r.readsOnly() && r.owner() != nil {
			r.flags |= reqRetried
			c.w.markRedirecting(r)
			frame := r.frame
			r.frame.Buf = nil
			c.send(r, frame)
			continue
		}
		c.w.fail(r, text)
	}
	c.release()
}

// failAll answers every request in line with an error.
func (c *client) failAll(text string) {
	lost := c.fifo.take()
	c.bytes = 0
	for _, r := range lost {
		c.w.fail(r, text)
	}
	c.release()
}

// reconnect closes a connection that is to be prepared differently once nothing is in
// flight; the next request makes the new one.
func (c *client) reconnect() {
	if c.conn != nil && c.fifo.len() == 0 {
		c.renew = false
		c.conn.Close(errRenewed)
	}
}

// release lets the sessions go on that waited for room in the window.
func (c *client) release() {
	waiting := c.waiting
	c.waiting = nil
	for _, s := range waiting {
		s.allow(stopWindow)
	}
}

// expire closes the connection when its oldest request has waited too long and nothing
// comes any more: the replies behind it could not be matched otherwise. A node that is
// busy sending large replies is not hung.
func (c *client) expire(now int64) {
	limit := c.w.settings.requestTimeout
	if c.conn == nil || c.fifo.len() == 0 || limit <= 0 {
		return
	}
	oldest := c.fifo.at(0)
	if since := max(oldest.sent, c.conn.LastRead()); now-since < int64(limit) {
		return
	}
	c.w.stats.upstream.timeouts++
	err := fmt.Errorf("no reply within %v", limit)
	c.w.proc.warn.Warn("node timed out, its connection is closed", "node", c.node.addr, "requests", c.fifo.len(), "error", err)
	conn := c.conn
	c.conn = nil
	c.rest(err)
	c.failAll(fmt.Sprintf("ERR samaritan: node %s timed out: %v", c.node.addr, err))
	c.conn = conn
	conn.Close(errTimedOut)
}

var errTimedOut = errors.New("request timed out")

func (c *client) close(err error) {
	if c.conn != nil {
		c.conn.Close(err)
		return
	}
	c.failAll(fmt.Sprintf("ERR samaritan: connection to node %s closed: %v", c.node.addr, err))
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

func closeFD(fd int) { _ = syscall.Close(fd) }
