package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"samaritan/internal/eventloop"
)

const (
	// How often readiness is looked at: often until it was there once.
	lookSoon  = 5 * time.Millisecond
	lookLater = 500 * time.Millisecond
	// soon is how long a start may take before it is looked at less often.
	soon = time.Second
	// maxStatus is how many bytes of the status are told: a datagram has its limit, and
	// people read it.
	maxStatus = 1000
)

// notifier tells systemd how we are. Without systemd it only wastes a look at the
// readiness now and then.
type notifier struct {
	log   *slog.Logger
	ready func() (bool, []string)
	alive func(context.Context) bool
	send  func(state string) error // a seam for tests
	// trouble is what was asked for and has failed, empty when nothing has.
	trouble func() string

	status string // sent last; owned by run

	mu       sync.Mutex // guards the following, and makes what is sent follow it
	wasReady bool
	stopping bool
	mute     bool   // another process is the main one
	owed     string // what systemd has to know and could not be told yet
	unheard  bool   // the last message did not get through
}

func newNotifier(log *slog.Logger, ready func() (bool, []string), trouble func() string, loops *eventloop.Group) *notifier {
	n := &notifier{log: log, ready: ready, trouble: trouble}
	n.alive = func(ctx context.Context) bool { return loopsAlive(ctx, loops) }
	n.send = sdNotify
	return n
}

// replacedBy tells that another process is the main one now, and nothing more after
// that: systemd hears that one.
func (n *notifier) replacedBy(pid int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mainLocked(pid)
	n.mute = true
}

// back tells that this is the main process again.
func (n *notifier) back() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mute, n.status = false, ""
	n.mainLocked(os.Getpid())
}

// mainLocked tells which process is the main one, and that the restart is over. Before the
// start was over there is none to end: READY comes when all is ready.
func (n *notifier) mainLocked(pid int) {
	state := fmt.Sprintf("MAINPID=%d", pid)
	if n.wasReady {
		state += "\n" + daemon.SdNotifyReady
	}
	n.mustLocked(state)
}

// sayLocked sends, unless systemd hears another process. False means that it did not get
// through.
func (n *notifier) sayLocked(state string) bool {
	if n.mute {
		return true
	}
	return n.sendLocked(state)
}

// mustLocked sends what has to be told again until it gets through.
func (n *notifier) mustLocked(state string) {
	n.owed = "" // it says what holds by now
	if !n.sendLocked(state) {
		n.owed = state
	}
}

// sendLocked says once for all messages in a row that they do not get through.
func (n *notifier) sendLocked(state string) bool {
	err := n.send(state)
	if err != nil && !n.unheard {
		n.log.Warn("cannot notify systemd, what matters is tried again", "error", err)
	}
	n.unheard = err != nil
	return err == nil
}

// run looks and tells until ctx ends, and then says that we are stopping.
func (n *notifier) run(ctx context.Context) {
	begin := time.Now()
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		n.log.Warn("the watchdog of systemd is not served", "error", err)
	}
	next := begin // of the watchdog
	look := time.NewTimer(0)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			n.stop()
			return
		case <-look.C:
		}
		began := time.Now()
		n.look()
		looked := untilNextLook(began, 0)
		if watchdog > 0 && !time.Now().Before(next) && n.feed(ctx, watchdog/4) {
			next = time.Now().Add(watchdog / 3)
		}
		pause := lookLater
		if !n.isReady() && time.Since(begin) < soon {
			pause = lookSoon
		}
		pause = max(pause, looked)
		if watchdog > 0 {
			pause = min(pause, max(watchdog/4, lookSoon))
		}
		look.Reset(pause)
	}
}

// look tells what has changed.
func (n *notifier) look() {
	ok, reasons := n.ready()
	status := "ready"
	if !ok {
		status = "not ready: " + strings.Join(reasons, "; ")
	}
	if trouble := n.trouble(); trouble != "" {
		status += "; " + trouble
	}
	if status = oneLine(status); len(status) > maxStatus {
		status = strings.ToValidUTF8(status[:maxStatus], "") + "..."
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.owed != "" {
		n.mustLocked(n.owed)
	}
	var state []string
	first := ok && !n.wasReady
	if first {
		state = append(state, daemon.SdNotifyReady)
	}
	if status != n.status {
		state = append(state, "STATUS="+status)
	}
	if len(state) > 0 && n.sayLocked(strings.Join(state, "\n")) {
		n.wasReady, n.status = n.wasReady || first, status
	}
}

// reloading tells that a reload begins or has ended, whatever came of it: the service
// goes on. A reload before the start is over is a part of the start.
func (n *notifier) reloading(begins bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case !n.wasReady || n.stopping || n.mute:
	case !begins:
		n.mustLocked(daemon.SdNotifyReady)
	default: // the time is what tells this reload from one that systemd asked for before
		n.mustLocked(daemon.SdNotifyReloading + "\n" + strings.TrimSpace(daemon.SdNotifyMonotonicUsec()))
	}
}

// stop tells that we are stopping, which is the last word.
func (n *notifier) stop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stopping = true
	n.sayLocked(daemon.SdNotifyStopping + "\nSTATUS=stopping")
}

func (n *notifier) isReady() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.wasReady
}

// feed keeps the watchdog quiet as long as every event loop moves.
func (n *notifier) feed(ctx context.Context, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if !n.alive(ctx) {
		n.log.Error("an event loop does not move", "for", fmt.Sprint(limit))
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sayLocked(daemon.SdNotifyWatchdog)
}

// loopsAlive waits until each loop has done something that it was asked.
func loopsAlive(ctx context.Context, group *eventloop.Group) bool {
	loops := group.Loops()
	done := make(chan struct{}, len(loops)) // nobody waits for a late one
	for _, l := range loops {
		l.Post(func() { done <- struct{}{} })
	}
	for range loops {
		select {
		case <-done:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// oneLine is s without what would begin another assignment.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
