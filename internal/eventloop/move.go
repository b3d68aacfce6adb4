package eventloop

import "syscall"

// A connection moves between processes as a descriptor and the input that was read from
// it and not consumed. The process that has it freezes it, so that nothing is read or
// written any more, and then closes both, or thaws it; the other one adds the descriptor
// with that input.

// AddWith is Add for a connection from which input was read elsewhere. The handler gets
// it as if it came from the socket, in turns of 64 KiB, and nothing that comes from the
// socket before all of it. It does not count as read. The loop keeps input until then.
func (l *Loop) AddWith(fd int, h Handler, input []byte) (*Conn, error) {
	c, err := l.Add(fd, h)
	if err == nil && len(input) > 0 {
		c.fed = input
		c.flags |= flagFed
		c.markDirty() // the socket has to wait
		c.awaitRead()
	}
	return c, err
}

// feed is read for input that was read elsewhere.
func (c *Conn) feed(limit int) int {
	buf, kept := c.inputBuf()
	n := copy(buf.B[len(buf.B):min(cap(buf.B), len(buf.B)+limit)], c.fed)
	if kept > 0 && buf != c.in {
		c.dropInput()
	}
	buf.B = buf.B[:len(buf.B)+n]
	if c.fed = c.fed[n:]; len(c.fed) == 0 {
		c.fed = nil
		c.flags &^= flagFed
		c.markDirty()
	} else {
		c.awaitRead()
	}
	c.deliver(buf)
	return n
}

// Backdate makes the connection as idle as if it had last been read from, and written
// to, that many nanoseconds ago.
func (c *Conn) Backdate(nanoseconds int64) {
	c.lastRead -= nanoseconds
	c.lastSent -= nanoseconds
}

// Freeze stops everything that happens to the connection by itself: until Thaw the
// socket is neither read nor written, and no method of the handler is called but Closed.
// The descriptor is the caller's until then, who may pass it to another process: it stays
// open when the connection is closed, by whomever, and is to be closed by the caller then.
//
// It returns the input that was not consumed, with a reference taken: what it refers to
// stays as it is until that is released, on the loop. False means that the connection
// cannot be frozen: output waits, it is about to end, or input that it was added with
// has not been delivered yet. It must not be called from Data.
func (c *Conn) Freeze() (input Ref, ok bool) {
	if !c.Freezable() {
		return Ref{}, false
	}
	l := c.loop
	if e := epollCtl(l.epfd, syscall.EPOLL_CTL_DEL, c.fd, nil); e != 0 {
		return Ref{}, false
	}
	l.slots[c.slot].gen++ // events of this iteration are void
	c.interest = 0
	c.flags |= flagFrozen
	c.flags &^= flagShort
	if c.in == nil {
		return Ref{}, true
	}
	c.in.Retain()
	return Ref{Buf: c.in, Off: c.inOff, Len: c.Buffered()}, true
}

// Freezable tells whether the connection can be frozen, see Freeze.
func (c *Conn) Freezable() bool {
	const not = flagClosed | flagCloseFlushed | flagLinger | flagEOF | flagFed | flagFrozen
	return c.flags&not == 0 && c.out.pending == 0
}

// Frozen tells whether the connection is frozen.
func (c *Conn) Frozen() bool { return c.flags&flagFrozen != 0 }

// Thaw ends what Freeze has begun: the connection goes on as if nothing had been. What
// was asked of it meanwhile takes effect now.
func (c *Conn) Thaw() {
	if c.flags&(flagFrozen|flagClosed) != flagFrozen {
		return
	}
	c.flags &^= flagFrozen
	l := c.loop
	c.interest = c.wanted()
	ev := epollEvent{Events: c.interest, Fd: c.slot, Pad: l.slots[c.slot].gen}
	if e := epollCtl(l.epfd, syscall.EPOLL_CTL_ADD, c.fd, &ev); e != 0 {
		c.Close(e)
		return
	}
	c.markDirty()
	if c.flags&(flagPaused|flagResumed) == 0 {
		c.flags |= flagResumed // it may have been in line when it was frozen
		l.resumed = append(l.resumed, c)
	}
}
