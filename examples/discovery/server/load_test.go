package server

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"samaritan/api"
	"samaritan/api/service"
)

func TestClientThatDoesNotReadHoldsUpNobody(t *testing.T) {
	const rounds, size = 30, 1000
	r := startServer(t, Options{})
	narrow := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStaticStreamWindowSize(64 << 10), grpc.WithStaticConnWindowSize(64 << 10),
	}
	ctx := t.Context()
	slow, err := r.connect(narrow...).StreamSvcEndpoints(ctx)
	require.NoError(t, err)
	require.NoError(t, slow.Send(&api.SvcEndpointDiscoveryRequest{SvcNamesSubscribe: []string{"a", "b"}}))
	eventually(t, "subscribed", func() bool { return r.Stats().Subscriptions == 2 })
	fast := endpoints(t, r.connect())
	fast.ask([]string{"a"}, nil)
	eventually(t, "subscribed", func() bool { return r.Stats().Subscriptions == 3 })

	for i := range uint32(rounds) {
		r.Set("a", nil, many(i, size))
		r.Set("b", nil, many(i, size))
		fast.next()
	}
	told, held, messages := map[string]map[string]bool{"a": {}, "b": {}}, uint32(rounds-1), 0
	done := func() bool { return is(told["a"], many(held, size)) && is(told["b"], many(held, size)) }
	for !done() {
		m, err := slow.Recv()
		require.NoError(t, err)
		apply(told[m.SvcName], m)
		messages++
	}
	assert.Less(t, messages, 15, "it gets the differences to the last state, not all %d in between", 2*rounds)
}

// many are endpoints that all depend on the round.
func many(round uint32, n uint32) []*service.Endpoint {
	ports := make([]uint32, n)
	for i := range ports {
		ports[i] = round*n + uint32(i) + 1
	}
	return eps(ports...)
}

func apply(told map[string]bool, m *api.SvcEndpointDiscoveryResponse) {
	for _, word := range show(m.Removed) {
		delete(told, word)
	}
	for _, word := range show(m.Added) {
		told[word] = true
	}
}

func is(told map[string]bool, want []*service.Endpoint) bool {
	for _, word := range show(want) {
		if !told[word] {
			return false
		}
	}
	return len(told) == len(want)
}

func TestThousandServicesOnManyStreams(t *testing.T) {
	const services, sidecars = 1000, 50
	r := startServer(t, Options{})
	snapshot := func(round int) Snapshot {
		s := Snapshot{Services: map[string]Service{}, Dependencies: map[string][]string{"demo": {All}}}
		for i := range services {
			s.Services[fmt.Sprint("s", i)] = Service{Config: conf(int64(round)), Endpoints: eps(uint32(round), uint32(round+1))}
		}
		return s
	}
	r.Replace(snapshot(1))
	ctx, cancel := context.WithCancel(context.Background())
	var sidecarsDone, first, second sync.WaitGroup
	defer sidecarsDone.Wait()
	defer cancel()
	first.Add(2 * sidecars)
	second.Add(2 * sidecars)
	began := time.Now()
	for range sidecars {
		c := r.connect()
		d := dependencies(t, c, "demo")
		var names []string
		for _, s := range d.next().Added {
			names = append(names, s.Name)
		}
		require.Len(t, names, services)
		sidecarsDone.Go(func() { readConfigs(ctx, t, c, names, &first, &second) })
		sidecarsDone.Go(func() { readEndpoints(ctx, t, c, names, &first, &second) })
	}
	await(t, &first)
	t.Logf("%d services told on %d streams in %v", services, 2*sidecars, time.Since(began))

	began = time.Now()
	r.Replace(snapshot(2))
	await(t, &second)
	t.Logf("all changed and told in %v", time.Since(began))

	sent := r.Stats().Sent
	began = time.Now()
	r.Set("s7", conf(3), eps(2, 3))
	eventually(t, "one change", func() bool { return r.Stats().Sent == sent+sidecars })
	t.Logf("one change told in %v", time.Since(began))
	assert.Less(t, time.Since(began), patience/2)
}

// await is Wait with an end.
func await(t *testing.T, wg *sync.WaitGroup) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		wg.Wait()
	}()
	select {
	case <-done:
	case <-time.After(6 * patience):
		require.Fail(t, "not all were told")
	}
}

func readConfigs(ctx context.Context, t *testing.T, c api.DiscoveryServiceClient, names []string, first, second *sync.WaitGroup) {
	st, err := c.StreamSvcConfigs(ctx)
	if !assert.NoError(t, err) || !assert.NoError(t, st.Send(&api.SvcConfigDiscoveryRequest{SvcNamesSubscribe: names})) {
		return
	}
	rounds := map[int64]int{}
	for {
		m, err := st.Recv()
		if err != nil {
			return
		}
		for _, c := range m.Updated {
			count(rounds, c.ConnectTimeout.Seconds, len(names), first, second)
		}
	}
}

func readEndpoints(ctx context.Context, t *testing.T, c api.DiscoveryServiceClient, names []string, first, second *sync.WaitGroup) {
	st, err := c.StreamSvcEndpoints(ctx)
	if !assert.NoError(t, err) || !assert.NoError(t, st.Send(&api.SvcEndpointDiscoveryRequest{SvcNamesSubscribe: names})) {
		return
	}
	rounds := map[int64]int{}
	for {
		m, err := st.Recv()
		if err != nil {
			return
		}
		count(rounds, int64(3-len(m.Added)), len(names), first, second)
	}
}

// count notes that a service is in a round: in the first one endpoints are two, in
// the second one is new.
func count(rounds map[int64]int, round int64, all int, first, second *sync.WaitGroup) {
	rounds[round]++
	if rounds[round] == all && round == 1 {
		first.Done()
	}
	if rounds[round] == all && round == 2 {
		second.Done()
	}
}
