package redis

import (
	"errors"
	"fmt"
	"syscall"

	"samaritan/internal/eventloop"
	"samaritan/proc/redis/resp"
)

const (
	windowSize = 64 << 10 // bytes of one buffer of a client's send window
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
// connection broke; meanwhile requests wait. When that fails, or the node falls
// silent, it rests (health.go): requests fail at once until a probe has succeeded.
type client struct {
	// immutable
	w    *worker
	node *node
	lane lane

	conn     *eventloop.Conn // nil while not connected
	dialling bool            // requests wait for a connection
	probing  bool            // a connection is tried while the node rests
	answered bool            // the node has said something over conn
	fifo     fifo
	window   *eventloop.Buf // requests are copied here; full ones live on in fifo
	bytes    int            // of all requests in fifo
	oldest   int64          // no request in fifo that somebody waits for was accepted before that
	scan     resp.Scanner
	opened   int64      // loop time at which it was connected
	renew    bool       // to be connected anew when nothing is in flight
	waiting  []*session // held back by a full window
	health   health
	scanned  scanState // what SCAN knows about the node
}

func (c *client) inFlight() int { return c.fifo.len() }

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
	if r.sent == 0 && r.kind != kindDropped {
		c.w.stats.upstream.requests++
	}
	r.sent = c.w.loop.Now()
	c.bytes += frame.Len
	if c.fifo.len() == 0 || r.start < c.oldest {
		c.oldest = r.start
	}
	c.fifo.push(r)
	if c.conn != nil {
		c.conn.AppendRef(frame)
	} else if !c.dialling {
		c.dial()
	}
}

// takeAll empties the line and returns what was in it, in order.
func (c *client) takeAll() []*request {
	c.w.flushHits() // their keys are in the window
	return c.fifo.take()
}

func (c *client) dial() {
	if c.w.ended {
		c.failAll("ERR samaritan: " + errShutdown.Error())
		return
	}
	c.dialling = true
	if c.probing {
		return // a connection is on its way
	}
	set := c.w.settings
	c.connect(dialTarget{addr: c.node.addr, proto: c.lane.proto(), readOnly: set.read != 0, timeout: set.connectTimeout})
}

// connect tries to make a connection, on a goroutine.
func (c *client) connect(target dialTarget) {
	c.w.stats.upstream.connects++
	loop, proc := c.w.loop, c.w.proc
	proc.dials.Go(func() {
		fd, err := target.dial(proc.ctx)
		if !loop.Post(func() { c.dialled(fd, err) }) && err == nil {
			closeFD(fd)
		}
	})
}

// dialled takes over the socket that was dialled, or fails everything that waited.
func (c *client) dialled(fd int, err error) {
	probe := c.probing
	c.dialling, c.probing = false, false
	if err == nil && (c.w.ended || c.w.draining && len(c.w.sessions) == 0) {
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
		c.dialFailed(err, probe)
		return
	}
	c.conn.CountBytes(&c.w.stats.upstream.bytes)
	c.w.stats.upstream.opened++
	c.opened = c.w.loop.Now()
	c.answered = probe
	if c.resting() {
		c.recovered()
	}
	c.scan.Reset()
	for i := range c.fifo.len() {
		c.conn.AppendRef(c.fifo.at(i).frame)
	}
}

// Data matches replies to requests, in order.
func (c *client) Data(b []byte) int {
	c.answered = true
	if c.health.mute > 0 || c.resting() {
		c.recovered()
	}
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
	c.releaseIfRoom()
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

// reconnect closes a connection that is to be prepared differently once nothing is in
// flight; the next request makes the new one.
func (c *client) reconnect() {
	if c.conn != nil && c.fifo.len() == 0 {
		c.renew = false
		c.conn.Close(errRenewed)
	}
}

// releaseIfRoom lets the sessions go on that waited for room, once there is plenty.
func (c *client) releaseIfRoom() {
	if len(c.waiting) > 0 && c.bytes < nodeWindow/2 && c.fifo.len() < nodeRequests/2 {
		c.release()
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

// close ends the client for good.
func (c *client) close(err error) {
	if c.window != nil {
		c.window.Release()
		c.window = nil
	}
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
