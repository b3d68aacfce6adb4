package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"samaritan/admin"
	"samaritan/internal/stats"
)

// Who asks for a reload.
const (
	bySignal = "SIGUSR1"
	byAdmin  = "admin"
	byWatch  = "the file has changed"
)

// maxNames is how many names one attribute of a log line has.
const maxNames = 20

var errEnding = fmt.Errorf("the process ends, the config is not reloaded: %w", admin.ErrUnavailable)

// reloader takes the config file anew when it is asked to: one time after the other,
// on its own goroutine. Whoever asks during a reload may have changed the file after it
// was read, so one more follows; it is one for all who ask meanwhile.
type reloader struct {
	// immutable
	log  *slog.Logger
	take func(context.Context) (admin.Reloaded, error)
	tell func(reloading bool) // systemd
	wake chan struct{}

	mu      sync.Mutex // guards the following
	next    *round     // asked for, not begun; nil: none
	ended   bool
	success uint64
	failure uint64
	trouble string    // why the last one failed; empty: it did not
	good    time.Time // when the file was taken last, at the start or later
}

// round is one reload. The fields are set when done is closed.
type round struct {
	cause string // who asked first
	done  chan struct{}
	got   admin.Reloaded
	err   error
}

// newReloader begins with the success that the start was.
func newReloader(log *slog.Logger, take func(context.Context) (admin.Reloaded, error), tell func(bool)) *reloader {
	return &reloader{log: log, take: take, tell: tell, wake: make(chan struct{}, 1), good: time.Now()}
}

// request asks for a reload and does not wait for it.
func (r *reloader) request(cause string) *round {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		over := &round{cause: cause, done: make(chan struct{}), err: errEnding}
		close(over.done)
		return over
	}
	if r.next == nil {
		r.next = &round{cause: cause, done: make(chan struct{})}
		r.wake <- struct{}{} // has room: it was taken out together with the last round
	}
	return r.next
}

// reload asks for one and waits for its end, or for that of ctx.
func (r *reloader) reload(ctx context.Context) (admin.Reloaded, error) {
	asked := r.request(byAdmin)
	select {
	case <-asked.done:
		return asked.got, asked.err
	case <-ctx.Done():
		return admin.Reloaded{}, ctx.Err()
	}
}

// run reloads as it is asked to, until ctx ends. What is asked for after that is
// refused.
func (r *reloader) run(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-r.wake:
			r.one(ctx)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	if r.next != nil {
		r.next.err = errEnding
		close(r.next.done)
		r.next = nil
	}
}

// one is a reload.
func (r *reloader) one(ctx context.Context) {
	r.mu.Lock()
	current := r.next
	r.next = nil
	r.mu.Unlock()
	r.tell(true)
	current.got, current.err = r.take(ctx)
	if current.err != nil && ctx.Err() != nil {
		current.err = errEnding
	}
	r.note(current.err)
	r.say(current)
	r.tell(false)
	close(current.done)
}

// note keeps the outcome.
func (r *reloader) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.failure++
		r.trouble = err.Error()
		return
	}
	r.success++
	r.trouble, r.good = "", time.Now()
}

// say logs the outcome.
func (r *reloader) say(done *round) {
	log := r.log.With("cause", done.cause)
	var refused *admin.Refused
	switch {
	case errors.Is(done.err, errEnding):
		log.Info("config not reloaded: the process ends")
	case done.err != nil:
		log.Error("config not reloaded, all stays as it is", "error", done.err)
		if errors.As(done.err, &refused) {
			for _, p := range refused.Problems {
				r.log.Error("config problem", "problem", p)
			}
		}
	case unchanged(&done.got):
		log.Info("config unchanged")
	default:
		log.Info("config reloaded", attributes(&done.got)...)
	}
}

func unchanged(c *admin.Reloaded) bool {
	return len(c.Added)+len(c.Removed)+len(c.Changed)+len(c.Endpoints)+len(c.Settings) == 0
}

// attributes are what changed, for a log line.
func attributes(c *admin.Reloaded) []any {
	list := []any{"added", few(c.Added), "removed", few(c.Removed), "changed", few(c.Changed), "endpoints", few(c.Endpoints)}
	if len(c.Settings) > 0 {
		list = append(list, "settings", c.Settings)
	}
	return list
}

// few are the first names, and how many more there are.
func few(names []string) []string {
	if len(names) <= maxNames {
		return names
	}
	return append(names[:maxNames:maxNames], fmt.Sprintf("and %d more", len(names)-maxNames))
}

// lastTrouble is why the file is not in force as it is, empty when it is.
func (r *reloader) lastTrouble() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trouble
}

// Stats implements stats.Source.
func (r *reloader) Stats(emit func(stats.Sample)) {
	r.mu.Lock()
	success, failure, good, trouble := r.success, r.failure, r.good, r.trouble
	r.mu.Unlock()
	last := 1.0
	if trouble != "" {
		last = 0
	}
	for _, s := range []stats.Sample{
		{Name: "reload_total", Value: float64(success + failure), Help: "Reloads of the config file."},
		{Name: "reload_success_total", Value: float64(success), Help: "Reloads after which the file was in force, also those without a change."},
		{Name: "reload_failure_total", Value: float64(failure), Help: "Reloads that changed nothing, because of a problem."},
		{Name: "last_reload_success", Kind: stats.Gauge, Value: last, Help: "0 while the last reload failed, else 1."},
		{Name: "last_success_timestamp_sec", Kind: stats.Gauge, Value: float64(good.Unix()), Help: "When the file was taken last, at the start or later, in seconds since 1970."},
	} {
		s.Name = "config." + s.Name
		emit(s)
	}
}
