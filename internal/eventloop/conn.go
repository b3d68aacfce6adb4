package eventloop

import (
	"errors"
	"io"
	"syscall"
	"unsafe"
)

// Handler is what a connection talks to. All methods run on the loop's goroutine,
// and each of them may close the connection, or any other.
type Handler interface {
	// Data is called with all input not consumed so far and returns how much of it
	// is consumed. The bytes are valid during the call only, unless shared with
	// Conn.Share. What is not consumed is kept and comes again, with more behind it.
	Data(b []byte) (consumed int)

	// EOF is called once when the peer has ended its side. Output still flows;
	// the handler ends the connection by Close or CloseFlushed.
	EOF()

	// Flushed is called when queued output has fallen to the limit set with
	// Conn.NotifyBelow. It is called once per NotifyBelow.
	Flushed()

	// Closed is called exactly once, when the connection is gone for whatever reason.
	Closed(err error)
}

type connFlags uint16

const (
	flagClosed       connFlags = 1 << iota
	flagDirty                  // is in loop.dirty
	flagResumed                // is in loop.resumed
	flagPaused                 // no reading
	flagEOF                    // the peer has ended its side
	flagShort                  // the socket took less than was to be written
	flagCloseFlushed           // close once all output is written
	flagNotify                 // Flushed is due when pending <= notifyAt
	flagLinger                 // all is written; waiting for the peer to end its side
	flagReader                 // is in loop.readers
	flagWriter                 // is in loop.writers
	flagFed                    // has input in fed
	flagFrozen                 // see Freeze
)

// Conn is a connection that a loop owns.
type Conn struct {
	// immutable
	loop    *Loop
	fd      int
	slot    int32
	handler Handler

	// loop-owned
	flags    connFlags
	interest uint32 // what epoll watches for
	in       *Buf   // unconsumed input, nil when there is none
	inOff    int    // where it begins
	need     int    // bytes that the next frame still needs at least
	fed      []byte // input that was read elsewhere and comes before the socket's
	out      queue
	notifyAt int
	outHint  int    // bytes of the last complete write, to size the next buffer
	linger   *Timer // ends lingering, nil before
	bytes    *Bytes
	lastRead int64
	lastSent int64
}

// Bytes counts what connections have read and written.
type Bytes struct{ Read, Written uint64 }

// CountBytes makes the connection add to b from now on; connections of one loop
// may share it.
func (c *Conn) CountBytes(b *Bytes) { c.bytes = b }

// Add gives a connected, non-blocking socket to the loop. On an error the caller
// still owns fd.
func (l *Loop) Add(fd int, h Handler) (*Conn, error) {
	if l.stopped {
		return nil, ErrClosed
	}
	var i int32
	if n := len(l.free); n > 0 {
		i = l.free[n-1]
		l.free = l.free[:n-1]
	} else {
		i = int32(len(l.slots))
		l.slots = append(l.slots, slot{})
	}
	ev := epollEvent{Events: syscall.EPOLLIN, Fd: i, Pad: l.slots[i].gen}
	if e := epollCtl(l.epfd, syscall.EPOLL_CTL_ADD, fd, &ev); e != 0 {
		l.free = append(l.free, i)
		return nil, e
	}
	c := &Conn{
		loop: l, fd: fd, slot: i, handler: h, interest: syscall.EPOLLIN,
		bytes: new(Bytes), lastRead: l.now, lastSent: l.now,
	}
	l.slots[i].conn = c
	l.conns.Add(1)
	return c, nil
}

// Loop is the loop that owns the connection.
func (c *Conn) Loop() *Loop { return c.loop }

// FD is the socket, for getsockopt and the like; reading and writing it is the
// connection's business.
func (c *Conn) FD() int { return c.fd }

// IsClosed tells whether the connection is gone.
func (c *Conn) IsClosed() bool { return c.flags&flagClosed != 0 }

// LastRead is the loop time at which the peer last sent something.
func (c *Conn) LastRead() int64 { return c.lastRead }

// LastSent is the loop time at which the socket last took output.
func (c *Conn) LastSent() int64 { return c.lastSent }

// Expect says that the frame at the end of the input needs n more bytes at least,
// so that its buffer can be sized in few steps. It reserves at most twice what has
// arrived.
func (c *Conn) Expect(n int) { c.need = n }

// ready handles the events of one iteration.
func (c *Conn) ready(events uint32) {
	if c.flags&flagLinger != 0 {
		c.discard()
		return
	}
	const broken = syscall.EPOLLHUP | syscall.EPOLLERR
	if events&broken != 0 && (c.flags&flagPaused != 0 || c.flags&flagEOF != 0) {
		// Not reading, so nobody else would notice; and epoll reports it for ever.
		c.Close(c.socketError())
		return
	}
	if events&syscall.EPOLLOUT != 0 {
		c.flags &^= flagShort
		c.markDirty()
	}
	if events&(syscall.EPOLLIN|broken) != 0 && c.flags&(flagPaused|flagEOF|flagFed) == 0 {
		if c.expected() > largeFrame {
			c.awaitRead()
		} else {
			c.read(scratchSize)
		}
	}
}

func (c *Conn) socketError() error {
	if n, err := syscall.GetsockoptInt(c.fd, syscall.SOL_SOCKET, syscall.SO_ERROR); err == nil && n != 0 {
		return syscall.Errno(n)
	}
	return io.EOF
}

// read takes what the socket has, once and up to limit bytes, behind what was left
// over. It returns how many bytes came.
func (c *Conn) read(limit int) int {
	l := c.loop
	buf, kept := c.inputBuf()
	n, e := sysRecv(c.fd, buf.B[len(buf.B):min(cap(buf.B), len(buf.B)+limit)])
	if n <= 0 || e != 0 {
		if buf != c.in {
			buf.B = buf.B[:0] // the kept bytes are still in c.in
		}
		c.readEnded(e)
		return 0
	}
	if kept > 0 && buf != c.in {
		c.dropInput()
	}
	c.lastRead = l.now
	c.bytes.Read += uint64(n)
	buf.B = buf.B[:len(buf.B)+n]
	c.deliver(buf)
	return n
}

func (c *Conn) readEnded(e syscall.Errno) {
	switch e {
	case syscall.EAGAIN, syscall.EINTR:
	case 0:
		c.flags |= flagEOF
		c.markDirty()
		c.handler.EOF()
	default:
		c.Close(e)
	}
}

// expected is the size of the leftover with what the next frame needs at least.
func (c *Conn) expected() int {
	if c.in == nil {
		return 0
	}
	return len(c.in.B) - c.inOff + c.need
}

// inputBuf chooses where the next bytes go: the loop's scratch buffer, behind a
// copy of a short leftover; or the connection's own buffer, with room made, when
// a large frame is on its way.
func (c *Conn) inputBuf() (buf *Buf, kept int) {
	l := c.loop
	if c.in == nil {
		return l.scratch, 0
	}
	left := c.in.B[c.inOff:]
	if c.expected() <= scratchSize/4 {
		l.scratch.B = append(l.scratch.B, left...)
		return l.scratch, len(left)
	}
	if c.in.Room() < min(c.need, 4096) || c.in.Room() == 0 {
		c.growInput()
	}
	return c.in, len(left)
}

// growInput makes room behind the leftover: as much as the frame needs, but never more
// than twice what has arrived; and half as much again at least, so that a frame that
// tells its size in small steps is not moved at every one of them. What is going to
// outgrow the pool is copied once, while it is small.
func (c *Conn) growInput() {
	left := len(c.in.B) - c.inOff
	more := min(max(c.need, left/2), left)
	size := max(left+more, scratchSize)
	if c.inOff == 0 && c.in.enlarge(size) {
		return
	}
	var buf *Buf
	if c.expected() > largeFrame {
		buf = c.loop.pool.large(size)
	} else {
		buf = c.loop.pool.get(size)
	}
	buf.B = append(buf.B, c.in.B[c.inOff:]...)
	c.in.Release()
	c.in, c.inOff = buf, 0
}

// deliver offers the input in buf (scratch or c.in) to the handler and keeps what
// it leaves.
func (c *Conn) deliver(buf *Buf) {
	l := c.loop
	off := 0
	if buf == c.in {
		off = c.inOff
	}
	c.need = 0
	l.current = buf
	used := c.handler.Data(buf.B[off:])
	l.current = nil
	if c.flags&flagClosed != 0 {
		if buf == l.scratch {
			l.resetScratch()
		} else {
			c.dropInput()
		}
		return
	}
	c.keep(buf, off+used)
}

// keep stores the bytes of buf from off on as the connection's input.
func (c *Conn) keep(buf *Buf, off int) {
	l := c.loop
	rest := buf.B[off:]
	switch {
	case buf == l.scratch:
		if len(rest) > 0 {
			c.in = l.pool.get(len(rest))
			c.in.B = append(c.in.B, rest...)
			c.inOff = 0
		}
		l.resetScratch()
	case len(rest) == 0:
		c.dropInput()
	case cap(buf.B) >= scratchSize && len(rest)+c.need <= scratchSize/4,
		buf.mapped() && off > 0 && len(rest) <= scratchSize:
		// The next read would move it anyway; until then a connection that falls
		// idle must not hold a buffer that a large frame has needed.
		small := l.pool.get(len(rest))
		small.B = append(small.B, rest...)
		c.in.Release()
		c.in, c.inOff = small, 0
	default:
		c.inOff = off
	}
}

// resetScratch makes the scratch buffer empty again, or replaces it when a handler
// has shared it.
func (l *Loop) resetScratch() {
	if l.scratch.Sole() {
		l.scratch.B = l.scratch.B[:0]
		return
	}
	l.scratch.Release()
	l.scratch = l.pool.get(scratchSize)
}

func (c *Conn) dropInput() {
	if c.in != nil {
		c.in.Release()
		c.in, c.inOff = nil, 0
	}
}

// Share refers to a part of the bytes that Data is being called with, so that they
// can be kept without a copy; of a buffer outside the pool only what is large itself is
// kept so. The reference is taken already: Release it later.
func (c *Conn) Share(part []byte) Ref {
	buf := c.loop.current
	if buf.mapped() && len(part) < largeFrame {
		own := c.loop.pool.get(len(part)) // or a few bytes would hold all the rest
		own.B = append(own.B, part...)
		return Ref{Buf: own, Len: len(part)}
	}
	buf.Retain()
	if len(part) == 0 {
		return Ref{Buf: buf}
	}
	// Not by capacity: a parser may have capped the slice.
	off := uintptr(unsafe.Pointer(unsafe.SliceData(part))) - uintptr(unsafe.Pointer(unsafe.SliceData(buf.B)))
	return Ref{Buf: buf, Off: int(off), Len: len(part)}
}

// Pause stops reading. Input that arrived already stays; see Resume.
func (c *Conn) Pause() {
	if c.flags&(flagPaused|flagClosed) == 0 {
		c.flags |= flagPaused
		c.markDirty()
	}
}

// Resume goes on reading. Input that was left unconsumed is delivered again later
// in this iteration.
func (c *Conn) Resume() {
	if c.flags&flagPaused == 0 || c.flags&(flagClosed|flagCloseFlushed) != 0 {
		return
	}
	c.flags &^= flagPaused
	c.markDirty()
	if c.flags&flagFed != 0 {
		c.awaitRead()
	}
	// Even without input now: Data may be running, and is yet to leave some.
	if c.flags&flagResumed == 0 {
		c.flags |= flagResumed
		c.loop.resumed = append(c.loop.resumed, c)
	}
}

func (c *Conn) redeliver() {
	c.flags &^= flagResumed
	if c.flags&(flagClosed|flagPaused|flagFrozen) != 0 || c.in == nil {
		return
	}
	c.deliver(c.in)
}

// Buffered is the number of input bytes that the handler has left unconsumed.
func (c *Conn) Buffered() int {
	if c.in == nil {
		return 0
	}
	return len(c.in.B) - c.inOff
}

// Unread is the number of bytes that wait to be read, in the socket or before it.
func (c *Conn) Unread() int { return sysUnread(c.fd) + len(c.fed) }

// Close ends the connection at once; queued output is lost. The handler's Closed is
// called before Close returns. Closing twice does nothing.
func (c *Conn) Close(err error) {
	if c.flags&flagClosed != 0 {
		return
	}
	c.flags |= flagClosed
	l := c.loop
	if c.flags&flagFrozen == 0 { // else it is somebody else's
		// The descriptor may live on in another process (hot restart), so closing it is
		// not enough to take it out of the epoll set.
		_ = epollCtl(l.epfd, syscall.EPOLL_CTL_DEL, c.fd, nil)
		_ = syscall.Close(c.fd)
	}
	s := &l.slots[c.slot]
	s.conn = nil
	s.gen++
	l.freed = append(l.freed, c.slot)
	l.conns.Add(-1)
	if c.linger != nil {
		c.linger.Stop()
	}
	if c.in != nil && c.in != l.current { // deliver still reads l.current
		c.dropInput()
	}
	c.out.clear()
	c.handler.Closed(err)
}

// errFlushed is the reason given to Closed after CloseFlushed.
var errFlushed = errors.New("closed by this side")

// CloseFlushed stops reading and ends the connection when all queued output is
// written. When the peer has sent more than was read, the connection lingers for a
// moment, so that the output is not lost to a reset; the handler hears nothing but
// Closed by then. It shuts the socket down for writing, so it does nothing while the
// connection is frozen, and a descriptor that lives on in another process takes Close.
func (c *Conn) CloseFlushed() {
	if c.flags&flagClosed != 0 {
		return
	}
	c.flags |= flagCloseFlushed | flagPaused
	c.markDirty()
}
