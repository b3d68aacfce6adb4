package logging

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// maxMessage is the size that RFC 5426 wants every receiver to take. A
	// longer message is cut.
	maxMessage = 2048
	// redialAfter is the least time between two dials.
	redialAfter = 10 * time.Second
	dialTimeout = 5 * time.Second
	// maxPending is how many messages wait for the first dial.
	maxPending = 64
)

// errClosed is the error of a write after the end.
var errClosed = errors.New("the syslog connection is closed")

// syslogWriter sends datagrams without ever waiting. A target that is a name
// is dialled in the background, since that asks a resolver; the first messages
// are kept meanwhile. After a send that failed it dials again, not more often
// than every redialAfter.
type syslogWriter struct {
	target  string
	dropped *atomic.Uint64

	ctx    context.Context // ends a dial at Close
	cancel context.CancelFunc
	dials  sync.WaitGroup

	mu       sync.Mutex // guards the following
	conn     *net.UDPConn
	raw      syscall.RawConn
	dialing  bool
	lastDial time.Time
	pending  [][]byte // while there is no connection yet but a dial runs
	closed   bool
}

// newSyslogWriter checks the target. An address needs no resolver and is
// dialled here; a name is, in the background, by the first line.
func newSyslogWriter(target string, dropped *atomic.Uint64) (*syslogWriter, error) {
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		return nil, fmt.Errorf("syslog target %q: %w", target, err)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
		return nil, fmt.Errorf("syslog target %q: want host:port", target)
	}
	w := &syslogWriter{target: target, dropped: dropped}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	if _, err := netip.ParseAddr(host); err == nil {
		w.lastDial = time.Now()
		_ = w.dial(w.ctx) // dialled again by the lines that find no connection
	}
	return w, nil
}

// connect dials unless that is done, and waits for it.
func (w *syslogWriter) connect(ctx context.Context) error {
	w.mu.Lock()
	connected := w.conn != nil
	w.lastDial = time.Now()
	w.mu.Unlock()
	if connected {
		return nil
	}
	if err := w.dial(ctx); err != nil {
		return fmt.Errorf("syslog target %q: %w", w.target, err)
	}
	return nil
}

// Write sends one message, or drops and counts it. It always reports success, as
// the logger has nobody to tell, save when the writer is closed: then nothing is
// done or counted.
func (w *syslogWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return 0, errClosed
	}
	if !w.sendLocked(p) {
		w.dropped.Add(1)
	}
	return len(p), nil
}

func (w *syslogWriter) sendLocked(p []byte) bool {
	if w.conn == nil {
		w.redialLocked()
		return w.keepLocked(p)
	}
	err := sendNow(w.raw, p)
	if err == syscall.ECONNREFUSED {
		// This tells of an earlier message that nobody took; p is still to be
		// sent, and that may go well if the server is back.
		w.dropped.Add(1)
		w.redialLocked()
		err = sendNow(w.raw, p)
	}
	if err != nil && err != syscall.EAGAIN {
		w.redialLocked()
	}
	return err == nil
}

// keepLocked holds a message until the dial that runs is done.
func (w *syslogWriter) keepLocked(p []byte) bool {
	if !w.dialing || len(w.pending) == maxPending {
		return false
	}
	w.pending = append(w.pending, bytes.Clone(p))
	return true
}

// releaseLocked sends, or drops, what was kept.
func (w *syslogWriter) releaseLocked() {
	for _, p := range w.pending {
		if w.conn == nil || sendNow(w.raw, p) != nil {
			w.dropped.Add(1)
		}
	}
	w.pending = nil
}

// sendNow writes to a non-blocking socket and, unlike net.Conn, does not wait
// for room.
func sendNow(raw syscall.RawConn, p []byte) error {
	var sent error
	err := raw.Write(func(fd uintptr) bool {
		_, sent = syscall.Write(int(fd), p)
		return true
	})
	if err != nil {
		return err
	}
	return sent
}

func (w *syslogWriter) redialLocked() {
	now := time.Now()
	if w.dialing || now.Sub(w.lastDial) < redialAfter {
		return
	}
	w.dialing, w.lastDial = true, now
	w.dials.Go(func() { _ = w.dial(w.ctx) }) // the next line tries again
}

// dial replaces the connection; on an error the old one stays.
func (w *syslogWriter) dial(ctx context.Context) error {
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, "udp", w.target)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dialing = false
	defer w.releaseLocked()
	if err != nil {
		return err
	}
	udp := conn.(*net.UDPConn)
	raw, err := udp.SyscallConn()
	if err != nil || w.closed {
		udp.Close()
		return err
	}
	if w.conn != nil {
		w.conn.Close()
	}
	w.conn, w.raw = udp, raw
	return nil
}

func (w *syslogWriter) Close() error {
	w.cancel()
	w.mu.Lock()
	var err error
	if w.conn != nil && !w.closed {
		err = w.conn.Close()
	}
	w.closed = true
	w.mu.Unlock()
	w.dials.Wait()
	return err
}
