package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/eventloop"
	"samaritan/internal/testredis"
)

func TestNotifierTellsWhatChanged(t *testing.T) {
	var sent, reasons []string
	n := &notifier{
		ready:   func() (bool, []string) { return len(reasons) == 0, reasons },
		send:    func(state string) error { sent = append(sent, state); return nil },
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
		send:    func(state string) error { sent = append(sent, state); return nil },
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
		ready: func() (bool, []string) { return ready, nil },
		send: func(state string) error {
			sent = append(sent, regexp.MustCompile(`\d{3,}`).ReplaceAllString(state, "N"))
			return nil
		},
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
	n.send = func(state string) error { sent = append(sent, state); return nil }
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
		send: func(state string) error { sent = append(sent, state); return nil },
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

// A restart before the start is over does not end it: what waits for this unit would begin
// too early.
func TestRestartBeforeTheStartIsOverTellsNoReady(t *testing.T) {
	var sent, reasons []string
	reasons = []string{"the cluster is away"}
	n := &notifier{
		ready: func() (bool, []string) { return len(reasons) == 0, reasons }, trouble: func() string { return "" },
		send: func(state string) error { sent = append(sent, state); return nil },
	}
	n.look()
	n.replacedBy(7)
	n.back()
	reasons = nil
	n.look()
	assert.Equal(t, []string{
		"STATUS=not ready: the cluster is away", "MAINPID=7", fmt.Sprintf("MAINPID=%d", os.Getpid()), "READY=1\nSTATUS=ready",
	}, sent)
}

// What does not get through is told as soon as it does, unless something newer holds by then.
func TestWhatSystemdDidNotHearIsToldAgain(t *testing.T) {
	var sent []string
	var deaf error
	n := &notifier{
		log:   slog.New(slog.DiscardHandler),
		ready: func() (bool, []string) { return true, nil }, trouble: func() string { return "" },
		alive: func(context.Context) bool { return true },
		send: func(state string) error {
			if deaf == nil {
				sent = append(sent, state)
			}
			return deaf
		},
	}
	deaf = syscall.EAGAIN
	n.look()
	assert.False(t, n.feed(t.Context(), patience))
	deaf = nil
	n.look()
	deaf = syscall.EAGAIN
	n.reloading(true)
	n.reloading(false)
	deaf = nil
	n.look()
	deaf = syscall.EAGAIN
	n.replacedBy(7)
	n.look()
	deaf = nil
	n.look()
	n.look()
	assert.Equal(t, []string{"READY=1\nSTATUS=ready", "READY=1", "MAINPID=7\nREADY=1"}, sent)
}

// TestNobodyWaitsForSystemd restarts, reloads and ends a daemon whose messages nobody reads.
func TestNobodyWaitsForSystemd(t *testing.T) {
	address := filepath.Join(t.TempDir(), "notify")
	deaf, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	require.NoError(t, err)
	defer deaf.Close()
	t.Setenv("NOTIFY_SOCKET", address)
	for err = nil; err == nil; {
		err = sdNotify("STATUS=nobody reads this")
	}
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	cluster := testredis.Shared(t, clusterWithReplicas)
	c := launchHot(t, cluster.Addrs())
	c.await("/ready", 200, "")
	c.awaitLog("cannot notify systemd")
	status, body := c.post("/ops/reload")
	assert.Equal(t, 200, status, body)
	c.restart()
	c.endHot()
}
