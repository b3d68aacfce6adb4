package proc

import (
	"fmt"
	"syscall"
	"time"
)

// Open makes the listener ready for Take and returns the descriptor to watch: it can be
// read from while clients wait. The descriptor is good until Close, which must come
// after the last Take. Accepted sockets inherit what Open sets: Nagle's algorithm is
// off, and urgent data stays at its place in the stream. Keepalive is not set: whoever uses
// this has an idle timeout.
func (l *Listener) Open() (fd int, err error) {
	raw, err := l.socket()
	if err != nil {
		return -1, fmt.Errorf("listener %s: %w", l.ln.Addr(), err)
	}
	err = raw.Control(func(s uintptr) {
		l.fd = int(s)
		_ = syscall.SetsockoptInt(l.fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1) // fails on a unix socket
		_ = syscall.SetsockoptInt(l.fd, syscall.SOL_SOCKET, syscall.SO_OOBINLINE, 1)
	})
	if err != nil {
		return -1, fmt.Errorf("listener %s: %w", l.ln.Addr(), err)
	}
	l.raw = raw
	return l.fd, nil
}

// takeTries is how many clients one Take turns away at most: a flood of them must not
// keep its caller from other work.
const takeTries = 16

// Take accepts the next client without waiting, under the same limits as Run. The
// caller owns the socket, which does not block, and arranges for one Release. A
// negative fd means that there is no client, or that some were turned away and more may
// wait; with a pause above zero none can be accepted now, as there are no descriptors or
// the listener is paused, and the next Take should not come before that time has passed.
//
// One goroutine calls Take. It goes past Go's scheduler, as it never waits.
func (l *Listener) Take() (fd int, pause time.Duration) {
	for range takeTries {
		fd, e := l.takeNow()
		switch {
		case e == 0 && fd >= 0:
			return fd, 0
		case e == 0, e == syscall.ECONNABORTED, e == syscall.EINTR:
		case e == syscall.EAGAIN:
			return -1, 0
		case e == syscall.EBUSY:
			return -1, pausedTake
		default:
			return -1, l.cannotAccept(l.raw, e)
		}
	}
	return -1, 0
}

// takeNow accepts one client, -1 when that was turned away. EBUSY, which accept4 does not
// know, says that accepting is paused.
func (l *Listener) takeNow() (fd int, e syscall.Errno) {
	l.gate.Lock()
	defer l.gate.Unlock()
	if l.gate.paused {
		return -1, syscall.EBUSY
	}
	r, _, e := syscall.RawSyscall6(syscall.SYS_ACCEPT4, uintptr(l.fd), 0, 0, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0, 0)
	if e != 0 {
		return -1, e
	}
	l.backoff = 0
	if !l.admit(int(r)) {
		return -1, 0
	}
	return int(r), 0
}

// Retire ends the accepting that Open began, once the last Take is over.
func (l *Listener) Retire() {
	l.Close()
	l.dropReserve()
}
