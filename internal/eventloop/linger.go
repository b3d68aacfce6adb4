package eventloop

import (
	"syscall"
	"time"
)

// lingerTime is how long a connection waits for its peer to end, once all output is
// written.
const lingerTime = time.Second

// finish ends a connection whose output is written. Closing a socket with unread
// input makes the kernel send a reset, on which the peer's kernel throws away what
// the peer has not read yet (RFC 2525, section 2.17): the last replies. So the
// connection ends its own side only, and then lingers: it discards input until the
// peer ends its side too, or lingerTime has passed.
func (c *Conn) finish() {
	if c.flags&flagLinger != 0 {
		return
	}
	if c.flags&flagEOF != 0 || sysUnread(c.fd) == 0 {
		c.Close(errFlushed)
		return
	}
	if err := syscall.Shutdown(c.fd, syscall.SHUT_WR); err != nil {
		c.Close(err)
		return
	}
	c.flags |= flagLinger
	c.dropInput()
	c.linger = c.loop.After(lingerTime, func() { c.Close(errFlushed) })
	c.watch()
}

// discard throws away what the peer still sends, one scratch buffer in one
// iteration.
func (c *Conn) discard() {
	b := c.loop.scratch.B
	n, e := sysRead(c.fd, b[:cap(b)])
	switch {
	case e == syscall.EAGAIN || e == syscall.EINTR:
	case e != 0:
		c.Close(e)
	case n == 0:
		c.Close(errFlushed)
	default:
		c.lastRead = c.loop.now
		c.bytes.Read += uint64(n)
	}
}
