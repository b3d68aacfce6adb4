package filewatch

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	defaultQuiet = 100 * time.Millisecond
	defaultMost  = time.Second
	defaultPoll  = 10 * time.Second
	defaultRetry = time.Second
)

// Options say what is watched. Path and Changed are required.
type Options struct {
	Path string
	// Known is the content that the caller has already. Another one that is found
	// when Run begins is a change.
	Known Sum
	// Changed is called on the goroutine of Run, and should not take long.
	Changed func()
	Log     *slog.Logger // nil discards

	// Quiet is how long nothing must have happened before the file is read, and
	// Most how long after the first event that is at the latest. 0: 100 ms, 1 s.
	Quiet, Most time.Duration
	// Poll is how often the file is read without an event, and Retry how often
	// while something on the way to it cannot be watched. 0: 10 s, 1 s.
	Poll, Retry time.Duration
}

// Watcher watches one file. New makes it, Run runs it, once.
type Watcher struct {
	o   Options
	log *slog.Logger

	// owned by Run
	known  Sum
	path   string            // absolute
	trail  *trail            // what is watched; nil: nothing
	events *fsnotify.Watcher // nil: nothing
	stale  bool              // a watch is lost
	first  time.Time         // the first event that has not been looked after; zero: none
	settle *time.Timer       // runs while first is set
	gone   bool              // said that the file cannot be read
	blind  bool              // said that it cannot be watched
	lossy  bool              // said that events are lost
}

// New builds a watcher and starts nothing.
func New(o Options) *Watcher {
	for _, d := range []struct {
		value *time.Duration
		def   time.Duration
	}{{&o.Quiet, defaultQuiet}, {&o.Most, defaultMost}, {&o.Poll, defaultPoll}, {&o.Retry, defaultRetry}} {
		if *d.value <= 0 {
			*d.value = d.def
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Watcher{o: o, log: o.Log.With("file", o.Path), known: o.Known}
}

// Run watches until ctx ends; then it returns nil. The error is that of a path that
// cannot be made absolute.
func (w *Watcher) Run(ctx context.Context) error {
	var err error
	if w.path, err = filepath.Abs(w.o.Path); err != nil {
		return err
	}
	w.settle = time.NewTimer(0)
	defer w.settle.Stop()
	defer w.disarm()
	poll := time.NewTimer(w.pause())
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-w.eventChan():
			w.event(e, ok)
		case err, ok := <-w.errorChan():
			w.lost(err, ok)
		case <-w.settle.C:
			w.first = time.Time{}
			w.look()
			poll.Reset(w.pause())
		case <-poll.C:
			w.polled()
			poll.Reset(w.pause())
		}
	}
}

func (w *Watcher) eventChan() <-chan fsnotify.Event {
	if w.events == nil {
		return nil
	}
	return w.events.Events
}

func (w *Watcher) errorChan() <-chan error {
	if w.events == nil {
		return nil
	}
	return w.events.Errors
}

// pause is how long until the next poll.
func (w *Watcher) pause() time.Duration {
	if w.events == nil || !w.trail.complete {
		return w.o.Retry
	}
	return w.o.Poll
}

// event takes note of what concerns the way to the file. It is not ok when there will
// be no more.
func (w *Watcher) event(e fsnotify.Event, ok bool) {
	name := filepath.Clean(e.Name)
	_, dir := w.trail.dirs[name]
	switch {
	case !ok, dir && (e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename)):
		w.stale = true // the number of a directory may come again, so that the trail looks the same
		w.disturb()
	case w.trail.names[name]:
		w.disturb()
	}
	if !ok {
		w.disarm()
	}
}

// lost is called when there were more events than the kernel could keep. In a directory
// where much happens that is all the time, and does no harm.
func (w *Watcher) lost(err error, ok bool) {
	switch {
	case !ok:
		w.disarm()
	case !w.lossy:
		w.lossy = true
		w.log.Warn("events of the directories on the way to the file are lost: the file is read whenever that happens", "error", err)
	}
	w.disturb()
}

// disturb puts the look off, until it is quiet again.
func (w *Watcher) disturb() {
	now := time.Now()
	if w.first.IsZero() {
		w.first = now
	}
	w.settle.Reset(min(w.o.Quiet, max(0, w.first.Add(w.o.Most).Sub(now))))
}

// polled reads the file without an event. One that is found changed may be just being
// written, so it is only the sign to look.
func (w *Watcher) polled() {
	w.arm()
	sum, err := SumOf(w.path)
	differs := sum != w.known || w.gone
	if err != nil {
		differs = !w.gone
	}
	if differs && w.first.IsZero() {
		w.disturb()
	}
}

// look reads the file, and tells of a change.
func (w *Watcher) look() {
	w.arm()
	sum, err := SumOf(w.path)
	if err != nil {
		if !w.gone {
			w.log.Warn("the watched file cannot be read, waiting for it", "error", err)
		}
		w.gone = true
		return
	}
	if w.gone {
		w.log.Info("the watched file is back")
		w.gone = false
	}
	if sum != w.known {
		w.known = sum
		w.o.Changed()
	}
}
