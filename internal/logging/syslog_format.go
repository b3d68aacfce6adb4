package logging

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	facilityDaemon = 3 // RFC 5424, table 1
	timeFormat     = "2006-01-02T15:04:05.000000Z07:00"
)

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

// Handle implements slog.Handler. It does not wait; its one error is errClosed.
func (h *syslogHandler) Handle(ctx context.Context, r slog.Record) error {
	c := h.core
	c.mu.Lock()
	defer c.mu.Unlock()
	c.buf.Reset()
	c.header(&r)
	r.Time = time.Time{} // the header has it
	_ = h.text.Handle(ctx, r)
	_, err := c.out.Write(cut(bytes.TrimRight(c.buf.Bytes(), "\n"), maxMessage))
	return err
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
