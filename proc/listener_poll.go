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
// wait; with a pause above zero none can be accepted now, and the next Take should not
// come before that time has passed.
//
// One goroutine calls Take. It goes past Go's scheduler, as it never waits. Pause is not for
// it: who polls stops by himself.
func (l *Listener) Take() (fd int, pause time.Duration) {
	for range takeTries {
		r, _, e := syscall.RawSyscall6(syscall.SYS_ACCEPT4, uintptr(l.fd), 0, 0, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0, 0)
		switch e {
		case 0:
			l.backoff = 0
			if l.admit(int(r)) {
				return int(r), 0
			}
		case syscall.EAGAIN:
			return -1, 0
		case syscall.ECONNABORTED, syscall.EINTR:
		default:
			return -1, l.cannotAccept(l.raw, e)
		}
	}
	return -1, 0
}

// Retire ends the accepting that Open began, once the last Take is over.
func (l *Listener) Retire() {
	l.Close()
	l.dropReserve()
}
