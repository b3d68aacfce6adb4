package tcp

import (
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"samaritan/internal/eventloop"
)

// restAfter is how long a loop whose sockets have no events stays on its thread, in
// milliseconds. Then it leaves the thread and its buffer to others, so that a thousand
// services that have nothing to do cost next to nothing, also while they start.
const restAfter = 50

// buffers are those of loops that rest.
var buffers = sync.Pool{New: func() any { return new([copySize]byte) }}

// newPoller makes an epoll instance. It does not block, so that the runtime can wait for
// it; see [loop.pollable].
func newPoller() (epfd int, err error) {
	epfd, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return -1, err
	}
	if err := syscall.SetNonblock(epfd, true); err != nil {
		sysClose(epfd)
		return -1, err
	}
	return epfd, nil
}

// pollable is the epoll instance as something that the runtime waits for. It is made for
// each rest: while the runtime watches it, each event wakes one of its threads besides the
// loop's, which was measured as 40% more CPU per short connection.
func (l *loop) pollable() (*os.File, error) {
	fd, _, e := syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(l.epfd), syscall.F_DUPFD_CLOEXEC, 0)
	if e != 0 {
		return nil, e
	}
	return os.NewFile(fd, "epoll"), nil
}

// block waits for events, on the thread at first and then without one, until a timeout in
// milliseconds; -1 is none.
func (l *loop) block(timeout int) (int, syscall.Errno) {
	if 0 <= timeout && timeout <= restAfter {
		return epollBlock(l.epfd, l.events, timeout)
	}
	begin := eventloop.Nanotime()
	if begin-l.worked < int64(restAfter*time.Millisecond) {
		if n, e := epollBlock(l.epfd, l.events, restAfter); n != 0 || e != 0 {
			return n, e
		}
	}
	var deadline time.Time // none
	if timeout > 0 {
		passed := time.Duration(eventloop.Nanotime() - begin)
		deadline = time.Now().Add(time.Duration(timeout)*time.Millisecond - passed)
	}
	return l.rest(deadline)
}

// rest waits without a thread. What keeps the runtime from waiting for the epoll instance, as
// no descriptor or no more watches for this user, is no failure of the loop: it returns
// without events, and the next turn waits on the thread for another while.
func (l *loop) rest(deadline time.Time) (n int, e syscall.Errno) {
	poller, err := l.pollable()
	if err == nil {
		l.idle()
		n, e, err = l.park(poller, deadline)
		l.resume()
	}
	if err != nil {
		l.worked = eventloop.Nanotime()
	}
	return n, e
}

// awaitWork is the rest that a loop begins with: it has no thread yet. Events are left to
// be found by the first turn.
func (l *loop) awaitWork() {
	if poller, err := l.pollable(); err == nil {
		_, _, _ = l.park(poller, time.Time{})
	}
}

// park waits as any goroutine does, and closes poller. The epoll instance is itself a
// descriptor that becomes readable when there are events.
func (l *loop) park(poller *os.File, deadline time.Time) (n int, e syscall.Errno, err error) {
	defer poller.Close()
	raw, err := poller.SyscallConn()
	if err == nil {
		err = poller.SetReadDeadline(deadline)
	}
	if err != nil {
		return 0, 0, err
	}
	_ = raw.Read(func(uintptr) bool { // or it was the deadline
		n, e = epollPoll(l.epfd, l.events)
		return n != 0 || e != 0
	})
	return n, e, nil
}

// idle gives back what only a loop with something to do needs.
func (l *loop) idle() {
	buffers.Put(l.buf)
	l.buf = nil
	l.usage.thread.Store(0)
	runtime.UnlockOSThread()
}

// resume takes it again.
func (l *loop) resume() {
	runtime.LockOSThread()
	l.buf = buffers.Get().(*[copySize]byte)
	l.usage.begin(eventloop.Nanotime())
}
