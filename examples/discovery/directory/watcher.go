package directory

import (
	"context"
	"log/slog"
	"time"

	"samaritan/config"
	"samaritan/examples/discovery/server"
)

// Options are what a watcher works with. Dir and Apply are required.
type Options struct {
	// Dir is the directory.
	Dir string
	// Apply is called with all good contents, at first and whenever they are
	// different, on the goroutine that reads.
	Apply func(server.Snapshot)
	// Log is told of problems; nil discards.
	Log *slog.Logger
	// Settle is how long nothing must have changed before the files are read,
	// though under steady change they are read ten times later. 0 is 100 ms.
	Settle time.Duration
	// Poll is how often the files are read without being told of a change. 0 is
	// 10 s.
	Poll time.Duration
}

const (
	defaultSettle = 100 * time.Millisecond
	defaultPoll   = 10 * time.Second
	// maxSettle is how many times Settle the files are not read at most.
	maxSettle = 10
)

// Watcher follows a directory. Read and Run are not called at the same time.
type Watcher struct {
	o      Options
	log    *slog.Logger
	reader *reader

	// owned by the goroutine that reads
	problems map[string]bool // that were logged
	away     string          // why the directory could not be read, as it was logged
	applied  bool
}

// New returns a watcher. It reads nothing yet.
func New(o Options) *Watcher {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Settle <= 0 {
		o.Settle = defaultSettle
	}
	if o.Poll <= 0 {
		o.Poll = defaultPoll
	}
	return &Watcher{o: o, log: o.Log, reader: newReader(o.Dir), problems: map[string]bool{}}
}

// Load reads a directory once. An error that is config.Problems has all problems
// of its files; then what is good is returned all the same.
func Load(dir string) (server.Snapshot, error) {
	r := newReader(dir)
	if _, err := r.read(); err != nil {
		return server.Snapshot{}, err
	}
	contents, problems := r.snapshot()
	if len(problems) > 0 {
		return contents, problems
	}
	return contents, nil
}

// Read reads the directory now and applies what is different. The error is that of
// a directory that cannot be read, or whose dependencies were never good; then nothing
// is applied. Other problems of files are logged.
func (w *Watcher) Read() error {
	changed, err := w.reader.read()
	if err == nil {
		err = w.reader.undecided()
	}
	if err != nil {
		if w.away != err.Error() { // house: to log it once, not to tell it apart
			w.away = err.Error()
			w.log.Error("the directory cannot be read, everything stays as it is", "error", err)
		}
		return err
	}
	if w.away != "" {
		w.away = ""
		w.log.Info("the directory can be read again")
	}
	if !changed && w.applied {
		return nil
	}
	contents, problems := w.reader.snapshot()
	w.tell(problems)
	w.applied = true
	w.o.Apply(contents)
	return nil
}

// tell logs the problems that are new, and those that are gone.
func (w *Watcher) tell(problems config.Problems) {
	now := map[string]bool{}
	for _, p := range problems {
		text := p.String()
		now[text] = true
		if !w.problems[text] {
			w.log.Error("problem in the directory", "problem", text)
		}
	}
	for text := range w.problems {
		if !now[text] {
			w.log.Info("problem is gone", "problem", text)
		}
	}
	w.problems = now
}

// Run follows the directory until ctx ends; then it returns nil. It reads it at
// once, whether Read did or not.
func (w *Watcher) Run(ctx context.Context) error {
	n := w.newNotifier()
	defer n.close()
	poll := time.NewTicker(w.o.Poll)
	defer poll.Stop()
	var settled <-chan time.Time // nil: nothing has changed
	var latest time.Time         // when to read though things go on changing
	w.look(n)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.changes():
			if settled == nil {
				latest = time.Now().Add(maxSettle * w.o.Settle)
			}
			settled = time.After(min(w.o.Settle, time.Until(latest)))
		case err := <-n.errors():
			w.log.Warn("events may be lost, the directory is read now", "error", err)
			settled = time.After(0)
		case <-settled:
			settled = nil
			w.look(n)
		case <-poll.C:
			if settled == nil { // else a file may be half written
				w.look(n)
			}
		}
	}
}

// look watches what there is to watch, and then reads: what changes in between is
// told of.
func (w *Watcher) look(n *notifier) {
	n.watch(w.o.Dir)
	_ = w.Read() // it was logged
}
