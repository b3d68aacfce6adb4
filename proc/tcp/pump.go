package tcp

import "syscall"

// stream is one direction of a connection.
type stream struct {
	rest   []byte // copied in, and not taken by the other side yet
	pipe   *pipe  // has what was spliced in and not taken by the other side yet; nil: nothing
	bulk   bool   // much is coming: splice
	ended  bool   // its end has been passed on
	queued bool   // is in loop.again
}

// held tells whether something was read and is not written.
func (s *stream) held() bool { return len(s.rest) > 0 || s.pipe != nil }

// outcome is how a step of a stream went.
type outcome uint8

const (
	moved        outcome = iota
	blocked              // one of the two sides has to become ready first
	atEnd                // all was passed on, and no more comes
	readerBroken         // the side that the stream comes from
	writerBroken         // the side that it goes to
)

// pump moves what comes from one side to the other, for one turn at most. It stops when
// one of the two has to become ready, of which epoll will tell. Ends and errors are
// passed on.
func (l *loop) pump(c *conn, from side) {
	s := &c.streams[from]
	if s.ended || s.queued {
		return
	}
	for left := turnBytes; left > 0; {
		n, how := l.step(c, from)
		switch how {
		case moved:
			left -= n
		case blocked:
			return
		case atEnd:
			l.ended(c, from)
			return
		case readerBroken:
			l.broken(c, from)
			return
		case writerBroken:
			l.refused(c, from.other())
			return
		}
	}
	s.queued = true
	l.again = append(l.again, turn{c, from})
}

// step writes what is held, or reads and writes. Nothing is read that could not be
// written.
func (l *loop) step(c *conn, from side) (int, outcome) {
	s := &c.streams[from]
	switch {
	case !c.sides[from.other()].writable:
		return 0, blocked
	case s.pipe != nil:
		return l.spliceOut(c, from)
	case len(s.rest) > 0:
		return l.writeRest(c, from)
	case !c.sides[from].readable:
		return 0, blocked
	case s.bulk:
		if p := l.pipes.get(l.now); p != nil {
			return l.spliceIn(c, from, p)
		}
	}
	return l.copy(c, from)
}

// copy moves what one recv takes. A short one has taken all there was, so that the next
// edge will tell of more; unless the end is known to be near, which tells of nothing, or
// there is urgent data, in front of which the kernel ends a read.
func (l *loop) copy(c *conn, from side) (int, outcome) {
	s, in := &c.streams[from], &c.sides[from]
	n, e := sysRecv(in.fd, l.buf[:])
	if how := in.afterRead(n, e); how != moved || n == 0 {
		return 0, how
	}
	l.hasRead(c, from, n)
	s.bulk = n == len(l.buf)
	if !s.bulk && !in.readOn {
		in.readable = false
	}
	w, how := l.write(c, from, l.buf[:n])
	if w < n && how != writerBroken {
		s.rest = append([]byte(nil), l.buf[w:n]...)
	}
	return n, how
}

// writeRest writes what an earlier copy could not.
func (l *loop) writeRest(c *conn, from side) (int, outcome) {
	s := &c.streams[from]
	n, how := l.write(c, from, s.rest)
	s.rest = s.rest[n:]
	if len(s.rest) == 0 {
		s.rest = nil
	}
	return n, how
}

func (l *loop) write(c *conn, from side, b []byte) (int, outcome) {
	out := &c.sides[from.other()]
	n, e := sysSend(out.fd, b)
	how := out.afterWrite(n, len(b), e)
	l.hasWritten(c, from, n)
	return n, how
}

// afterRead tells what a read of n bytes means.
func (in *end) afterRead(n int, e syscall.Errno) outcome {
	switch {
	case e == syscall.EAGAIN:
		in.readable = false
		return blocked
	case e == syscall.EINTR:
		return moved
	case e != 0:
		return readerBroken
	case n == 0:
		return atEnd
	}
	return moved
}

// afterWrite tells what it means that n bytes of some were written.
func (out *end) afterWrite(n, of int, e syscall.Errno) outcome {
	switch {
	case e == syscall.EAGAIN, e == 0 && n < of:
		out.writable = false
		return blocked
	case e == 0, e == syscall.EINTR:
		return moved
	}
	return writerBroken
}

// hasRead counts what came from a side.
func (l *loop) hasRead(c *conn, from side, n int) {
	if from == client {
		l.counts.add(downRx, n)
	} else {
		l.counts.add(upRx, n)
		c.ep.rx.Add(uint64(n))
	}
	c.touch(l.now)
}

// hasWritten counts what went on to the other side.
func (l *loop) hasWritten(c *conn, from side, n int) {
	if n == 0 {
		return
	}
	if from == client {
		l.counts.add(upTx, n)
		c.ep.tx.Add(uint64(n))
	} else {
		l.counts.add(downTx, n)
	}
	c.touch(l.now)
}
