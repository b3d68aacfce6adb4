package logging

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// lines is a writer that timers and tests share.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := strings.TrimSpace(l.buf.String())
	l.buf.Reset()
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}

// throttled logs into the returned lines, without times.
func throttled(limit int) (*Throttle, *lines) {
	out := new(lines)
	noTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	log := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelInfo, ReplaceAttr: noTime}))
	return NewThrottle(log, limit, time.Second), out
}

// advance moves the clock of the test's bubble and lets the timers finish.
func advance(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestThrottleLimitsEachMessageAndSumsUpAtTheEndOfTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th, out := throttled(2)
		for i := range 100 {
			th.Warn("node failed", "i", i)
		}
		th.Error("other")
		assert.Equal(t, []string{
			`level=WARN msg="node failed" i=0`,
			`level=WARN msg="node failed" i=1`,
			`level=ERROR msg=other`,
		}, out.take())

		advance(time.Second)
		assert.Equal(t, []string{
			`level=WARN msg="suppressed similar lines" count=98 message="node failed"`,
		}, out.take())
		assert.EqualValues(t, 98, th.Suppressed())

		th.Warn("node failed", "i", 100)
		assert.Equal(t, []string{`level=WARN msg="node failed" i=100`}, out.take())
		advance(time.Hour)
		assert.Empty(t, out.take(), "silence when nothing was dropped")
	})
}

func TestThrottleIntervalsStartWithALine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th, out := throttled(1)
		for range 5 {
			th.Info("a")
			advance(1100 * time.Millisecond)
		}
		assert.Len(t, out.take(), 5)
		assert.Zero(t, th.Suppressed())
	})
}

func TestFlushSumsUpAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th, out := throttled(1)
		th.Info("a")
		th.Info("a")
		th.Error("a")
		out.take()
		th.Flush()
		assert.Equal(t, []string{`level=ERROR msg="suppressed similar lines" count=2 message=a`}, out.take())
		th.Flush()
		advance(time.Minute)
		assert.Empty(t, out.take())
	})
}

func TestThrottleIgnoresLinesBelowTheLevel(t *testing.T) {
	th, out := throttled(1)
	for range 10 {
		th.Debug("a")
		th.LogAttrs(slog.LevelDebug, "a", slog.Int("n", 1))
	}
	assert.Empty(t, out.take())
	assert.Zero(t, th.Suppressed())
}

func TestThrottleBoundsTheNumberOfMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th, out := throttled(1)
		for i := range 10 * maxKeys {
			th.Info(fmt.Sprint("not a constant ", i))
		}
		assert.Len(t, out.take(), maxKeys+1)
		assert.Len(t, th.keys, maxKeys+1)
		advance(time.Second)
		assert.Equal(t, []string{
			fmt.Sprintf(`level=INFO msg="suppressed similar lines" count=%d message="other messages"`, 9*maxKeys-1),
		}, out.take())
	})
}

func TestThrottleLosesNoLineUnderConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th, out := throttled(3)
		for range 8 {
			go func() {
				for range 1000 {
					th.LogAttrs(slog.LevelWarn, "a", slog.String("node", "n"))
				}
			}()
		}
		synctest.Wait()
		assert.Len(t, out.take(), 3)
		assert.EqualValues(t, 8000-3, th.Suppressed())
		th.Flush()
		assert.Contains(t, out.take()[0], "count=7997")
	})
}

func TestADroppedLineDoesNotAllocate(t *testing.T) {
	th := NewThrottle(slog.New(slog.NewTextHandler(io.Discard, nil)), 1, time.Hour)
	node := strings.Repeat("n", 10)
	n := 0
	drop := func() {
		n++
		th.LogAttrs(slog.LevelWarn, "a", slog.String("node", node), slog.Int("n", n))
	}
	drop()
	drop()
	assert.Zero(t, testing.AllocsPerRun(1000, drop))
	th.Flush()
}

func BenchmarkThrottleDropping(b *testing.B) {
	th := NewThrottle(slog.New(slog.NewTextHandler(io.Discard, nil)), 1, time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		th.LogAttrs(slog.LevelWarn, "a", slog.Int("n", 1))
	}
	th.Flush()
}
