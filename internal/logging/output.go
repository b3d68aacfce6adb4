package logging

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
)

// output is where the lines go.
type output struct {
	handler slog.Handler
	syslog  *syslogWriter // nil for Stdout
}

func (l *Logger) newOutput(o Options) (*output, error) {
	switch o.Output {
	case Stdout:
		w := o.Writer
		if w == nil {
			w = os.Stdout // house: this is the logger that everyone else uses
		}
		return &output{handler: slog.NewTextHandler(w, &slog.HandlerOptions{Level: &l.level})}, nil
	case Syslog:
		w, err := newSyslogWriter(o.Target, &l.dropped)
		if err != nil {
			return nil, err
		}
		return &output{handler: newSyslogHandler(w, &l.level, o.App), syslog: w}, nil
	}
	return nil, fmt.Errorf("log output %d is unknown", o.Output)
}

func (o *output) close() error {
	if o.syslog == nil {
		return nil
	}
	return o.syslog.Close()
}

// Prepared is an output that is ready to take the place of the one in force. One of
// its methods is to be called, once.
type Prepared struct {
	logger *Logger
	out    *output
}

// Prepare makes an output without using it; the level of the options does not
// matter. Here, other than with [New], it is an error when a syslog target cannot be
// dialled, its name not resolved: there is another output that works. It waits for a
// resolver for 5 s at most, and until ctx ends.
func (l *Logger) Prepare(ctx context.Context, o Options) (*Prepared, error) {
	out, err := l.newOutput(o)
	if err != nil {
		return nil, err
	}
	if out.syslog != nil {
		if err := out.syslog.connect(ctx); err != nil {
			_ = out.close()
			return nil, err
		}
	}
	return &Prepared{l, out}, nil
}

// Use makes it the output of the logger, and of all that were derived from it. The
// one before is closed.
func (p *Prepared) Use() { _ = p.logger.out.Swap(p.out).close() }

// Discard closes it.
func (p *Prepared) Discard() { _ = p.out.close() }

// handler hands each line to the output in force. The handlers of slog are derived
// from one another once, and have one output for ever; so this one notes how it was
// derived, and does it again when the output is another one.
type handler struct {
	logger *Logger
	derive []func(slog.Handler) slog.Handler // from the handler of an output, in order
	latest atomic.Pointer[derived]
}

// derived is the handler of an output, after all the steps.
type derived struct {
	from *output
	slog.Handler
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.logger.level.Level()
}

// Handle implements slog.Handler. A line that finds its output closed goes to the one
// that has taken its place.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	for {
		out := h.logger.out.Load()
		err := h.of(out).Handle(ctx, r)
		if !errors.Is(err, errClosed) {
			return err
		}
		if out == h.logger.out.Load() {
			h.logger.dropped.Add(1)
			return err
		}
	}
}

func (h *handler) of(out *output) slog.Handler {
	if d := h.latest.Load(); d != nil && d.from == out {
		return d.Handler
	}
	d := &derived{out, out.handler}
	for _, step := range h.derive {
		d.Handler = step(d.Handler)
	}
	h.latest.Store(d)
	return d.Handler
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with(func(to slog.Handler) slog.Handler { return to.WithAttrs(attrs) })
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	return h.with(func(to slog.Handler) slog.Handler { return to.WithGroup(name) })
}

func (h *handler) with(step func(slog.Handler) slog.Handler) *handler {
	n := len(h.derive)
	return &handler{logger: h.logger, derive: append(h.derive[:n:n], step)}
}
