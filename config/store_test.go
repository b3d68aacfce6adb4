package config

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"samaritan/api/redis"
	"samaritan/api/service"
)

// svc makes a service that listens on port and has the endpoints 10.0.0.h:1.
func svc(t testing.TB, name string, port uint32, hosts ...int) *Service {
	t.Helper()
	var endpoints []*service.Endpoint
	for _, h := range hosts {
		endpoints = append(endpoints, endpoint(fmt.Sprintf("10.0.0.%d", h), 1))
	}
	s, err := NewService(name, tcpConfig(port), endpoints)
	require.NoError(t, err)
	return s
}

// running starts the store in a bubble, in which a pause of all goroutines
// means that there is nothing more to come.
func running(t *testing.T, test func(*testing.T, *Store)) {
	synctest.Test(t, func(t *testing.T) {
		s := NewStore()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		test(t, s)
		cancel()
		require.NoError(t, <-done)
		_, open := <-s.Events()
		assert.False(t, open, "the channel is closed")
	})
}

// drain returns all events there are, in short.
func drain(s *Store) []string {
	var events []string
	for {
		synctest.Wait()
		select {
		case e := <-s.Events():
			events = append(events, short(e))
		default:
			return events
		}
	}
}

func short(e Event) string {
	switch e := e.(type) {
	case ServiceAdded:
		return fmt.Sprintf("add %s:%d/%d", e.Service.Name, e.Service.Config.Listener.Address.Port, len(e.Service.Endpoints))
	case ServiceRemoved:
		return "remove " + e.Name
	case ConfigChanged:
		return fmt.Sprintf("config %s:%d/%d was %d", e.Service.Name, e.Service.Config.Listener.Address.Port,
			len(e.Service.Endpoints), e.Old.Config.Listener.Address.Port)
	case EndpointsChanged:
		return fmt.Sprintf("endpoints %s:%d/%d +%d -%d", e.Service.Name, e.Service.Config.Listener.Address.Port,
			len(e.Service.Endpoints), len(e.Added), len(e.Removed))
	}
	return "?"
}

func TestStoreTellsChangesInAFixedOrder(t *testing.T) {
	running(t, func(t *testing.T, s *Store) {
		require.NoError(t, s.Apply("file", []*Service{svc(t, "c", 3, 1), svc(t, "a", 1, 1), svc(t, "b", 2, 1)}))
		assert.Equal(t, []string{"add a:1/1", "add b:2/1", "add c:3/1"}, drain(s))

		require.NoError(t, s.Apply("file", []*Service{svc(t, "0", 9, 1), svc(t, "a", 5, 1, 2), svc(t, "b", 2, 2, 3)}))
		assert.Equal(t, []string{
			"remove c", "config a:5/1 was 1", "endpoints a:5/2 +1 -0", "endpoints b:2/2 +2 -1", "add 0:9/1",
		}, drain(s))
	})
}

func TestStoreIsSilentWhenNothingChanged(t *testing.T) {
	running(t, func(t *testing.T, s *Store) {
		require.NoError(t, s.Apply("file", []*Service{svc(t, "a", 1, 1, 2)}))
		drain(s)
		require.NoError(t, s.Apply("file", []*Service{svc(t, "a", 1, 1, 2)}))
		assert.Empty(t, drain(s))
		require.NoError(t, s.Apply("file", []*Service{svc(t, "a", 1, 2, 1)}), "in another order")
		assert.Empty(t, drain(s))
	})
}

func TestStoreTellsAnEndpointThatChangedItsState(t *testing.T) {
	running(t, func(t *testing.T, s *Store) {
		up := endpoint("10.0.0.1", 1)
		down := endpoint("10.0.0.1", 1)
		down.State = service.Endpoint_DOWN
		before, err := NewService("a", tcpConfig(1), []*service.Endpoint{up})
		require.NoError(t, err)
		after, err := NewService("a", tcpConfig(1), []*service.Endpoint{down})
		require.NoError(t, err)
		require.NoError(t, s.Apply("file", []*Service{before}))
		drain(s)
		require.NoError(t, s.Apply("file", []*Service{after}))
		e := (<-s.Events()).(EndpointsChanged)
		assert.Equal(t, service.Endpoint_UP, e.Removed[0].State)
		assert.Equal(t, service.Endpoint_DOWN, e.Added[0].State)
		assert.Same(t, after, e.Service)
	})
}

// A changed option is an ordinary update of the config, whatever option it is; one
// that is written out and means what held before is none.
func TestStoreTellsHotKeysThatChanged(t *testing.T) {
	with := func(h *redis.HotKeys) []*Service {
		c := tcpConfig(1)
		hotKeys(h)(c)
		s, err := NewService("a", c, []*service.Endpoint{endpoint("10.0.0.1", 1)})
		require.NoError(t, err)
		return []*Service{s}
	}
	running(t, func(t *testing.T, s *Store) {
		require.NoError(t, s.Apply("file", with(nil)))
		drain(s)
		written := &redis.HotKeys{Enable: proto.Bool(true), Capacity: 50, Window: durationpb.New(15 * time.Second)}
		require.NoError(t, s.Apply("file", with(written)))
		assert.Empty(t, drain(s))

		changes := map[string]*redis.HotKeys{
			"enable":   {Enable: proto.Bool(false)},
			"capacity": {Capacity: 51},
			"interval": {Interval: durationpb.New(11 * time.Second)},
			"window":   {Window: durationpb.New(30 * time.Second)},
			"log top":  {LogTop: 1},
		}
		for name, h := range changes {
			after := with(h)
			require.NoError(t, s.Apply("file", after))
			e := (<-s.Events()).(ConfigChanged)
			assert.True(t, proto.Equal(after[0].Config, e.Service.Config), name)
			assert.Empty(t, drain(s), name)
		}
	})
}

func TestStoreTellsCompressionThatChanged(t *testing.T) {
	with := func(c *redis.Compression) []*Service {
		config := tcpConfig(1)
		compression(c)(config)
		s, err := NewService("a", config, []*service.Endpoint{endpoint("10.0.0.1", 1)})
		require.NoError(t, err)
		return []*Service{s}
	}
	running(t, func(t *testing.T, s *Store) {
		require.NoError(t, s.Apply("file", with(nil)))
		drain(s)
		require.NoError(t, s.Apply("file", with(&redis.Compression{Level: 1, MaxSize: 512 << 20, MaxRatio: 1000})))
		assert.Empty(t, drain(s))

		changes := map[string]*redis.Compression{
			"enable":    {Enable: true, Threshold: 1},
			"threshold": {Enable: true, Threshold: 2},
			"algorithm": {Algorithm: redis.Compression_ZSTD},
			"level":     {Level: 2},
			"max size":  {MaxSize: 1},
			"max ratio": {MaxRatio: 10},
		}
		for name, c := range changes {
			after := with(c)
			require.NoError(t, s.Apply("file", after))
			e := (<-s.Events()).(ConfigChanged)
			assert.True(t, proto.Equal(after[0].Config, e.Service.Config), name)
			assert.Empty(t, drain(s), name)
		}
	})
}

func TestStoreRefusesTheNameOfAnotherSource(t *testing.T) {
	running(t, func(t *testing.T, s *Store) {
		require.NoError(t, s.Apply("file", []*Service{svc(t, "a", 1, 1)}))
		drain(s)
		err := s.Apply("dynamic", []*Service{svc(t, "b", 2, 1), svc(t, "a", 3, 1)})
		require.EqualError(t, err, `service "a" of source "dynamic" is owned by source "file"`)
		assert.Empty(t, drain(s), "nothing of it is applied")
		assert.Len(t, s.Services(), 1)

		require.NoError(t, s.Apply("file", nil))
		require.NoError(t, s.Apply("dynamic", []*Service{svc(t, "a", 3, 1)}), "the name is free now")
		assert.Equal(t, []string{"config a:3/1 was 1"}, drain(s))
	})
}

func TestStoreClashNamesTheServiceAndBothSources(t *testing.T) {
	s := NewStore()
	require.NoError(t, s.Apply("static", []*Service{svc(t, "x", 1, 1), svc(t, "y", 2, 1)}))
	err := s.Apply("dynamic", []*Service{svc(t, "x", 3, 1), svc(t, "y", 4, 1), svc(t, "z", 5, 1)})
	var clash *ClashError
	require.ErrorAs(t, err, &clash)
	assert.Equal(t, &ClashError{Name: "x", Source: "dynamic", Owner: "static"}, clash)
	assert.EqualError(t, err, `service "x" of source "dynamic" is owned by source "static"`+"\n"+
		`service "y" of source "dynamic" is owned by source "static"`)
}

func TestStoreRefusesBadLists(t *testing.T) {
	s := NewStore()
	a := svc(t, "a", 1)
	assert.EqualError(t, s.Apply("file", []*Service{a, a}), `source "file" has two services "a"`)
	assert.EqualError(t, s.Apply("file", []*Service{nil}), `source "file": service 0 is nil`)
	assert.Empty(t, s.Services())
}

func TestStoreSourcesAreIndependent(t *testing.T) {
	running(t, func(t *testing.T, s *Store) {
		require.NoError(t, s.Apply("file", []*Service{svc(t, "b", 1, 1)}))
		require.NoError(t, s.Apply("dynamic", []*Service{svc(t, "a", 2, 1)}))
		assert.Equal(t, []string{"add b:1/1", "add a:2/1"}, drain(s))
		names := []string{}
		for _, svc := range s.Services() {
			names = append(names, svc.Name)
		}
		assert.Equal(t, []string{"a", "b"}, names)
		require.NoError(t, s.Apply("dynamic", nil))
		assert.Equal(t, []string{"remove a"}, drain(s))
	})
}

func TestStoreCoalescesAStormIntoTheLastState(t *testing.T) {
	running(t, func(t *testing.T, s *Store) {
		for port := range uint32(1000) {
			require.NoError(t, s.Apply("file", []*Service{svc(t, "a", port+1, 1), svc(t, "b", 2000, 1)}))
		}
		assert.Equal(t, []string{"add a:1000/1", "add b:2000/1"}, drain(s))
		for port := range uint32(1000) {
			require.NoError(t, s.Apply("file", []*Service{svc(t, "a", port+1, 1), svc(t, "b", 2000, int(port%200)+2)}))
		}
		assert.Equal(t, []string{"endpoints b:2000/1 +1 -1"}, drain(s), "a is as it was")
	})
}

func TestStoreDoesNotTellWhatWasTakenBack(t *testing.T) {
	running(t, func(t *testing.T, s *Store) {
		require.NoError(t, s.Apply("file", []*Service{svc(t, "a", 1, 1)}))
		require.NoError(t, s.Apply("file", nil))
		assert.Empty(t, drain(s))
	})
}

func TestStoreRemovesBeforeAnotherServiceTakesTheListener(t *testing.T) {
	running(t, func(t *testing.T, s *Store) {
		require.NoError(t, s.Apply("file", []*Service{svc(t, "a", 1, 1), svc(t, "b", 2, 1)}))
		drain(s)
		require.NoError(t, s.Apply("file", []*Service{svc(t, "a", 3, 1), svc(t, "b", 2, 1)}))
		synctest.Wait() // the change of a waits for the consumer
		require.NoError(t, s.Apply("file", []*Service{svc(t, "a", 2, 1)}))
		assert.Equal(t, []string{"remove b", "config a:2/1 was 1"}, drain(s))
	})
}

func TestStoreServiceThatAlwaysChangesDoesNotStarveOthers(t *testing.T) {
	running(t, func(t *testing.T, s *Store) {
		require.NoError(t, s.Apply("file", []*Service{svc(t, "a", 1, 1), svc(t, "z", 2, 1)}))
		drain(s)
		z := svc(t, "z", 3, 1)
		var seen []string
		for port := range uint32(3) {
			require.NoError(t, s.Apply("file", []*Service{svc(t, "a", 100+port, 1), z}))
			synctest.Wait()
			seen = append(seen, short(<-s.Events()))
		}
		assert.Contains(t, seen, "config z:3/1 was 2")
	})
}

// A step that looks at all services would be seen here.
func TestStoreTellsOfManyServices(t *testing.T) {
	running(t, func(t *testing.T, s *Store) {
		const many = 4000
		services := make([]*Service, many)
		template := svc(t, "template", 1, 1)
		for i := range services {
			services[i] = &Service{Name: fmt.Sprintf("s%04d", i), Config: template.Config, Endpoints: template.Endpoints}
		}
		require.NoError(t, s.Apply("a", services))
		events := drain(s)
		require.Len(t, events, many)
		assert.Equal(t, "add s0000:1/1", events[0])
		assert.Equal(t, "add s3999:1/1", events[many-1])

		for range 1000 { // the same services: nothing to look at
			require.NoError(t, s.Apply("a", services))
		}
		assert.Empty(t, drain(s))
	})
}

// What an unread store remembers does not grow with the changes.
func TestStoreLineIsBounded(t *testing.T) {
	s := NewStore()
	one := svc(t, "one", 1, 1)
	for range 1000 {
		require.NoError(t, s.Apply("a", []*Service{one}))
		require.NoError(t, s.Apply("a", nil))
	}
	assert.Less(t, len(s.pending.order), 100)
}

func TestStoreRunsOnce(t *testing.T) {
	running(t, func(t *testing.T, s *Store) {
		synctest.Wait()
		assert.ErrorIs(t, s.Run(t.Context()), ErrRunning)
	})
}

func TestStoreStopsWhileAnEventWaits(t *testing.T) {
	running(t, func(t *testing.T, s *Store) {
		require.NoError(t, s.Apply("file", []*Service{svc(t, "a", 1, 1)}))
		synctest.Wait()
	})
}
