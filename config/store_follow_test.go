package config

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A consumer that applies each event to what it has must end with what the
// sources want, and each event must fit what it has.
func TestStoreEventsAddUpToTheLastState(t *testing.T) {
	s := NewStore()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Run(ctx) })
	for _, source := range []string{"x", "y"} {
		wg.Go(func() { storm(t, s, source) })
	}
	have := map[string]*Service{}
	for len(have) != 2 || have["x-end"] == nil || have["y-end"] == nil {
		if err := follow(have, <-s.Events()); err != nil {
			t.Error(err)
			break
		}
	}
	for _, want := range s.Services() {
		assert.Same(t, want, have[want.Name])
	}
	cancel()
	for range s.Events() {
		t.Error("an event after the last state")
	}
	wg.Wait()
}

// storm applies random states of one source, and at last a service of its own.
func storm(t *testing.T, s *Store, source string) {
	r := rand.New(rand.NewPCG(1, uint64(source[0])))
	for range 500 {
		var services []*Service
		for i := range 5 {
			if r.IntN(3) > 0 {
				services = append(services, svc(t, fmt.Sprintf("%s%d", source, i), r.Uint32N(3)+1, r.IntN(3)+1))
			}
		}
		assert.NoError(t, s.Apply(source, services))
	}
	assert.NoError(t, s.Apply(source, []*Service{svc(t, source+"-end", 1, 1)}))
}

var errMisfit = errors.New("event does not fit the state")

// follow applies an event as a consumer would.
func follow(have map[string]*Service, e Event) error {
	switch e := e.(type) {
	case ServiceAdded:
		if have[e.Service.Name] != nil {
			return fmt.Errorf("%w: %s", errMisfit, short(e))
		}
		have[e.Service.Name] = e.Service
	case ServiceRemoved:
		if have[e.Name] == nil {
			return fmt.Errorf("%w: %s", errMisfit, short(e))
		}
		delete(have, e.Name)
	case ConfigChanged:
		if have[e.Service.Name] != e.Old {
			return fmt.Errorf("%w: %s", errMisfit, short(e))
		}
		have[e.Service.Name] = e.Service
	case EndpointsChanged:
		old := have[e.Service.Name]
		if old == nil || len(old.Endpoints)-len(e.Removed)+len(e.Added) != len(e.Service.Endpoints) {
			return fmt.Errorf("%w: %s", errMisfit, short(e))
		}
		have[e.Service.Name] = e.Service
	}
	return nil
}

func ExampleStore() {
	b, err := Parse("samaritan.yaml", []byte(`
static_services:
  - name: redis-demo
    config:
      listener: {address: {ip: 127.0.0.1, port: 6379}}
      protocol: Redis
    endpoints:
      - address: {ip: 10.0.0.1, port: 7000}
`))
	if err != nil {
		fmt.Println(err) // one line for each problem
		return
	}
	store := NewStore()
	ctx, cancel := context.WithCancel(context.Background())
	go store.Run(ctx)
	_ = store.Apply("file", b.Services)
	event := (<-store.Events()).(ServiceAdded)
	fmt.Println("start", event.Service.Name)
	cancel()
	for range store.Events() { // closed when Run is done
	}
	// Output: start redis-demo
}
