package eventloop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	scratchSize = 256 << 10 // most bytes read from one connection in one iteration
	eventBatch  = 512       // most events taken from epoll at once
	wakeSlot    = -1        // epoll key of the mailbox's eventfd
)

// ErrClosed is the reason that connections are closed with when their loop stops.
var ErrClosed = errors.New("event loop closed")

// epoch is the zero of every loop's clock.
var epoch = time.Now()

// Loop is one event loop. Create it with [New], start it with [Loop.Run].
type Loop struct {
	// immutable until Close
	epfd int
	mail mailbox

	cpuStart time.Duration // what the thread had used before Run; written before tid

	// shared, atomic
	tid   atomic.Int64 // thread of the running loop, 0 before
	conns atomic.Int64 // open connections

	// loop-owned
	now       int64 // nanoseconds since epoch, read once per iteration
	slots     []slot
	freed     []int32 // slots closed in this iteration, reusable in the next
	free      []int32
	dirty     []*Conn // to be written, or whose interest changed
	resumed   []*Conn // have buffered input to look at again
	readers   turns   // a large frame is on its way in
	writers   turns   // much is to be written
	scratch   *Buf
	current   *Buf // what Data is being called with
	pool      bufPool
	unmapper  *Timer // ends the time for which idle pages are kept, nil when it does not run
	unmapping bool   // that time is over
	timers    timerHeap
	ending    []func() // to be run at the end of this iteration
	events    []epollEvent
	iov       []syscall.Iovec
	stopped   bool
}

type slot struct {
	conn *Conn
	gen  int32
}

// New makes a loop. It holds two descriptors until Run has returned, or Close is
// called on a loop that never ran.
func New() (*Loop, error) {
	epfd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll instance: %w", err)
	}
	wake, _, e := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if e != 0 {
		_ = syscall.Close(epfd)
		return nil, fmt.Errorf("create eventfd: %w", e)
	}
	l := &Loop{
		epfd:   epfd,
		mail:   mailbox{wakeFD: int(wake)},
		events: make([]epollEvent, eventBatch),
		iov:    make([]syscall.Iovec, maxIov),
	}
	l.tick()
	ev := epollEvent{Events: syscall.EPOLLIN, Fd: wakeSlot}
	if e := epollCtl(epfd, syscall.EPOLL_CTL_ADD, int(wake), &ev); e != 0 {
		l.Close()
		return nil, fmt.Errorf("watch eventfd: %w", e)
	}
	return l, nil
}

// Close frees a loop that was never run; what was posted to it will not run.
// Closing twice does nothing.
func (l *Loop) Close() {
	l.mail.close() // first: a late Post must not write to a descriptor used anew
	if l.epfd < 0 {
		return
	}
	_ = syscall.Close(l.mail.wakeFD)
	_ = syscall.Close(l.epfd)
	l.epfd = -1
}

// Post hands fn to the loop's goroutine and returns at once. It may be called from
// any goroutine; functions run in the order posted. False means that the loop has
// stopped and fn will not run.
func (l *Loop) Post(fn func()) bool { return l.mail.post(fn) }

// Now is the time of this iteration in nanoseconds on a monotonic clock that all
// loops of the process share; see [Nanotime].
func (l *Loop) Now() int64 { return l.now }

// Nanotime reads the clock that [Loop.Now] is taken from.
func Nanotime() int64 { return int64(time.Since(epoch)) }

// Conns is the number of open connections. Any goroutine may call it.
func (l *Loop) Conns() int { return int(l.conns.Load()) }

// NewBuf returns an empty buffer with room for at least n bytes and one reference.
func (l *Loop) NewBuf(n int) *Buf { return l.pool.get(n) }

// Run is the loop. It returns once ctx has ended, after every connection was closed
// with ErrClosed and every function posted until then has run; or with an error
// when epoll itself fails.
func (l *Loop) Run(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	tid := int64(syscall.Gettid())
	l.cpuStart = threadCPU(tid)
	l.tid.Store(tid)
	l.scratch = l.pool.get(scratchSize)
	unhook := context.AfterFunc(ctx, func() { l.Post(func() { l.stopped = true }) })
	defer unhook()

	var err error
	for err == nil && !l.stopped {
		err = l.iterate()
	}
	l.shutdown()
	return err
}

// iterate is one turn: wait, handle, run, write. Its order matters: writing comes
// behind all that produces output, so that it leaves together; large transfers move on
// when everything small is done; and slots closed during the turn become reusable, and
// large buffers go back to the system, only when nobody can refer to them any more.
func (l *Loop) iterate() error {
	n, err := l.wait()
	if err != nil {
		return err
	}
	l.tick()
	mail := false
	for i := range n {
		ev := &l.events[i]
		if ev.Fd == wakeSlot {
			mail = true
			continue
		}
		if s := &l.slots[ev.Fd]; s.gen == ev.Pad && s.conn != nil {
			s.conn.ready(ev.Events)
		}
	}
	if mail {
		l.mail.drain()
	}
	l.runTimers()
	l.settle()
	l.end()
	if l.readers.len()+l.writers.len() > 0 {
		l.transfer()
		l.settle()
		l.end()
	}
	l.reclaim()
	l.free = append(l.free, l.freed...)
	l.freed = l.freed[:0]
	return nil
}

// wait polls, and blocks only when nothing is ready: under load the blocking call,
// which has to tell the scheduler, is never made.
func (l *Loop) wait() (int, error) {
	n, e := epollPoll(l.epfd, l.events)
	if n == 0 && e == 0 && !l.unfinished() {
		n, e = epollBlock(l.epfd, l.events, l.pollTimeout())
	}
	if e == syscall.EINTR {
		return 0, nil
	}
	if e != 0 {
		return 0, fmt.Errorf("wait for events: %w", os.NewSyscallError("epoll_wait", e))
	}
	return n, nil
}

// AtEnd runs fn once, at the end of this iteration: when all that was ready has been
// handled and written, and before anything is read that answers it. Memory is still where
// it was. It is for what is cheaper to do for many connections at once and has time until
// then. fn must not touch connections, nor call AtEnd.
func (l *Loop) AtEnd(fn func()) { l.ending = append(l.ending, fn) }

func (l *Loop) end() {
	for i, fn := range l.ending {
		fn()
		l.ending[i] = nil
	}
	l.ending = l.ending[:0]
}

func (l *Loop) tick() { l.now = Nanotime() }

// settle delivers input that was held back and then writes, until neither is left.
// Writing may free a connection to go on (NotifyBelow), which may produce output.
func (l *Loop) settle() {
	for len(l.resumed)+len(l.dirty) > 0 {
		for i := 0; i < len(l.resumed); i++ {
			l.resumed[i].redeliver()
			l.resumed[i] = nil
		}
		l.resumed = l.resumed[:0]
		for i := 0; i < len(l.dirty); i++ {
			l.dirty[i].flush()
			l.dirty[i] = nil
		}
		l.dirty = l.dirty[:0]
	}
}

// shutdown closes what is left. Posted functions still run, so that what they carry
// (a descriptor, a waiting goroutine) is not lost; Add refuses by then.
func (l *Loop) shutdown() {
	l.stopped = true
	for _, fn := range l.mail.close() {
		fn()
	}
	l.settle()
	for l.writers.len() > 0 { // output is finite, and sockets may take less
		l.transfer()
		l.settle()
	}
	for i := range l.slots {
		if c := l.slots[i].conn; c != nil {
			c.Close(ErrClosed)
		}
	}
	for _, t := range l.timers {
		t.index = -1 // their owners may still call Stop
	}
	l.dirty, l.resumed, l.timers = nil, nil, nil
	l.readers, l.writers = turns{}, turns{}
	for p := &l.pool.pages; len(p.idle) > 0; {
		p.unmap(p.bytes)
	}
	l.Close()
}
