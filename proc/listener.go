package proc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	keepAliveIdle     = 15 * time.Second
	keepAliveInterval = 15 * time.Second
	acceptBackoffMin  = 5 * time.Millisecond
	acceptBackoffMax  = time.Second
)

// Listener accepts connections as plain non-blocking sockets, holds them to a
// limit, and backs off when the process runs out of descriptors.
//
// Run accepts on one goroutine. Who polls sockets by himself uses Open and Take in its
// place. SetLimit, SetElsewhere, Release, Adopt, Pause, Resume and the counters may be
// used from any goroutine.
type Listener struct {
	// immutable
	ln      net.Listener
	refusal []byte // sent to a client that is turned away
	log     *slog.Logger

	// owned by who accepts
	fd      int             // of file, after Open
	raw     syscall.RawConn // of file, after Open
	backoff time.Duration   // after a failure to accept

	// atomic
	limit      atomic.Int64
	active     atomic.Int64
	elsewhere  atomic.Int64 // clients that other processes have, and that count towards the limit
	restricted atomic.Uint64

	gate      gate
	closeOnce sync.Once
	closed    atomic.Bool
	done      chan struct{}           // closed by Close
	file      atomic.Pointer[os.File] // a duplicate of ln's descriptor, while Run accepts
	reserve   int                     // a descriptor kept back to turn clients away with when there are no more, -1: none
}

// NewListener wraps a bound listener (TCP or unix). Clients over the limit are sent
// refusal, in the words of their protocol, and closed; nothing is sent when it is empty.
func NewListener(ln net.Listener, limit int, refusal string, log *slog.Logger) *Listener {
	l := &Listener{ln: ln, refusal: []byte(refusal), log: log, reserve: openReserve(), done: make(chan struct{})}
	l.SetLimit(limit)
	return l
}

// SetLimit changes how many connections may be open at once; 0 means no limit.
// Connections that are open already stay.
func (l *Listener) SetLimit(n int) { l.limit.Store(int64(n)) }

// Active is the number of connections accepted and not yet released.
func (l *Listener) Active() int { return int(l.active.Load()) }

// SetElsewhere says how many clients other processes have that have handed over to this
// one. For newcomers they count towards the limit as if they were here.
func (l *Listener) SetElsewhere(n int) { l.elsewhere.Store(int64(n)) }

// Elsewhere is what SetElsewhere has set, less those that have been adopted since.
func (l *Listener) Elsewhere() int { return int(l.elsewhere.Load()) }

// Restricted counts the clients that were turned away.
func (l *Listener) Restricted() uint64 { return l.restricted.Load() }

// Addr is the bound address.
func (l *Listener) Addr() net.Addr { return l.ln.Addr() }

// Release says that one accepted connection has ended.
func (l *Listener) Release() { l.active.Add(-1) }

// Close unbinds the address; Run returns. Closing twice does nothing.
func (l *Listener) Close() {
	l.closeOnce.Do(func() {
		l.closed.Store(true) // before the descriptors go: it is what Run looks at
		close(l.done)
		_ = l.ln.Close()
		l.closeFile()
	})
}

func (l *Listener) closeFile() {
	if f := l.file.Load(); f != nil {
		_ = f.Close()
	}
}

// socket makes the listening socket usable for accepting raw: package net lets nobody
// wait on a listener's own descriptor, so this waits on a second one.
func (l *Listener) socket() (syscall.RawConn, error) {
	filer, ok := l.ln.(interface{ File() (*os.File, error) })
	if !ok {
		return nil, fmt.Errorf("%T has no descriptor", l.ln)
	}
	f, err := filer.File()
	if err != nil {
		return nil, err
	}
	l.file.Store(f)
	return f.SyscallConn()
}

// Run accepts until ctx ends or the listener is closed, and then returns nil. Each
// socket is handed to serve, which owns it and arranges for one Release.
func (l *Listener) Run(ctx context.Context, serve func(fd int)) error {
	defer l.dropReserve()
	raw, err := l.socket()
	if l.closed.Load() {
		l.closeFile() // Close may have been too early to see it
		return nil
	}
	if err != nil {
		return fmt.Errorf("listener %s: %w", l.ln.Addr(), err)
	}
	defer context.AfterFunc(ctx, l.Close)()
	defer l.Close()
	for {
		err := l.accept(raw, serve)
		switch {
		case l.closed.Load():
			return nil
		case err == nil, errors.Is(err, syscall.ECONNABORTED), errors.Is(err, syscall.EINTR):
		case errors.Is(err, errPaused):
			l.awaitResume()
		default:
			if !wait(ctx, l.cannotAccept(raw, err)) {
				return nil
			}
		}
	}
}

// cannotAccept says how long to wait before the next try.
func (l *Listener) cannotAccept(raw syscall.RawConn, err error) time.Duration {
	l.backoff = min(max(2*l.backoff, acceptBackoffMin), acceptBackoffMax)
	l.log.Error("cannot accept a client, trying again", "error", err, "in", l.backoff)
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		l.refuseOne(raw)
	}
	return l.backoff
}

// admit counts the connection in, or turns it away.
func (l *Listener) admit(fd int) bool {
	n := l.active.Add(1)
	if limit := l.limit.Load(); limit > 0 && n+l.elsewhere.Load() > limit {
		l.active.Add(-1)
		l.turnAway(fd)
		return false
	}
	return true
}

func (l *Listener) turnAway(fd int) {
	l.restricted.Add(1)
	if len(l.refusal) > 0 {
		_, _ = syscall.Write(fd, l.refusal)
	}
	_ = syscall.Close(fd)
}

// refuseOne uses the reserve descriptor to tell one waiting client that there is no
// room, rather than to let it wait in the backlog for nothing.
func (l *Listener) refuseOne(raw syscall.RawConn) {
	if l.reserve < 0 {
		return
	}
	l.dropReserve()
	l.gate.Lock()
	defer l.gate.Unlock()
	_ = raw.Control(func(s uintptr) {
		if l.gate.paused {
			return
		}
		if fd, _, err := syscall.Accept4(int(s), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC); err == nil {
			l.turnAway(fd)
		}
	})
	l.reserve = openReserve()
}

func (l *Listener) dropReserve() {
	if l.reserve >= 0 {
		_ = syscall.Close(l.reserve)
		l.reserve = -1
	}
}

func openReserve() int {
	fd, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
}

// accept waits for a client in the runtime's poller but takes the socket raw, so that it
// never gets into that poller itself.
func (l *Listener) accept(raw syscall.RawConn, serve func(fd int)) (err error) {
	cerr := raw.Read(func(s uintptr) bool {
		err = l.acceptNow(int(s), serve)
		return !errors.Is(err, syscall.EAGAIN)
	})
	if cerr != nil {
		return cerr
	}
	return err
}

// acceptNow takes one client, if there is one and accepting is not paused.
func (l *Listener) acceptNow(socket int, serve func(fd int)) error {
	l.gate.Lock()
	defer l.gate.Unlock()
	if l.gate.paused {
		return errPaused
	}
	fd, _, err := syscall.Accept4(socket, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
	switch {
	case err != nil:
		return err
	case l.closed.Load():
		_ = syscall.Close(fd)
		return nil
	}
	l.backoff = 0
	if l.admit(fd) {
		setSocketOptions(fd)
		serve(fd)
	}
	return nil
}

// setSocketOptions turns Nagle's algorithm off and TCP keepalive on; on a unix
// socket both fail, which does not matter.
func setSocketOptions(fd int) {
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1)
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, int(keepAliveIdle/time.Second))
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, int(keepAliveInterval/time.Second))
}

func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
