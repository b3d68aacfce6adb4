package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// signals is the goroutine's view of what the process is sent.
type signals struct {
	log  *slog.Logger
	ch   chan os.Signal
	stop context.CancelFunc // begins the graceful end
	now  context.CancelFunc // ends at once
	load func()             // asks for a reload of the config, without waiting
	hot  func()             // asks for a hot restart, without waiting
}

// catchSignals registers before anything else starts, so that no signal kills the
// process on its way up. A log that nobody reads any more is no reason to end:
// SIGPIPE is ignored.
func catchSignals(log *slog.Logger, stop, now context.CancelFunc, load, hot func()) *signals {
	signal.Ignore(syscall.SIGPIPE)
	s := &signals{log: log, ch: make(chan os.Signal, 8), stop: stop, now: now, load: load, hot: hot}
	signal.Notify(s.ch, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1)
	return s
}

// handle runs until ctx ends.
func (s *signals) handle(ctx context.Context) {
	defer signal.Stop(s.ch)
	ending := false
	for {
		select {
		case <-ctx.Done():
			return
		case sig := <-s.ch:
			ending = s.one(sig, ending)
		}
	}
}

// one handles a signal and returns whether the process ends now.
func (s *signals) one(sig os.Signal, ending bool) bool {
	switch {
	case (sig == syscall.SIGUSR1 || sig == syscall.SIGHUP) && ending:
		s.log.Info("signal ignored: the process ends", "signal", sig.String())
	case sig == syscall.SIGHUP:
		s.hot()
	case sig == syscall.SIGUSR1:
		s.load()
	case ending:
		s.log.Warn("second signal, ending at once", "signal", sig.String())
		s.now()
	default:
		s.log.Info("ending", "signal", sig.String())
		s.stop()
		return true
	}
	return ending
}
