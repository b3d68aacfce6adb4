package health

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"samaritan/internal/stats"
)

const (
	addrA = "10.0.0.1:80"
	addrB = "10.0.0.2:80"
	addrC = "10.0.0.3:80"
)

func TestAddressThatWasNotCheckedIsHealthy(t *testing.T) {
	m := New(Options{})
	m.Configure(tcpCheck(time.Second, time.Second), []string{addrA})
	require.True(t, m.Healthy(addrA))
	require.True(t, m.Healthy("never:1"))
	require.Empty(t, m.Unhealthy())
	require.Equal(t, []Status{{Address: addrA, Healthy: true}}, m.Statuses())
}

func TestFirstCheckDecidesAtOnce(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r rig) {
		r.net.set(refuse, addrA)
		r.Configure(tcpCheck(time.Minute, time.Second), []string{addrA, addrB})
		after(time.Second)
		require.Equal(t, map[string]bool{addrA: true}, r.Unhealthy())
		require.False(t, r.Healthy(addrA))
		require.True(t, r.Healthy(addrB))
		require.Equal(t, 1, r.net.checks(addrA))
		require.True(t, r.statusOf(t, addrB).Checked)
	})
}

func TestThresholdsCountResultsInARow(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r rig) {
		check := tcpCheck(10*time.Second, time.Second)
		check.FallThreshold, check.RiseThreshold = 2, 3
		r.Configure(check, []string{addrA})
		after(time.Second)
		for _, step := range []struct {
			passes  bool
			healthy bool
		}{
			{false, true},
			{true, true}, // breaks the row
			{false, true},
			{false, false}, // the second
			{true, false},
			{true, false},
			{false, false}, // breaks the row
			{true, false},
			{true, false},
			{true, true}, // the third
			{false, true},
		} {
			r.next(t, addrA, step.passes)
			require.Equal(t, step.healthy, r.Healthy(addrA), "%+v", step)
			require.Equal(t, step.healthy, r.statusOf(t, addrA).Healthy)
		}
	})
}

// next lets the next check of an address pass or fail.
func (r rig) next(t *testing.T, address string, passes bool) {
	t.Helper()
	answer := refuse
	if passes {
		answer = nil
	}
	r.net.set(answer, address)
	for had := r.net.checks(address); r.net.checks(address) == had; {
		after(announceEvery)
	}
	after(announceEvery)
}

func TestCheckThatTakesTooLongFails(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r rig) {
		r.net.set(hang, addrA)
		r.Configure(tcpCheck(10*time.Second, 3*time.Second), []string{addrA})
		after(4 * time.Second)
		require.False(t, r.Healthy(addrA))
		require.Equal(t, int64(3_000_000), r.statusOf(t, addrA).Micros)
		require.Contains(t, r.statusOf(t, addrA).LastError, "deadline exceeded")
	})
}

func TestStatusTellsOfTheLastCheckAndTheVerdict(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r rig) {
		r.net.took = time.Millisecond
		r.net.set(refuse, addrB)
		r.Configure(tcpCheck(time.Minute, time.Second), []string{addrB, addrA})
		after(time.Second + time.Millisecond)
		all := r.Statuses()
		require.Equal(t, addrA, all[0].Address)
		require.Equal(t, addrB, all[1].Address)
		require.Equal(t, uint64(1), all[0].Passed)
		require.Equal(t, uint64(1), all[1].Failed)
		require.Equal(t, int64(1000), all[0].Micros)
		require.Equal(t, all[0].Since, all[0].LastCheck)
		require.Equal(t, errRefused.Error(), all[1].LastError)

		since := all[1].Since
		r.next(t, addrB, true)
		got := r.statusOf(t, addrB)
		require.Empty(t, got.LastError)
		require.Equal(t, since, got.Since, "it is still down")
		require.True(t, got.LastCheck.After(since))

		text, err := json.Marshal(Status{Address: addrA})
		require.NoError(t, err)
		require.JSONEq(t, `{"address":"10.0.0.1:80","healthy":false,"checked":false,"passed":0,"failed":0}`, string(text))
	})
}

func TestVerdictChangesAreLogged(t *testing.T) {
	var out bytes.Buffer
	inBubble(t, Options{Log: slog.New(slog.NewTextHandler(&out, nil))}, func(t *testing.T, r rig) {
		check := tcpCheck(10*time.Second, time.Second)
		check.RiseThreshold = 1
		r.Configure(check, []string{addrA, addrB})
		after(time.Minute)
		require.Empty(t, out.String(), "silence on success")
		r.net.set(refuse, addrA)
		after(time.Minute)
		r.net.set(nil, addrA)
		after(time.Minute)
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		require.Len(t, lines, 2)
		require.Regexp(t, `level=WARN msg="endpoint is down" address=10.0.0.1:80 error="dial: unknown network refused" after=1m\d`, lines[0])
		require.Regexp(t, `level=INFO msg="endpoint is up again" address=10.0.0.1:80 after=\d`, lines[1])
	})
}

func TestManyVerdictChangesDoNotFloodTheLog(t *testing.T) {
	var out bytes.Buffer
	inBubble(t, Options{Log: slog.New(slog.NewTextHandler(&out, nil))}, func(t *testing.T, r rig) {
		all := addresses(1000)
		r.net.set(refuse, all...)
		r.Configure(tcpCheck(time.Minute, time.Second), all)
		after(5 * time.Second)
		require.Len(t, r.Unhealthy(), 1000)
		require.Less(t, strings.Count(out.String(), "\n"), 3*logLines)
		require.Contains(t, out.String(), "suppressed")
	})
}

func TestChangedIsCalledWhenTheSnapshotShowsIt(t *testing.T) {
	var r rig
	var seen []int
	inBubble(t, Options{Changed: func() { seen = append(seen, len(r.Unhealthy())) }}, func(t *testing.T, rr rig) {
		r = rr
		check := tcpCheck(time.Minute, time.Second)
		check.FallThreshold, check.RiseThreshold = 1, 1
		r.Configure(check, []string{addrA, addrB})
		after(2 * time.Minute)
		require.Empty(t, seen, "no verdict has changed")
		r.next(t, addrA, false)
		require.Equal(t, []int{1}, seen)
		r.next(t, addrA, true)
		require.Equal(t, []int{1, 0}, seen)
	})
}

func TestBurstsOfChangesAreToldTogether(t *testing.T) {
	var calls, running atomic.Int32
	var r rig
	var block chan struct{}
	changed := func() {
		defer running.Add(-1)
		if running.Add(1) > 1 {
			t.Error("Changed runs twice at the same time")
		}
		calls.Add(1)
		<-block
	}
	inBubble(t, Options{Changed: changed}, func(t *testing.T, rr rig) {
		r, block = rr, make(chan struct{})
		all := addresses(1000)
		r.net.set(refuse, all...)
		r.Configure(tcpCheck(10*time.Second, time.Second), all)
		after(60 * time.Second)
		require.Equal(t, int32(1), calls.Load())
		require.Greater(t, r.net.checks(all[999]), 4, "checks go on while Changed blocks")
		close(block)
		after(time.Second)
		require.Equal(t, int32(2), calls.Load())
		require.Len(t, r.Unhealthy(), 1000)
	})
}

func TestEndOfRunIsNoVerdict(t *testing.T) {
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		r := newRig(Options{Log: slog.New(slog.NewTextHandler(&out, nil))})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // itself a deadline
		defer cancel()
		r.net.set(hang, addrA)
		r.Configure(tcpCheck(10*time.Second, 5*time.Second), []string{addrA, addrB})
		start := time.Now()
		require.NoError(t, r.Run(ctx))
		require.Equal(t, 2*time.Second, time.Since(start), "it waits for nobody")
		require.False(t, r.statusOf(t, addrA).Checked)
		require.True(t, r.statusOf(t, addrB).Checked)
		require.Empty(t, out.String())
		require.Error(t, r.Run(t.Context()))
		r.Configure(nil, nil)
		require.Empty(t, r.Statuses())
	})
}

func TestStatsOfEachEndpoint(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, r rig) {
		r.net.set(refuse, addrB)
		r.Configure(tcpCheck(10*time.Second, time.Second), []string{addrA, addrB})
		after(1500 * time.Millisecond)
		for _, s := range r.samples() {
			require.NotEmpty(t, s.Help)
		}
		var text bytes.Buffer
		require.NoError(t, stats.Gather([]stats.Source{stats.SourceFunc(func(emit func(stats.Sample)) { r.Stats("db.main", emit) })}).
			WriteText(&text, "health"))
		require.Equal(t, `service.db_main.health.10_0_0_1_80.failed_total: 0
service.db_main.health.10_0_0_1_80.passed_total: 1
service.db_main.health.10_0_0_1_80.up: 1
service.db_main.health.10_0_0_2_80.failed_total: 1
service.db_main.health.10_0_0_2_80.passed_total: 0
service.db_main.health.10_0_0_2_80.up: 0
`, text.String())
	})
}

func (r rig) samples() (all []stats.Sample) {
	r.Stats("s", func(s stats.Sample) { all = append(all, s) })
	return all
}

func TestHealthyDoesNotAllocate(t *testing.T) {
	m := New(Options{})
	require.Zero(t, testing.AllocsPerRun(100, func() { m.Healthy(addrA) }))
}
