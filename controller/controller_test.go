package controller

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"samaritan/api/common"
	"samaritan/api/protocol"
	"samaritan/config"
	"samaritan/internal/stats"
)

const second = time.Second

func TestServiceIsAddedChangedAndRemoved(t *testing.T) {
	play(t, func(s *stage) {
		begin := time.Now()
		s.send(config.ServiceAdded{Service: svc("a", 1)})
		s.pass(10 * time.Millisecond)
		assert.Equal(t, []string{"bind 1"}, s.w.take())
		got := s.only()
		assert.Less(t, got.Since.Sub(begin), 2*time.Millisecond)
		got.Since = time.Time{}
		assert.Equal(t, ServiceStatus{Name: "a", Protocol: "Redis", Listen: "127.0.0.1:1", State: Running, Ready: true}, got)
		assert.Same(t, s.w.last(), s.Proc("a"))
		assert.Nil(t, s.Proc("b"))

		s.send(config.ConfigChanged{Service: svc("a", 1, limit(5))}, config.EndpointsChanged{Service: svc("a", 1, limit(5))})
		assert.Contains(t, s.w.take(), "update 1")
		assert.EqualValues(t, 5, s.w.last().service().Config.GetListener().GetConnectionLimit())

		s.send(config.ServiceRemoved{Name: "a"}, config.ServiceRemoved{Name: "a"})
		assert.Equal(t, []string{"close 1", "end 1"}, s.w.take())
		assert.Empty(t, s.Services())
	})
}

func TestNumbersBeginAnewWithAnotherProcThatIsBound(t *testing.T) {
	play(t, func(s *stage) {
		s.w.bound[3] = 1 // by a stranger
		s.send(config.ServiceAdded{Service: svc("a", 1)}, config.ServiceAdded{Service: svc("b", 2)})
		s.pass(second)
		s.send(config.ConfigChanged{Service: svc("a", 1, limit(5))}, config.ConfigChanged{Service: svc("a", 3)})
		s.pass(second)
		assert.Empty(t, s.w.anew, "the first one serves on")
		s.send(config.ConfigChanged{Service: svc("a", 4)})
		s.pass(second)
		assert.Equal(t, []string{"a"}, s.w.anew)
		s.send(config.ServiceRemoved{Name: "b"}, config.ServiceAdded{Service: svc("b", 2)})
		s.pass(second)
		assert.Equal(t, []string{"a", "b"}, s.w.anew)
		s.w.set(func() { delete(s.w.bound, 3) })
	})
}

func TestRemovalDrainsWithoutHoldingUpOthers(t *testing.T) {
	play(t, func(s *stage) {
		s.w.drain = 10 * second
		s.send(config.ServiceAdded{Service: svc("a", 1)}, config.ServiceAdded{Service: svc("b", 2)})
		s.pass(second)
		s.w.take()
		s.send(config.ServiceRemoved{Name: "a"}, config.ServiceAdded{Service: svc("c", 3)})
		s.pass(second)
		assert.ElementsMatch(t, []string{"close 1", "bind 3"}, s.w.take())
		states := map[string]State{}
		for _, st := range s.Services() {
			states[st.Name] = st.State
		}
		assert.Equal(t, map[string]State{"a": Draining, "b": Running, "c": Running}, states)
		assert.Empty(t, s.Unready(), "a service that was removed is not missed")
		s.pass(10 * second)
		assert.Equal(t, []string{"end 1"}, s.w.take())
		assert.Len(t, s.Services(), 2)
	})
}

func TestAddressOfARemovedServiceIsTakenAtOnce(t *testing.T) {
	play(t, func(s *stage) {
		s.w.drain = 10 * second
		s.send(config.ServiceAdded{Service: svc("a", 1)})
		s.pass(second)
		s.w.take()
		s.send(config.ServiceRemoved{Name: "a"}, config.ServiceAdded{Service: svc("b", 1)}, config.ServiceAdded{Service: svc("a", 2)})
		s.pass(60 * time.Millisecond)
		assert.Subset(t, s.w.take(), []string{"close 1", "bind 1", "bind 2"})
		for _, st := range s.Services() {
			assert.Equal(t, Running, st.State, st.Name)
			assert.Empty(t, st.LastError)
		}
		assert.Zero(t, s.failures.Load(), "an address that is given up is no failure")
	})
}

func TestNewAddressIsBoundBeforeTheOldOneIsGivenUp(t *testing.T) {
	play(t, func(s *stage) {
		s.w.drain = 5 * second
		s.send(config.ServiceAdded{Service: svc("a", 1)})
		s.pass(second)
		s.w.set(func() { s.w.bind = second })
		s.send(config.ConfigChanged{Service: svc("a", 2)})
		s.pass(second / 2)
		assert.Equal(t, Starting, s.only().State)
		assert.True(t, s.only().Ready, "the old proc serves meanwhile")
		assert.Equal(t, "127.0.0.1:1", s.only().Listen)
		s.pass(second)
		assert.Equal(t, []string{"bind 1", "bind 2", "close 1"}, s.w.take())
		assert.Len(t, s.Sources(), 3, "the old one drains and still counts")
		s.pass(5 * second)
		assert.Len(t, s.Sources(), 2)
		assert.Equal(t, "127.0.0.1:2", s.only().Listen)
	})
}

func TestSameAddressIsSharedUntilTheNewProcIsBound(t *testing.T) {
	play(t, func(s *stage) {
		s.w.drain = 5 * second
		s.send(config.ServiceAdded{Service: svc("a", 1)})
		s.pass(second)
		s.send(config.ConfigChanged{Service: svc("a", 1, limit(needsRestart))})
		s.pass(60 * time.Millisecond)
		assert.Equal(t, []string{"bind 1", "bind 1", "close 1"}, s.w.take(), "without waiting for the old connections")
		assert.Equal(t, Running, s.only().State)
		assert.EqualValues(t, 1, s.restarts.Load())
	})
}

func TestNewProcThatDoesNotComeUpLeavesTheOldOneServing(t *testing.T) {
	play(t, func(s *stage) {
		s.send(config.ServiceAdded{Service: svc("a", 1)})
		s.pass(second)
		s.w.take()
		s.w.set(func() { s.w.bound[2] = 1 })
		s.send(config.ConfigChanged{Service: svc("a", 2)})
		s.pass(20 * second)
		assert.Equal(t, Failed, s.only().State)
		assert.Contains(t, s.only().LastError, "address already in use")
		assert.False(t, s.only().Ready)
		assert.Empty(t, s.w.take(), "the old one was left alone")

		s.send(config.ConfigChanged{Service: svc("a", 1, limit(3))})
		assert.Equal(t, []string{"update 1"}, s.w.take(), "back to what it can do")
		assert.Equal(t, Running, s.only().State)
		assert.Empty(t, s.only().LastError)
		s.pass(20 * second)
		assert.Equal(t, Running, s.only().State)
		assert.True(t, s.only().Ready)

		s.send(config.ConfigChanged{Service: svc("a", 2)})
		s.pass(second)
		s.w.set(func() { delete(s.w.bound, 2) })
		s.pass(6 * second)
		assert.Equal(t, []string{"bind 2", "close 1", "end 1"}, s.w.take())
	})
}

func TestServicesThatTradeTheirAddresses(t *testing.T) {
	for _, n := range []uint32{2, 3, 5} {
		play(t, func(s *stage) {
			s.w.drain = 5 * second
			name := func(i uint32) string { return fmt.Sprint("s", i) }
			for i := range n {
				s.send(config.ServiceAdded{Service: svc(name(i), i+1)})
			}
			s.pass(second)
			for i := range n {
				s.send(config.ConfigChanged{Service: svc(name(i), (i+1)%n+1)})
			}
			s.pass(20 * second)
			for i := range n {
				st := s.Services()[i]
				assert.Equal(t, Running, st.State, st.Name)
				assert.Equal(t, fmt.Sprint("127.0.0.1:", (i+1)%n+1), st.Listen, st.Name)
			}
		})
	}
}

func TestServiceWhoseNewAddressIsAStrangersKeepsTheOldOneFromAnother(t *testing.T) {
	play(t, func(s *stage) {
		s.send(config.ServiceAdded{Service: svc("a", 1)}, config.ServiceAdded{Service: svc("b", 2)})
		s.pass(second)
		s.w.set(func() { s.w.bound[3] = 1 })
		s.send(config.ConfigChanged{Service: svc("a", 3)}, config.ConfigChanged{Service: svc("b", 1)})
		s.pass(20 * second)
		assert.Equal(t, "127.0.0.1:1", s.Proc("a").Status().Address, "it goes on where it is")
		assert.Equal(t, "127.0.0.1:2", s.Proc("b").Status().Address)
		s.w.set(func() { delete(s.w.bound, 3) })
		s.pass(20 * second)
		assert.Equal(t, "127.0.0.1:3", s.Proc("a").Status().Address)
		assert.Equal(t, "127.0.0.1:1", s.Proc("b").Status().Address)
	})
}

func TestChangeWhileTheFirstProcStillStarts(t *testing.T) {
	play(t, func(s *stage) {
		s.w.bind = second
		s.send(config.ServiceAdded{Service: svc("a", 1)})
		s.send(config.ConfigChanged{Service: svc("a", 2)})
		s.pass(2 * second)
		assert.Equal(t, []string{"bind 2"}, s.w.take())
		assert.Equal(t, Running, s.only().State)
	})
}

func TestEndOfTheContext(t *testing.T) {
	t.Run("all drain at the same time", func(t *testing.T) {
		play(t, func(s *stage) {
			s.w.drain = 10 * second
			for i := range uint32(5) {
				s.send(config.ServiceAdded{Service: svc(fmt.Sprint(i), i+1)})
			}
			s.pass(second)
			begin := time.Now()
			s.end()
			s.pass(second)
			assert.Equal(t, "draining", s.Unready()["0"])
			err := <-s.done
			assert.Equal(t, 10*second, time.Since(begin))
			s.done <- err
		})
	})
	t.Run("during a start", func(t *testing.T) {
		play(t, func(s *stage) {
			s.w.bind = time.Hour
			s.send(config.ServiceAdded{Service: svc("a", 1)})
			assert.Equal(t, Starting, s.only().State)
			begin := time.Now()
			s.end()
			err := <-s.done
			assert.Zero(t, time.Since(begin))
			s.done <- err
		})
	})
	t.Run("during a backoff", func(t *testing.T) {
		play(t, func(s *stage) {
			s.w.failRun = errBad
			s.send(config.ServiceAdded{Service: svc("a", 1)})
			s.pass(20 * second)
		})
	})
	t.Run("before any event", func(t *testing.T) { play(t, func(*stage) {}) })
}

func TestClosedChannelEndsNothing(t *testing.T) {
	play(t, func(s *stage) {
		s.send(config.ServiceAdded{Service: svc("a", 1)})
		close(s.events)
		s.pass(second)
		assert.Equal(t, Running, s.only().State)
	})
}

func TestRunsOnce(t *testing.T) {
	play(t, func(s *stage) {
		s.pass(0)
		assert.ErrorIs(t, s.Run(context.Background()), ErrRunning)
	})
}

func TestStats(t *testing.T) {
	play(t, func(s *stage) {
		s.send(config.ServiceAdded{Service: svc("a", 1)}, config.ServiceAdded{Service: svc("b", 2, speaks(protocol.Protocol_MySQL))})
		s.pass(10 * time.Millisecond)
		got := map[string]float64{}
		for _, sample := range stats.Gather(s.Sources()).Samples() {
			got[sample.Service+"/"+sample.Name] = sample.Value
		}
		assert.Equal(t, map[string]float64{
			"a/downstream.cx_total":              1,
			"/controller.services_starting":      0,
			"/controller.services_running":       1,
			"/controller.services_failed":        1,
			"/controller.services_draining":      0,
			"/controller.events_total":           2,
			"/controller.update_failures_total":  0,
			"/controller.service_failures_total": 1,
			"/controller.service_restarts_total": 0,
		}, got)
	})
}

func TestOverlap(t *testing.T) {
	tests := []struct {
		a, b         string
		portA, portB uint32
		want         bool
	}{
		{"127.0.0.1", "127.0.0.1", 1, 1, true},
		{"127.0.0.1", "127.0.0.1", 1, 2, false},
		{"127.0.0.1", "127.0.0.1", 0, 0, false},
		{"127.0.0.1", "127.0.0.2", 1, 1, false},
		{"127.0.0.1", "0.0.0.0", 1, 1, true},
		{"::", "127.0.0.1", 1, 1, true},
		{"::ffff:127.0.0.1", "127.0.0.1", 1, 1, true},
		{"?", "127.0.0.1", 1, 1, true},
	}
	for _, tt := range tests {
		a, b := &common.Address{Ip: tt.a, Port: tt.portA}, &common.Address{Ip: tt.b, Port: tt.portB}
		assert.Equal(t, tt.want, Overlap(a, b), "%v %v", a, b)
		assert.Equal(t, tt.want, Overlap(b, a), "%v %v", b, a)
	}
}

func TestManyChangesEndInTheLastState(t *testing.T) {
	play(t, func(s *stage) {
		s.w.drain = second
		for i := range 200 {
			name := fmt.Sprint(i % 3)
			port := uint32(i%3*10 + i%7%4 + 1)
			switch i % 11 {
			case 10:
				s.send(config.ServiceRemoved{Name: name})
			default:
				s.send(config.ServiceAdded{Service: svc(name, port, limit(uint32(i)))})
			}
			s.pass(time.Duration(i%5) * time.Millisecond)
			if i%20 == 7 && s.Proc(name) != nil {
				select {
				case s.Proc(name).(*fake).crash <- errors.New("crash"):
				default:
				}
			}
		}
		for i := range 3 {
			s.send(config.ServiceAdded{Service: svc(fmt.Sprint(i), uint32(i*10+1))})
		}
		s.pass(30 * second)
		assert.Empty(t, s.Unready())
		s.w.mu.Lock()
		assert.Equal(t, map[uint32]int{1: 1, 11: 1, 21: 1}, s.w.bound)
		s.w.mu.Unlock()
	})
}
