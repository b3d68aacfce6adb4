package tcp

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"samaritan/api/service"
)

const (
	roundRobin = service.LoadBalancePolicy_ROUND_ROBIN
	leastConn  = service.LoadBalancePolicy_LEAST_CONNECTION
	atRandom   = service.LoadBalancePolicy_RANDOM
)

var policies = []service.LoadBalancePolicy{roundRobin, leastConn, atRandom}

// bench is a set whose endpoints are 10.0.0.1:1, 10.0.0.2:1 and so on.
type bench struct {
	*set
	eps []*endpoint
	now int64
}

func host(i int) string { return fmt.Sprintf("10.0.0.%d:1", i+1) }

func newBench(t testing.TB, p service.LoadBalancePolicy, endpoints ...*service.Endpoint) *bench {
	b := &bench{set: newSet(), now: 1}
	b.configure(newService(t, endpoints, policy(p)), b.now)
	b.eps = b.ordered
	return b
}

func mains(n int) (eps []*service.Endpoint) {
	for i := range n {
		eps = append(eps, at(host(i)))
	}
	return eps
}

// counts picks n times without keeping anything, and returns how often each was it.
func (b *bench) counts(n int) []int {
	counts := make([]int, len(b.eps))
	for range n {
		ep := b.balancer.pick(b.now, nil).ep
		for i := range b.eps {
			if b.eps[i] == ep {
				counts[i]++
			}
		}
	}
	return counts
}

func (b *bench) down(which ...int) {
	down := make(map[string]bool)
	for _, i := range which {
		down[b.eps[i].address] = true
	}
	b.setDown(func() map[string]bool { return down })
}

func (b *bench) fail(i int) { b.eps[i].rest.failed(b.now, b.now, false) }

func TestRoundRobinIsEven(t *testing.T) {
	assert.Equal(t, []int{100, 100, 100}, newBench(t, roundRobin, mains(3)...).counts(300))
}

func TestRoundRobinSpreadsTheShareOfOneThatRests(t *testing.T) {
	b := newBench(t, roundRobin, mains(4)...)
	b.fail(1)
	assert.Equal(t, []int{100, 0, 100, 100}, b.counts(300))
}

func TestLeastConnectionFillsUp(t *testing.T) {
	b := newBench(t, leastConn, mains(3)...)
	b.eps[0].load.Store(10)
	b.eps[1].load.Store(5)
	for range 30 {
		b.balancer.take(b.now, nil, 1)
	}
	for _, ep := range b.eps {
		assert.EqualValues(t, 15, ep.load.Load())
	}
	assert.Equal(t, []int{100, 100, 100}, b.counts(300), "of equal ones in turn")
}

func TestRandomPrefersTheLessLoaded(t *testing.T) {
	b := newBench(t, atRandom, mains(4)...)
	for _, n := range b.counts(4000) {
		assert.InDelta(t, 1000, n, 200)
	}
	b.eps[2].load.Store(1)
	counts := b.counts(4000)
	assert.Zero(t, counts[2], "any other one is better")
	b.eps[2].load.Store(0)
	for range 4000 {
		b.balancer.take(b.now, nil, 1)
	}
	for _, ep := range b.eps {
		assert.InDelta(t, 1000, ep.load.Load(), 10, "two choices keep the loads close")
	}
}

func TestOrderOfTiers(t *testing.T) {
	for _, p := range policies {
		t.Run(p.String(), func(t *testing.T) {
			b := newBench(t, p, at(host(0)), at(host(1)), backup(host(2)), backup(host(3)),
				marked(host(4), service.Endpoint_DOWN), marked(host(5), service.Endpoint_UNKNOWN))
			// Each step leaves fewer that are good.
			for _, step := range []struct {
				what string
				do   func()
				used []int
				down bool
			}{
				{"main ones, UNKNOWN is as UP", func() {}, []int{0, 1, 5}, false},
				{"main ones that are healthy", func() { b.down(0) }, []int{1, 5}, false},
				{"backups, as no main one is healthy", func() { b.down(0, 1, 5) }, []int{2, 3}, false},
				{"the backup that is healthy", func() { b.down(0, 1, 2, 5) }, []int{3}, false},
				{"a backup that rests, as nothing else is healthy", func() { b.fail(3) }, []int{3}, false},
				{"all main ones, as nothing is healthy", func() { b.down(0, 1, 2, 3, 5) }, []int{0, 1, 5}, true},
				{"those that do not rest", func() { b.fail(1) }, []int{0, 5}, true},
				{"backups that do not rest", func() { b.fail(0); b.fail(5) }, []int{2}, true},
				{"and main ones that rest, at last", func() { b.fail(2) }, []int{0, 1, 5}, true},
			} {
				step.do()
				counts := b.counts(400)
				for i, n := range counts {
					assert.Equalf(t, contains(step.used, i), n > 0, "%s: %v", step.what, counts)
				}
				assert.Equal(t, step.down, b.balancer.pick(b.now, nil).down, step.what)
			}
		})
	}
}

func contains(some []int, i int) bool {
	for _, n := range some {
		if n == i {
			return true
		}
	}
	return false
}

func TestWhatWasTriedIsNotPickedAgain(t *testing.T) {
	for _, p := range policies {
		b := newBench(t, p, append(mains(4), backup(host(4)))...)
		b.down(3)
		for range 50 {
			var tried []*endpoint
			for range 5 {
				ch := b.balancer.pick(b.now, tried)
				assert.NotContains(t, tried, ch.ep)
				tried = append(tried, ch.ep)
			}
			assert.Same(t, b.eps[4], tried[3], "the backup behind the main ones")
			assert.Same(t, b.eps[3], tried[4], "what is down at last")
			assert.Nil(t, b.balancer.pick(b.now, tried).ep)
		}
	}
}

func TestNothingToPick(t *testing.T) {
	for _, p := range policies {
		assert.Nil(t, newBench(t, p).balancer.pick(1, nil).ep)
		b := newBench(t, p, marked(host(0), service.Endpoint_DOWN))
		assert.Nil(t, b.balancer.pick(1, nil).ep)
		assert.False(t, b.hasUsable())
	}
}

func TestPickingDoesNotAllocate(t *testing.T) {
	for _, p := range policies {
		b := newBench(t, p, append(mains(8), backup(host(8)))...)
		b.fail(2)
		b.down(1)
		tried := []*endpoint{b.eps[0]}
		assert.Zero(t, testing.AllocsPerRun(100, func() { b.balancer.take(b.now, nil, 1) }))
		assert.Zero(t, testing.AllocsPerRun(100, func() { b.balancer.pick(b.now, tried) }))
	}
}

func BenchmarkPick(b *testing.B) {
	for _, p := range policies {
		for _, n := range []int{3, 100} {
			b.Run(fmt.Sprintf("%s/%d", p, n), func(b *testing.B) {
				s := newBench(b, p, mains(n)...)
				b.ReportAllocs()
				for b.Loop() {
					s.balancer.pick(1, nil)
				}
			})
		}
	}
}
