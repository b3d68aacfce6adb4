package main

import (
	"sync"

	"samaritan/internal/stats"
)

// numbers are what the admin server shows. They stand still from the moment on that another
// process counts on from them: some clients are still served here, and who asks this
// process for the last time and then the other one would see counters go back.
type numbers struct {
	live func() []stats.Source // immutable

	mu   sync.RWMutex    // guards the following, and is held while numbers are gathered
	held *stats.Snapshot // nil: they are live
}

// sources is one source, of all.
func (n *numbers) sources() []stats.Source { return []stats.Source{stats.SourceFunc(n.emit)} }

func (n *numbers) emit(emit func(stats.Sample)) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	all := n.held
	if all == nil {
		all = stats.Gather(n.live())
	}
	for _, s := range all.Samples() {
		emit(s)
	}
	for range all.Bad() {
		emit(stats.Sample{}) // which is a bad one, too
	}
}

// hold has them stand still. Nobody is shown later ones any more.
func (n *numbers) hold() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.held = stats.Gather(n.live())
}

// goOn has them be live again.
func (n *numbers) goOn() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.held = nil
}
