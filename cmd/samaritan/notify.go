package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
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
)

// notifier tells systemd how we are. Without systemd it only wastes a look at the
// readiness now and then.
type notifier struct {
	log   *slog.Logger
	ready func() (bool, []string)
	alive func(context.Context) bool
	send  func(state string) // a seam for tests

	wasReady bool
	status   string // sent last
}

func newNotifier(log *slog.Logger, ready func() (bool, []string), loops *eventloop.Group) *notifier {
	n := &notifier{log: log, ready: ready}
	n.alive = func(ctx context.Context) bool { return loopsAlive(ctx, loops) }
	n.send = n.sdNotify
	return n
}

func (n *notifier) sdNotify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		n.log.Warn("cannot notify systemd", "error", err)
	}
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
			n.send(daemon.SdNotifyStopping + "\nSTATUS=stopping")
			return
		case <-look.C:
		}
		n.look()
		if watchdog > 0 && !time.Now().Before(next) && n.feed(ctx, watchdog/4) {
			next = time.Now().Add(watchdog / 3)
		}
		pause := lookLater
		if !n.wasReady && time.Since(begin) < soon {
			pause = lookSoon
		}
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
	var state []string
	if ok && !n.wasReady {
		n.wasReady = true
		state = append(state, daemon.SdNotifyReady)
	}
	if status != n.status {
		n.status = status
		state = append(state, "STATUS="+oneLine(status))
	}
	if len(state) > 0 {
		n.send(strings.Join(state, "\n"))
	}
}

// feed keeps the watchdog quiet as long as every event loop moves.
func (n *notifier) feed(ctx context.Context, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if !n.alive(ctx) {
		n.log.Error("an event loop does not move", "for", fmt.Sprint(limit))
		return false
	}
	n.send(daemon.SdNotifyWatchdog)
	return true
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
