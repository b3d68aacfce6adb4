package filewatch

import (
	"errors"
	"io/fs"

	"github.com/fsnotify/fsnotify"
)

// armTries is how often the way is gone again because it changed meanwhile. More is
// left to the poll.
const armTries = 5

// arm has the directories watched that the path leads through now. It is called before
// the file is read: what happens after that is an event.
func (w *Watcher) arm() {
	for range armTries {
		t := follow(w.path)
		if w.events != nil && !w.stale && t.equal(w.trail) {
			return
		}
		w.disarm()
		w.stale = false
		events, err := watch(t)
		w.trail, w.events = t, events
		switch {
		case err == nil:
			w.blind = false
		case !errors.Is(err, fs.ErrNotExist): // else the next round finds it missing
			if !w.blind {
				w.log.Warn("cannot watch the file for changes, polling", "error", err, "every", w.o.Retry)
			}
			w.blind = true
			return
		}
	}
}

func (w *Watcher) disarm() {
	if w.events != nil {
		_ = w.events.Close()
		w.events = nil
	}
}

// watch begins with new watches each time: what the old ones have seen does not
// matter, as the file is read afterwards.
func watch(t *trail) (*fsnotify.Watcher, error) {
	events, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	for dir := range t.dirs {
		if err := events.Add(dir); err != nil {
			_ = events.Close()
			return nil, err
		}
	}
	return events, nil
}
