package logging

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// maxKeys bounds the messages a Throttle tells apart; those after share one
// key.
const maxKeys = 256

// Throttle logs at most a number of lines per interval and message. A message
// is the key, so it must be a constant: what varies belongs in the attributes.
// What was dropped is said in one line, at the end of the interval.
//
// It is safe for use from several goroutines. It runs a timer only while
// there is something to sum up, and needs no Close; a program about to end
// calls Flush.
type Throttle struct {
	log   *slog.Logger
	limit int
	every time.Duration

	suppressed atomic.Uint64

	mu   sync.Mutex // guards the following; never held while logging
	keys map[string]*throttleKey
}

// throttleKey is one message in its current interval.
type throttleKey struct {
	level   slog.Level
	start   time.Time
	passed  int
	dropped uint64
	timer   *time.Timer // not nil while dropped > 0
}

// NewThrottle lets limit (at least 1) lines of each message through to log
// per interval.
func NewThrottle(log *slog.Logger, limit int, every time.Duration) *Throttle {
	return &Throttle{log: log, limit: max(1, limit), every: every, keys: make(map[string]*throttleKey)}
}

// Debug logs as slog.Logger.Debug does.
func (t *Throttle) Debug(msg string, args ...any) { t.logArgs(slog.LevelDebug, msg, args) }

// Info logs as slog.Logger.Info does.
func (t *Throttle) Info(msg string, args ...any) { t.logArgs(slog.LevelInfo, msg, args) }

// Warn logs as slog.Logger.Warn does.
func (t *Throttle) Warn(msg string, args ...any) { t.logArgs(slog.LevelWarn, msg, args) }

// Error logs as slog.Logger.Error does.
func (t *Throttle) Error(msg string, args ...any) { t.logArgs(slog.LevelError, msg, args) }

// LogAttrs logs as slog.Logger.LogAttrs does. A line that is dropped costs no
// allocation, which the others cannot promise for their arguments.
func (t *Throttle) LogAttrs(level slog.Level, msg string, attrs ...slog.Attr) {
	if !t.allow(level, msg) {
		return
	}
	// A copy, so that the caller's slice can stay on its stack.
	t.log.LogAttrs(context.Background(), level, msg, append([]slog.Attr(nil), attrs...)...)
}

// Suppressed is how many lines were dropped so far.
func (t *Throttle) Suppressed() uint64 { return t.suppressed.Load() }

// Flush logs the summaries that are due at the end of the interval now.
func (t *Throttle) Flush() {
	t.mu.Lock()
	msgs := make([]string, 0, len(t.keys))
	for msg := range t.keys {
		msgs = append(msgs, msg)
	}
	t.mu.Unlock()
	for _, msg := range msgs {
		t.sumUp(msg)
	}
}

func (t *Throttle) logArgs(level slog.Level, msg string, args []any) {
	if t.allow(level, msg) {
		t.log.Log(context.Background(), level, msg, append([]any(nil), args...)...)
	}
}

// allow counts a line and says whether it may be logged.
func (t *Throttle) allow(level slog.Level, msg string) bool {
	if !t.log.Enabled(context.Background(), level) {
		return false
	}
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	k, key := t.keyLocked(msg)
	if now.Sub(k.start) >= t.every && k.timer == nil {
		k.start, k.passed = now, 0
	}
	if k.passed < t.limit {
		k.passed++
		return true
	}
	t.suppressed.Add(1)
	k.dropped++
	k.level = max(k.level, level)
	if k.timer == nil {
		k.level = level
		k.timer = time.AfterFunc(t.every-now.Sub(k.start), func() { t.sumUp(key) })
	}
	return false
}

// keyLocked finds or makes the key of msg.
func (t *Throttle) keyLocked(msg string) (*throttleKey, string) {
	k := t.keys[msg]
	if k == nil && len(t.keys) >= maxKeys {
		msg = "other messages"
		k = t.keys[msg]
	}
	if k == nil {
		k = &throttleKey{}
		t.keys[msg] = k
	}
	return k, msg
}

// sumUp ends the interval of msg and says what it dropped, if anything.
func (t *Throttle) sumUp(msg string) {
	t.mu.Lock()
	k := t.keys[msg]
	dropped, level := k.dropped, k.level
	if k.timer != nil {
		k.timer.Stop()
		k.timer = nil
	}
	k.dropped, k.passed, k.start = 0, 0, time.Now()
	t.mu.Unlock()
	if dropped > 0 {
		t.log.Log(context.Background(), level, "suppressed similar lines", "count", dropped, "message", msg)
	}
}
