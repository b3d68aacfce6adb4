package directory

import (
	"log/slog"
	"path/filepath"
	"slices"

	"github.com/fsnotify/fsnotify"
)

// notifier tells when something happens in the directories. Without events from
// the kernel it is silent.
type notifier struct {
	log     *slog.Logger
	watcher *fsnotify.Watcher // nil: none could be had
	failed  string            // the failure that was logged last
}

func (w *Watcher) newNotifier() *notifier {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		w.log.Warn("no file events, changes are found by looking", "every", w.o.Poll, "error", err)
		return &notifier{log: w.log}
	}
	return &notifier{log: w.log, watcher: watcher}
}

// changes has a value for each event.
func (n *notifier) changes() <-chan fsnotify.Event {
	if n.watcher == nil {
		return nil
	}
	return n.watcher.Events
}

func (n *notifier) errors() <-chan error {
	if n.watcher == nil {
		return nil
	}
	return n.watcher.Errors
}

// watch makes the directories that are to be watched those that dir and the
// services in it are now. Links are resolved: a watch stays with the directory that
// it was made for, and a link may lead to another by now.
func (n *notifier) watch(dir string) {
	if n.watcher == nil {
		return
	}
	var wanted []string
	for _, path := range []string{dir, filepath.Join(dir, servicesDir)} {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			wanted = append(wanted, real)
		}
	}
	for _, path := range n.watcher.WatchList() {
		if !slices.Contains(wanted, path) {
			_ = n.watcher.Remove(path) // it may be gone, and its watch with it
		}
	}
	for _, path := range wanted {
		n.note(n.watcher.Add(path)) // again: it may be another directory of that name
	}
}

// note logs a failure once.
func (n *notifier) note(err error) {
	if err != nil && n.failed != err.Error() { // house: to log it once, not to tell it apart
		n.failed = err.Error()
		n.log.Warn("cannot watch, changes are found by looking", "error", err)
	}
}

func (n *notifier) close() {
	if n.watcher != nil {
		_ = n.watcher.Close()
	}
}
