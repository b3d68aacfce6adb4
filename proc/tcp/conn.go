package tcp

import (
	"syscall"
	"time"
)

// side is one of the two ends of a connection.
type side uint8

const (
	client side = iota // downstream
	server             // upstream
)

func (s side) other() side { return 1 - s }

// cutQuiet is how long nothing must have moved for a connection that is cut to end like
// one that its peer closes. One in the middle of something is reset.
const cutQuiet = int64(time.Second)

// conn is a client's connection with the one to an endpoint. All of it is owned by the
// loop.
type conn struct {
	slot    int32
	closed  bool
	given   bool // on its way to another loop
	sides   [2]end
	streams [2]stream // by the side that they come from

	ep      *endpoint
	resting bool            // ep was picked although it rests
	isOpen  bool            // ep is connected
	tried   []*endpoint     // that could not be connected
	causes  []syscall.Errno // why

	began int64 // when it was accepted
	made  int64 // when the endpoint was connected
	since int64 // see list

	in         *list
	prev, next *conn
}

// end is one of the two sockets.
type end struct {
	fd       int // -1: none
	readable bool
	writable bool
	readOn   bool // a short read need not have taken all: its end is near, or it sends urgent data
	failed   bool // there is an error that nobody has read yet
}

// newConn watches an accepted socket: what the client does while an endpoint is being
// connected is noted, so that nobody has to look afterwards.
func (l *loop) newConn(fd int) (*conn, syscall.Errno) {
	c := &conn{began: l.now}
	c.sides[client].fd, c.sides[server].fd = fd, -1
	l.settle(c)
	if e := l.watchSide(c, client); e != 0 {
		l.vacate(c)
		return nil, e
	}
	return c, 0
}

// settle gives a connection a slot.
func (l *loop) settle(c *conn) {
	if n := len(l.free); n > 0 {
		c.slot = l.free[n-1]
		l.free = l.free[:n-1]
	} else {
		c.slot = int32(len(l.slots))
		l.slots = append(l.slots, slot{})
	}
	l.slots[c.slot].conn = c
	l.conns.Add(1)
}

// vacate takes its slot away. Events that were reported to it already are void.
func (l *loop) vacate(c *conn) {
	s := &l.slots[c.slot]
	s.conn = nil
	s.gen = (s.gen + 1) & (1<<30 - 1) // it shares 32 bits with a side
	l.freed = append(l.freed, c.slot)
	l.conns.Add(-1)
}

// watchSide begins to watch one socket of a connection.
func (l *loop) watchSide(c *conn, s side) syscall.Errno {
	return l.watch(c.sides[s].fd, c.slot, l.slots[c.slot].gen<<1|int32(s), watched)
}

// start takes up an accepted socket.
func (l *loop) start(fd int) {
	if l.stopped {
		l.refuse(fd)
		return
	}
	c, e := l.newConn(fd)
	if e != 0 {
		l.warn.Error("cannot watch a client", "error", e)
		l.refuse(fd)
		return
	}
	l.counts.add(downOpened, 1)
	l.connect(c)
}

func (l *loop) refuse(fd int) {
	sysReset(fd)
	l.proc.listener.Release()
}

// ready takes up what epoll says of one side. Reports are edges, and each says all that
// holds: so most of them say once more that a side is writable.
func (l *loop) ready(c *conn, s side, events uint32) {
	const broken = syscall.EPOLLERR | syscall.EPOLLHUP
	e := &c.sides[s]
	wasBlocked := !e.writable
	e.readOn = e.readOn || events&(broken|syscall.EPOLLRDHUP|syscall.EPOLLPRI) != 0
	e.readable = e.readable || events&(broken|syscall.EPOLLRDHUP|syscall.EPOLLPRI|syscall.EPOLLIN) != 0
	e.writable = e.writable || events&syscall.EPOLLOUT != 0
	e.failed = e.failed || events&syscall.EPOLLERR != 0
	if !c.isOpen {
		l.readyToConnect(c, s, events)
		return
	}
	if wasBlocked && e.writable {
		l.pump(c, s.other())
	}
	if !c.closed && e.readable {
		l.pump(c, s)
	}
	l.notice(c, s)
}

// notice ends a connection one side of which has failed without anybody reading it, as the
// other side is slow or its end was seen before: nothing else would tell.
func (l *loop) notice(c *conn, s side) {
	if !c.closed && c.sides[s].failed && !c.streams[s].queued {
		l.broken(c, s)
	}
}

// ended is called when all that came from one side has been passed on, and its end is
// next.
func (l *loop) ended(c *conn, from side) {
	c.streams[from].ended = true
	if c.streams[from.other()].ended {
		sysClose(c.sides[client].fd)
		sysClose(c.sides[server].fd)
		l.gone(c)
		return
	}
	if e := sysEnd(c.sides[from.other()].fd); e != 0 {
		l.refused(c, from.other())
	}
}

// refused is called when one side takes nothing any more. What it has said before, which
// may be why, is passed on first, as far as the other side takes it at once.
func (l *loop) refused(c *conn, s side) {
	c.sides[s].readable = true // it may be, with the report of that still to come
	for left := turnBytes; left > 0; {
		n, how := l.step(c, s)
		if how != moved {
			break
		}
		left -= n
	}
	l.broken(c, s)
}

// broken is called when one side does not work any more. The other one is reset.
func (l *loop) broken(c *conn, s side) {
	if s == client {
		l.counts.add(downReset, 1)
	} else {
		l.counts.add(upReset, 1)
	}
	sysClose(c.sides[s].fd)
	if fd := c.sides[s.other()].fd; fd >= 0 {
		sysReset(fd)
	}
	l.gone(c)
}

// cut ends a connection that both sides would have go on. Whoever waits for nothing sees
// it end; who is in the middle of something must see that it was not all, so that is a
// reset.
func (l *loop) cut(c *conn) {
	if l.now-c.since < cutQuiet {
		l.endBoth(c, sysReset)
		return
	}
	l.cutIdle(c)
}

// cutIdle is cut for a connection on which nothing moves.
func (l *loop) cutIdle(c *conn) {
	if !c.isOpen || c.streams[client].held() || c.streams[server].held() {
		l.endBoth(c, sysReset)
		return
	}
	l.endBoth(c, sysClose)
}

func (l *loop) endBoth(c *conn, end func(fd int)) {
	for s := range c.sides {
		if fd := c.sides[s].fd; fd >= 0 {
			end(fd)
		}
	}
	l.gone(c)
}

// gone accounts for a connection whose sockets are closed.
func (l *loop) gone(c *conn) {
	c.closed = true
	c.leave()
	for i := range c.streams {
		l.pipes.discard(&c.streams[i])
	}
	l.letGo(c)
	n := &l.counts
	n.add(downClosed, 1)
	n.observe(&n.clientTime, (l.now-c.began)/int64(time.Second))
	l.vacate(c)
	l.proc.listener.Release()
	l.checkEmpty()
}

// letGo accounts for the endpoint's part of the connection, or of the attempt.
func (l *loop) letGo(c *conn) {
	if c.ep == nil {
		return
	}
	if c.isOpen {
		n := &l.counts
		n.add(upClosed, 1)
		n.observe(&n.serverTime, (l.now-c.made)/int64(time.Second))
		c.ep.active.Add(-1)
	}
	c.isOpen = false
	c.ep.load.Add(-1) // last: at zero the endpoint may be forgotten
	c.ep = nil
}
