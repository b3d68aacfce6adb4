package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"samaritan/internal/eventloop"
)

func TestNotifierTellsWhatChanged(t *testing.T) {
	var sent, reasons []string
	n := &notifier{
		ready:   func() (bool, []string) { return len(reasons) == 0, reasons },
		send:    func(state string) { sent = append(sent, state) },
		trouble: func() string { return "" },
	}
	reasons = []string{"service a: line one\nREADY=1", "service b: x"}
	n.look()
	n.look()
	reasons = nil
	n.look()
	n.look()
	reasons = []string{"service b: gone"}
	n.look()
	reasons = nil
	n.look()
	assert.Equal(t, []string{
		"STATUS=not ready: service a: line one READY=1; service b: x",
		"READY=1\nSTATUS=ready",
		"STATUS=not ready: service b: gone",
		"STATUS=ready",
	}, sent)
}

// Thousands of services that are not ready make no datagram that systemd does not get.
func TestStatusIsBounded(t *testing.T) {
	var sent []string
	n := &notifier{
		ready: func() (bool, []string) {
			return false, slices.Repeat([]string{"service ä: it does not listen"}, 10_000)
		},
		send:    func(state string) { sent = append(sent, state) },
		trouble: func() string { return "" },
	}
	n.look()
	n.look()
	assert.Len(t, sent, 1)
	assert.LessOrEqual(t, len(sent[0]), maxStatus+20)
	assert.Contains(t, sent[0], "STATUS=not ready: service ä: it does not listen; ")
}

func TestReloadsAreToldBetweenTheStartAndTheEnd(t *testing.T) {
	var sent []string
	ready, trouble := false, ""
	n := &notifier{
		ready:   func() (bool, []string) { return ready, nil },
		send:    func(state string) { sent = append(sent, regexp.MustCompile(`\d{3,}`).ReplaceAllString(state, "N")) },
		trouble: func() string { return trouble },
	}
	n.look()
	n.reloading(true)
	n.reloading(false)
	assert.Equal(t, []string{"STATUS=not ready:"}, sent, "a READY would end the start too early")
	sent, ready = nil, true
	n.look()
	n.reloading(true)
	trouble = "the last reload failed: no\ngood"
	n.look()
	n.reloading(false)
	n.reloading(true)
	n.stop()
	n.reloading(false)
	assert.Equal(t, []string{
		"READY=1\nSTATUS=ready", "RELOADING=1\nMONOTONIC_USEC=N", "STATUS=ready; the last reload failed: no good", "READY=1",
		"RELOADING=1\nMONOTONIC_USEC=N", "STOPPING=1\nSTATUS=stopping",
	}, sent)
}

func TestWatchdogIsFedByLoopsThatMove(t *testing.T) {
	loops, err := eventloop.NewGroup(1)
	assert.NoError(t, err)
	var sent []string
	n := newNotifier(slog.New(slog.DiscardHandler), nil, nil, loops)
	n.send = func(state string) { sent = append(sent, state) }
	assert.False(t, n.feed(t.Context(), 10*time.Millisecond), "the loop does not run yet")

	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- loops.Run(ctx) }()
	assert.True(t, n.feed(t.Context(), patience))
	assert.Equal(t, []string{"WATCHDOG=1"}, sent)
	cancel()
	assert.NoError(t, <-ended)
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	var calls []string
	s := &signals{
		log:  slog.New(slog.DiscardHandler),
		stop: func() { calls = append(calls, "stop") },
		now:  func() { calls = append(calls, "now") },
		load: func() { calls = append(calls, "load") },
		hot:  func() { calls = append(calls, "hot") },
	}
	ending := false
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGINT} {
		ending = s.one(sig, ending)
	}
	assert.Equal(t, []string{"hot", "load", "stop", "now"}, calls)
}

// What does not end must not keep the process from ending.
func TestWaitForTheEndIsBounded(t *testing.T) {
	d := &process{}
	d.forced, d.force = context.WithCancel(t.Context())
	never, ended := make(chan error), make(chan error, 1)
	ended <- nil
	assert.NoError(t, d.await(ended, patience, errHangs))
	assert.ErrorIs(t, d.await(never, time.Millisecond, errHangs), errHangs)
	d.force()
	assert.ErrorIs(t, d.await(never, patience, errHangs), errForced)
}

// Systemd hears one process: the one that has taken over, after it has been told which
// that is.
func TestNotifierIsMuteWhileAnotherProcessServes(t *testing.T) {
	var sent []string
	n := &notifier{
		ready: func() (bool, []string) { return true, nil }, trouble: func() string { return "" },
		send: func(state string) { sent = append(sent, state) },
	}
	n.look()
	n.replacedBy(7)
	n.reloading(true)
	n.look()
	n.stop()
	assert.Equal(t, []string{"READY=1\nSTATUS=ready", "MAINPID=7\nREADY=1"}, sent)
	n.stopping = false
	n.back()
	n.look()
	assert.Equal(t, []string{fmt.Sprintf("MAINPID=%d\nREADY=1", os.Getpid()), "STATUS=ready"}, sent[2:])
}
