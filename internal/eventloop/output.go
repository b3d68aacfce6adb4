package eventloop

import "syscall"

// maxIov is the most segments written by one system call.
const maxIov = 64

// segment is a range of a Buf that waits to be written; it holds one reference.
type segment struct {
	buf        *Buf
	start, end int
}

// queue is a connection's output: segments in order, and how many bytes they hold.
type queue struct {
	segs    []segment
	head    int // first segment not written
	pending int
	own     bool // the last segment's buffer was made for this queue and may be appended to
}

func (q *queue) clear() {
	for i := q.head; i < len(q.segs); i++ {
		q.segs[i].buf.Release()
	}
	*q = queue{}
}

// advance drops n written bytes from the front.
func (q *queue) advance(n int) {
	q.pending -= n
	for n > 0 {
		s := &q.segs[q.head]
		left := s.end - s.start
		if n < left {
			s.start += n
			return
		}
		n -= left
		s.buf.Release()
		s.buf = nil
		q.head++
	}
	if q.head == len(q.segs) {
		q.segs, q.head, q.own = q.segs[:0], 0, false
		if cap(q.segs) > maxIov {
			q.segs = nil
		}
	}
}

// push adds a segment, reusing the space of written ones.
func (q *queue) push(s segment) {
	if q.head > 0 && len(q.segs) == cap(q.segs) {
		n := copy(q.segs, q.segs[q.head:])
		clear(q.segs[n:])
		q.segs, q.head = q.segs[:n], 0
	}
	q.segs = append(q.segs, s)
	q.pending += s.end - s.start
}

// tail returns the output's last buffer, with room for at least n bytes, to append
// to; a new one grows with what is queued.
func (c *Conn) tail(n int) *Buf {
	q := &c.out
	if q.own {
		if b := q.segs[len(q.segs)-1].buf; b.Room() >= n {
			return b
		}
	}
	b := c.loop.pool.get(max(n, min(max(q.pending, c.outHint), 64<<10)))
	q.push(segment{buf: b})
	q.own = true
	return b
}

// Append queues a copy of p.
func (c *Conn) Append(p []byte) {
	if c.flags&(flagClosed|flagLinger) != 0 || len(p) == 0 {
		return
	}
	b := c.tail(len(p))
	b.B = append(b.B, p...)
	s := &c.out.segs[len(c.out.segs)-1]
	s.end += len(p)
	c.out.pending += len(p)
	c.markDirty()
}

// AppendString queues a copy of p.
func (c *Conn) AppendString(p string) {
	if c.flags&(flagClosed|flagLinger) != 0 || p == "" {
		return
	}
	b := c.tail(len(p))
	b.B = append(b.B, p...)
	s := &c.out.segs[len(c.out.segs)-1]
	s.end += len(p)
	c.out.pending += len(p)
	c.markDirty()
}

// AppendRef queues the bytes that r refers to and takes a reference of its own.
// They must not change until they are written.
func (c *Conn) AppendRef(r Ref) {
	if c.flags&(flagClosed|flagLinger) != 0 || r.Len == 0 {
		return
	}
	c.markDirty()
	q := &c.out
	if n := len(q.segs); n > q.head && !q.own {
		if s := &q.segs[n-1]; s.buf == r.Buf && s.end == r.Off {
			s.end += r.Len
			q.pending += r.Len
			return
		}
	}
	r.Buf.Retain()
	q.push(segment{buf: r.Buf, start: r.Off, end: r.Off + r.Len})
	q.own = false
}

// Pending is the number of bytes queued and not yet taken by the socket.
func (c *Conn) Pending() int { return c.out.pending }

// NotifyBelow asks for one call of Handler.Flushed when Pending is at most n.
func (c *Conn) NotifyBelow(n int) {
	c.notifyAt = n
	c.flags |= flagNotify
	c.markDirty()
}

func (c *Conn) markDirty() {
	if c.flags&(flagDirty|flagClosed) == 0 {
		c.flags |= flagDirty
		c.loop.dirty = append(c.loop.dirty, c)
	}
}

// flush writes the queued output, unless the socket is known to be full, and brings
// epoll's interest up to date.
func (c *Conn) flush() {
	c.flags &^= flagDirty
	if c.flags&(flagClosed|flagFrozen) != 0 {
		return
	}
	if c.out.pending > 0 && c.flags&flagShort == 0 {
		if c.out.pending > largeOutput {
			c.awaitWrite()
		} else {
			c.write(largeOutput)
		}
	}
	c.flushed()
}

// flushed sees to what depends on how much output is left.
func (c *Conn) flushed() {
	if c.flags&(flagClosed|flagFrozen) != 0 {
		return
	}
	if c.out.pending > 0 && c.flags&flagShort == 0 {
		c.awaitWrite()
	}
	if c.out.pending == 0 && c.flags&flagCloseFlushed != 0 {
		c.finish()
		return
	}
	c.watch()
	if c.flags&(flagNotify|flagClosed) == flagNotify && c.out.pending <= c.notifyAt {
		c.flags &^= flagNotify
		c.handler.Flushed()
	}
}

// writeOnce makes one system call for at most limit bytes and returns how many were
// written. It may close the connection.
func (c *Conn) writeOnce(limit int) int {
	want := 0
	var n int
	var e syscall.Errno
	q := &c.out
	if len(q.segs)-q.head == 1 {
		s := &q.segs[q.head]
		want = min(s.end-s.start, limit)
		n, e = sysSend(c.fd, s.buf.B[s.start:s.start+want])
	} else {
		iov := c.loop.iov[:0]
		for i := q.head; i < len(q.segs) && len(iov) < maxIov && want < limit; i++ {
			s := &q.segs[i]
			if s.end == s.start {
				continue
			}
			v := syscall.Iovec{Base: &s.buf.B[s.start]}
			size := min(s.end-s.start, limit-want)
			v.SetLen(size)
			iov = append(iov, v)
			want += size
		}
		n, e = sysWritev(c.fd, iov)
		clear(iov) // it must not keep buffers alive
	}
	switch e {
	case 0:
	case syscall.EAGAIN:
		n = 0
	case syscall.EINTR:
		return 0
	default:
		c.Close(e)
		return 0
	}
	if n > 0 {
		c.lastSent = c.loop.now
		c.bytes.Written += uint64(n)
		c.outHint = n
		q.advance(n)
	}
	if n < want {
		c.flags |= flagShort
	}
	return n
}

// watch tells epoll what the connection waits for, if that has changed.
func (c *Conn) watch() {
	want := c.wanted()
	if want == c.interest {
		return
	}
	c.interest = want
	l := c.loop
	ev := epollEvent{Events: want, Fd: c.slot, Pad: l.slots[c.slot].gen}
	if e := epollCtl(l.epfd, syscall.EPOLL_CTL_MOD, c.fd, &ev); e != 0 {
		c.Close(e)
	}
}

// wanted is what epoll has to watch for.
func (c *Conn) wanted() (events uint32) {
	if c.flags&(flagPaused|flagEOF|flagFed) == 0 || c.flags&flagLinger != 0 {
		events |= syscall.EPOLLIN
	}
	if c.flags&flagShort != 0 {
		events |= syscall.EPOLLOUT
	}
	return events
}
