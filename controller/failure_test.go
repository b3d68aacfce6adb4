package controller

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api/protocol"
	"samaritan/config"
	"samaritan/proc"
)

func TestFailuresAreTriedAgain(t *testing.T) {
	tests := map[string]struct {
		breakIt func(w *world)
		mendIt  func(w *world)
		svc     *config.Service
		want    string
	}{
		"builder": {
			func(w *world) { w.failNew = errBad },
			func(w *world) { w.failNew = nil },
			svc("a", 1), errBad.Error(),
		},
		"run": {
			func(w *world) { w.failRun = errBad },
			func(w *world) { w.failRun = nil },
			svc("a", 1), errBad.Error(),
		},
		"address in use": {
			func(w *world) { w.bound[1] = 1 },
			func(w *world) { delete(w.bound, 1) },
			svc("a", 1), "bind: listen: bind: address already in use",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			play(t, func(s *stage) {
				tt.breakIt(s.w)
				s.send(config.ServiceAdded{Service: tt.svc}, config.ServiceAdded{Service: svc("b", 2)})
				s.pass(30 * second)
				list := s.Services()
				require.Len(t, list, 2)
				assert.Equal(t, Failed, list[0].State)
				assert.Equal(t, tt.want, list[0].LastError)
				assert.Greater(t, time.Until(list[0].NextRetry), -time.Millisecond)
				assert.LessOrEqual(t, time.Until(list[0].NextRetry), retryMax)
				assert.Equal(t, map[string]string{"a": tt.want}, s.Unready())
				assert.Equal(t, Running, list[1].State, "the other one does not notice")
				assert.Greater(t, s.failures.Load(), uint64(8))
				assert.Less(t, s.failures.Load(), uint64(20), "the pauses grow")

				s.w.set(func() { tt.mendIt(s.w) })
				s.pass(2 * retryMax)
				assert.Empty(t, s.Unready())
				assert.Empty(t, s.Services()[0].LastError)
				assert.Zero(t, s.Services()[0].NextRetry)
			})
		})
	}
}

func TestProtocolWithoutABuilderFailsAlone(t *testing.T) {
	play(t, func(s *stage) {
		s.send(config.ServiceAdded{Service: svc("a", 1, speaks(protocol.Protocol_TCP))}, config.ServiceAdded{Service: svc("b", 2)})
		s.pass(second)
		list := s.Services()
		assert.Equal(t, Failed, list[0].State)
		assert.Equal(t, "protocol TCP is not supported by this build", list[0].LastError)
		assert.Equal(t, Running, list[1].State)

		s.send(config.ConfigChanged{Service: svc("a", 1)})
		s.pass(10 * time.Millisecond)
		assert.Equal(t, Running, s.Services()[0].State, "another config is tried at once")
	})
}

func TestProcThatEndsByItselfIsStartedAgain(t *testing.T) {
	for name, err := range map[string]error{"with an error": errBad, "without one": nil} {
		t.Run(name, func(t *testing.T) {
			play(t, func(s *stage) {
				s.send(config.ServiceAdded{Service: svc("a", 1)}, config.ServiceAdded{Service: svc("b", 2)})
				s.pass(second)
				first := s.Proc("a").(*fake)
				other := s.Proc("b")
				first.crash <- err
				s.pass(time.Millisecond)
				assert.Equal(t, Failed, s.Services()[0].State)
				assert.Nil(t, s.Proc("a"))
				s.pass(second)
				assert.Equal(t, Running, s.Services()[0].State)
				assert.NotSame(t, first, s.Proc("a"))
				assert.Same(t, other, s.Proc("b"))
			})
		})
	}
}

func TestUpdateThatFailsLeavesTheServiceRunning(t *testing.T) {
	play(t, func(s *stage) {
		s.send(config.ServiceAdded{Service: svc("a", 1)})
		s.pass(second)
		s.w.set(func() { s.w.failUpd = errBad })
		s.send(config.ConfigChanged{Service: svc("a", 1, limit(2))})
		assert.Equal(t, Running, s.only().State)
		assert.True(t, s.only().Ready)
		assert.Equal(t, errBad.Error(), s.only().LastError)
		assert.EqualValues(t, 1, s.updateFailures.Load())
		s.w.set(func() { s.w.failUpd = nil })
		s.send(config.ConfigChanged{Service: svc("a", 1, limit(3))})
		assert.Empty(t, s.only().LastError)
	})
}

func TestRemovalDuringBackoff(t *testing.T) {
	play(t, func(s *stage) {
		s.w.failNew = errBad
		s.send(config.ServiceAdded{Service: svc("a", 1)})
		s.pass(20 * second)
		failures := s.failures.Load()
		s.send(config.ServiceRemoved{Name: "a"})
		assert.Empty(t, s.Services())
		s.pass(20 * second)
		assert.Equal(t, failures, s.failures.Load())
	})
}

// The same mistake made twice is two failures, with a recovery between them.
func TestFailureThatComesBackAfterAnUndoneChangeIsLoggedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		w := newWorld()
		w.failRun = errBad // on port 1
		events := make(chan config.Event)
		c := New(Options{
			Events: events, Builders: proc.Builders{protocol.Protocol_Redis: w.build},
			Env: proc.Env{Listen: w.listen}, Share: w.share,
			Log: slog.New(slog.NewTextHandler(&log, nil)),
		})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		s := &stage{Controller: c, t: t, w: w, events: events}
		s.send(config.ServiceAdded{Service: svc("a", 5)})
		s.pass(second)
		for i := range 2 {
			s.send(config.ConfigChanged{Service: svc("a", 1)})
			s.pass(30 * second)
			assert.Equal(t, i+1, strings.Count(log.String(), "service failed, trying again"))
			s.send(config.ConfigChanged{Service: svc("a", 5)})
			s.pass(second)
			assert.Equal(t, Running, s.only().State)
			assert.Equal(t, i+1, strings.Count(log.String(), "service runs again"))
		}
		cancel()
		require.NoError(t, <-done)
	})
}

func TestProcThatDoesNotComeUpLeavesTheOneAtTheSameAddressServing(t *testing.T) {
	for name, fail := range map[string]func(w *world, err error){
		"built": func(w *world, err error) { w.failNew = err },
		"run":   func(w *world, err error) { w.failRun = err },
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(s *stage) {
				s.send(config.ServiceAdded{Service: svc("a", 1)})
				s.w.set(func() { fail(s.w, errBad) })
				s.send(config.ConfigChanged{Service: svc("a", 1, limit(needsRestart))})
				s.pass(second)
				assert.Equal(t, Failed, s.only().State)
				assert.Equal(t, errBad.Error(), s.only().LastError)
				assert.Equal(t, []string{"bind 1"}, s.w.take())
				s.w.set(func() { fail(s.w, nil) })
				s.pass(10 * second)
				assert.Equal(t, Running, s.only().State)
				assert.Equal(t, []string{"bind 1", "close 1", "end 1"}, s.w.take())
			})
		})
	}
}
