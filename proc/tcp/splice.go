package tcp

import (
	"syscall"
	"time"
)

const (
	// bulkBytes is what one splice has to move for the next one to be worth it. Copying
	// less is as cheap, and does not take a call to find out that nothing is left.
	bulkBytes = 32 << 10

	pipeBytes = 1 << 20
	// pipeLeast is the size below which a pipe is no use. The kernel gives short ones to
	// users who have very many (fs.pipe-user-pages-soft).
	pipeLeast = 64 << 10
	pipesIdle = 8  // kept for the next one
	pipesMost = 48 // of one loop; streams that find none are copied
	pipeRetry = time.Second
)

// spliceIn moves bytes into the empty pipe p and on. When there are none, a copy finds out
// what that means: splice does not pass urgent data, and takes it for nothing, or for the
// end when that is behind it.
func (l *loop) spliceIn(c *conn, from side, p *pipe) (int, outcome) {
	s := &c.streams[from]
	n, _ := sysSplice(c.sides[from].fd, p.in, p.size)
	s.bulk = n >= bulkBytes
	if n == 0 {
		l.pipes.put(p)
		return 0, moved
	}
	l.hasRead(c, from, n)
	p.held, s.pipe = n, p
	return l.spliceOut(c, from)
}

// spliceOut moves on what the stream's pipe holds, and gives the pipe back when that was
// all.
func (l *loop) spliceOut(c *conn, from side) (int, outcome) {
	s, out := &c.streams[from], &c.sides[from.other()]
	n, e := sysSplice(s.pipe.out, out.fd, s.pipe.held)
	if e == 0 && n == 0 {
		e = syscall.EPIPE // not known to happen, and it must not go on for ever
	}
	how := out.afterSplice(e)
	s.pipe.held -= n
	l.hasWritten(c, from, n)
	if s.pipe.held == 0 {
		l.pipes.put(s.pipe)
		s.pipe = nil
	}
	return n, how
}

// afterSplice tells what the error of a splice to the side means. One that has moved less
// than there was may have stopped at a page, so only an error says that it is full.
func (out *end) afterSplice(e syscall.Errno) outcome {
	if e == 0 {
		return moved
	}
	return out.afterWrite(0, 0, e)
}

// pipe is a pair of descriptors with a buffer in the kernel between them. Pages can be
// moved through it from one socket to another.
type pipe struct {
	in, out int
	size    int
	held    int
}

// pipes are the pipes of one loop.
type pipes struct {
	idle  []*pipe
	count int
	retry int64 // when to make one again after that has failed
}

// get returns an empty pipe, or nil when there is none to be had.
func (p *pipes) get(now int64) *pipe {
	if n := len(p.idle); n > 0 {
		one := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return one
	}
	if now < p.retry || p.count >= pipesMost {
		return nil
	}
	one := newPipe()
	if one == nil {
		p.retry = now + int64(pipeRetry)
		return nil
	}
	p.count++
	return one
}

// put takes an empty pipe back.
func (p *pipes) put(one *pipe) {
	if len(p.idle) < pipesIdle {
		p.idle = append(p.idle, one)
		return
	}
	p.count--
	one.close()
}

// discard ends what a stream holds.
func (p *pipes) discard(s *stream) {
	s.rest = nil
	if s.pipe != nil {
		p.count--
		s.pipe.close()
		s.pipe = nil
	}
}

func (p *pipes) close() {
	for _, one := range p.idle {
		one.close()
	}
	p.idle = nil
}

func newPipe() *pipe {
	var fds [2]int
	if syscall.Pipe2(fds[:], syscall.O_NONBLOCK|syscall.O_CLOEXEC) != nil {
		return nil
	}
	one := &pipe{out: fds[0], in: fds[1]}
	_, _, _ = syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(one.in), setPipeSize, pipeBytes) // or it stays as it is
	size, _, e := syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(one.in), getPipeSize, 0)
	one.size = count(size, e)
	if one.size < pipeLeast {
		one.close()
		return nil
	}
	return one
}

func (p *pipe) close() {
	sysClose(p.in)
	sysClose(p.out)
}
