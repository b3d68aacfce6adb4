package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/admin"
	"samaritan/internal/stats"
)

// bench is a reloader whose reloads are what a test says.
type bench struct {
	*reloader
	begun chan struct{} // one for each that begins
	allow chan error    // what it is to return
	log   bytes.Buffer  // to be read after end
	told  []bool
	ended chan struct{}
	stop  context.CancelFunc
}

func newBench(t *testing.T, got admin.Reloaded) *bench {
	t.Helper()
	b := &bench{begun: make(chan struct{}, 100), allow: make(chan error, 100), ended: make(chan struct{})}
	take := func(ctx context.Context) (admin.Reloaded, error) {
		b.begun <- struct{}{}
		return got, <-b.allow
	}
	b.reloader = newReloader(slog.New(slog.NewTextHandler(&b.log, nil)), take, func(begins bool) { b.told = append(b.told, begins) })
	ctx, cancel := context.WithCancel(t.Context())
	b.stop = cancel
	go func() {
		defer close(b.ended)
		b.run(ctx)
	}()
	t.Cleanup(b.end)
	return b
}

func (b *bench) end() {
	b.stop()
	<-b.ended
}

func over(t *testing.T, r *round) error {
	t.Helper()
	select {
	case <-r.done:
		return r.err
	case <-time.After(patience):
		require.FailNow(t, "the reload does not end")
		return nil
	}
}

func TestRequestsDuringAReloadAreOneMore(t *testing.T) {
	b := newBench(t, admin.Reloaded{})
	first := b.request(bySignal)
	<-b.begun
	second := b.request(byWatch)
	assert.NotSame(t, first, second, "the file may have been read already")
	for range 100 {
		assert.Same(t, second, b.request(byAdmin))
	}
	b.allow <- nil
	require.NoError(t, over(t, first))
	<-b.begun
	third := b.request(bySignal)
	assert.NotSame(t, second, third)
	b.allow <- errors.New("no")
	require.EqualError(t, over(t, second), "no")
	<-b.begun
	b.allow <- nil
	require.NoError(t, over(t, third))
	b.end()
	assert.Empty(t, b.begun)
	assert.Equal(t, []bool{true, false, true, false, true, false}, b.told)
	assert.Equal(t, 1, strings.Count(b.log.String(), `cause="the file has changed"`), "who asked first")
}

func TestRequestsAtTheEndAreRefused(t *testing.T) {
	b := newBench(t, admin.Reloaded{})
	first := b.request(bySignal)
	<-b.begun
	second := b.request(bySignal)
	b.stop()
	b.allow <- nil
	require.NoError(t, over(t, first))
	b.allow <- nil // should it be begun all the same
	err := over(t, second)
	assert.True(t, err == nil || errors.Is(err, admin.ErrUnavailable), err)
	b.end()
	require.ErrorIs(t, over(t, b.request(bySignal)), admin.ErrUnavailable)
	_, err = b.reload(t.Context())
	require.ErrorIs(t, err, admin.ErrUnavailable)
}

func TestWhoeverStopsWaitingDoesNotStopTheReload(t *testing.T) {
	b := newBench(t, admin.Reloaded{Added: []string{"a"}})
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan error, 1)
	go func() {
		_, err := b.reload(ctx)
		asked <- err
	}()
	<-b.begun
	cancel()
	require.ErrorIs(t, <-asked, context.Canceled)
	b.allow <- nil
	require.Eventually(t, func() bool { return b.value("config.reload_success_total") == 1 }, patience, time.Millisecond)
}

func (b *bench) value(name string) float64 {
	for _, s := range stats.Gather([]stats.Source{b}).Samples() {
		if s.Name == name {
			return s.Value
		}
	}
	return -1
}

func TestReloadsAreCountedAndLogged(t *testing.T) {
	var many []string
	for i := range maxNames + 5 {
		many = append(many, fmt.Sprintf("s%02d", i))
	}
	b := newBench(t, admin.Reloaded{Added: many, Changed: []string{"x"}, Settings: []string{"log.level"}})
	assert.EqualValues(t, 1, b.value("config.last_reload_success"), "the start was one")
	assert.InDelta(t, time.Now().Unix(), b.value("config.last_success_timestamp_sec"), 5)
	assert.Zero(t, b.value("config.reload_total"))
	refused := &admin.Refused{Reason: "bad file", Problems: []string{"f:1: a: b", "f:2: c: d"}}
	b.allow <- fmt.Errorf("x: %w", refused)
	require.ErrorIs(t, over(t, b.request(bySignal)), refused)
	assert.Equal(t, "x: bad file", b.lastTrouble())
	assert.Zero(t, b.value("config.last_reload_success"))
	assert.EqualValues(t, 1, b.value("config.reload_failure_total"))
	b.allow <- nil
	require.NoError(t, over(t, b.request(byAdmin)))
	assert.Empty(t, b.lastTrouble())
	assert.EqualValues(t, 1, b.value("config.last_reload_success"))
	assert.EqualValues(t, 1, b.value("config.reload_success_total"))
	assert.EqualValues(t, 2, b.value("config.reload_total"))
	b.end()
	assert.Regexp(t, `level=ERROR msg="config not reloaded, all stays as it is" cause=SIGUSR1 error="x: bad file"
.* level=ERROR msg="config problem" problem="f:1: a: b"
.* level=ERROR msg="config problem" problem="f:2: c: d"
.* level=INFO msg="config reloaded" cause=admin added="\[s00 .* s19 and 5 more\]" removed=\[\] changed=\[x\] endpoints=\[\] settings=\[log.level\]
`, b.log.String())
	assert.NotContains(t, b.log.String(), "s20")
}
