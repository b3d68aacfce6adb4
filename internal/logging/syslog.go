package logging

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unicode/utf8"
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

	facilityDaemon = 3 // RFC 5424, table 1
	timeFormat     = "2006-01-02T15:04:05.000000Z07:00"
)

// syslogWriter sends datagrams without ever waiting. A target that is a name
// is dialled in the background, since that asks a resolver; the first messages
// are kept meanwhile. After a send that failed it dials again, not more often
// than every redialAfter.
type syslogWriter struct {
	target  string
	dropped atomic.Uint64

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
func newSyslogWriter(target string) (*syslogWriter, error) {
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		return nil, fmt.Errorf("syslog target %q: %w", target, err)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
		return nil, fmt.Errorf("syslog target %q: want host:port", target)
	}
	w := &syslogWriter{target: target}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	if _, err := netip.ParseAddr(host); err == nil {
		w.lastDial = time.Now()
		w.dial()
	}
	return w, nil
}

// Write sends one message, or drops and counts it. It always reports success:
// the logger has nobody to tell.
func (w *syslogWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.sendLocked(p) {
		w.dropped.Add(1)
	}
	return len(p), nil
}

func (w *syslogWriter) sendLocked(p []byte) bool {
	if w.closed {
		return false
	}
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
	w.dials.Go(w.dial)
}

// dial replaces the connection; on an error the old one stays.
func (w *syslogWriter) dial() {
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(w.ctx, "udp", w.target)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dialing = false
	defer w.releaseLocked()
	if err != nil {
		return
	}
	udp := conn.(*net.UDPConn)
	raw, err := udp.SyscallConn()
	if err != nil || w.closed {
		udp.Close()
		return
	}
	if w.conn != nil {
		w.conn.Close()
	}
	w.conn, w.raw = udp, raw
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

// syslogHandler puts an RFC 5424 header in front of slog's text form.
//
//	<PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID - - level=INFO msg=... key=value
type syslogHandler struct {
	core *syslogCore
	text slog.Handler // writes into core.buf
}

// syslogCore is what a handler shares with those derived from it.
type syslogCore struct {
	out  *syslogWriter
	tail string // the part of the header after the timestamp

	mu  sync.Mutex // guards the following, and makes a message one piece
	buf bytes.Buffer
}

func newSyslogHandler(out *syslogWriter, level slog.Leveler, app string) *syslogHandler {
	if app == "" {
		app = "samaritan"
	}
	host, _ := os.Hostname()
	core := &syslogCore{
		out:  out,
		tail: " " + headerField(host, 255) + " " + headerField(app, 48) + " " + strconv.Itoa(os.Getpid()) + " - - ",
	}
	return &syslogHandler{core: core, text: slog.NewTextHandler(&core.buf, &slog.HandlerOptions{Level: level})}
}

// Enabled implements slog.Handler.
func (h *syslogHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.text.Enabled(ctx, level)
}

// Handle implements slog.Handler. It does not wait and has no error.
func (h *syslogHandler) Handle(ctx context.Context, r slog.Record) error {
	c := h.core
	c.mu.Lock()
	defer c.mu.Unlock()
	c.buf.Reset()
	c.header(&r)
	r.Time = time.Time{} // the header has it
	_ = h.text.Handle(ctx, r)
	_, _ = c.out.Write(cut(bytes.TrimRight(c.buf.Bytes(), "\n"), maxMessage))
	return nil
}

// WithAttrs implements slog.Handler.
func (h *syslogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &syslogHandler{core: h.core, text: h.text.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h *syslogHandler) WithGroup(name string) slog.Handler {
	return &syslogHandler{core: h.core, text: h.text.WithGroup(name)}
}

func (c *syslogCore) header(r *slog.Record) {
	b := c.buf.AvailableBuffer()
	b = append(b, '<')
	b = strconv.AppendInt(b, facilityDaemon<<3|severity(r.Level), 10)
	b = append(b, ">1 "...)
	if r.Time.IsZero() {
		b = append(b, '-')
	} else {
		b = r.Time.UTC().AppendFormat(b, timeFormat)
	}
	b = append(b, c.tail...)
	c.buf.Write(b)
}

// severity is that of RFC 5424, table 2.
func severity(l slog.Level) int64 {
	switch {
	case l >= slog.LevelError:
		return 3
	case l >= slog.LevelWarn:
		return 4
	case l >= slog.LevelInfo:
		return 6
	}
	return 7
}

// headerField keeps s to printable ASCII without blanks and to size bytes; an
// empty field is "-".
func headerField(s string, size int) string {
	b := make([]byte, 0, size)
	for i := 0; i < len(s) && len(b) < size; i++ {
		if s[i] > ' ' && s[i] < 0x7f {
			b = append(b, s[i])
		}
	}
	if len(b) == 0 {
		return "-"
	}
	return string(b)
}

// cut shortens p to size bytes without splitting a character.
func cut(p []byte, size int) []byte {
	if len(p) <= size {
		return p
	}
	for size > 0 && !utf8.RuneStart(p[size]) {
		size--
	}
	return p[:size]
}
