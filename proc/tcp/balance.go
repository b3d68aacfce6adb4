package tcp

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"samaritan/api/service"
)

// The tiers of candidates, in the order in which they are asked.
const (
	healthyMain = iota
	healthyBackup
	unhealthyMain
	unhealthyBackup
	tierCount
)

// candidates are the endpoints to pick from. They do not change; there are new ones
// when the configuration or a verdict of the health checks changes.
type candidates struct {
	policy service.LoadBalancePolicy
	tiers  [tierCount][]*endpoint
}

// add appends an endpoint to its tier.
func (c *candidates) add(ep *endpoint, typ service.Endpoint_Type, healthy bool) {
	tier := healthyMain
	if typ == service.Endpoint_BACKUP {
		tier = healthyBackup
	}
	if !healthy {
		tier += unhealthyMain - healthyMain
	}
	c.tiers[tier] = append(c.tiers[tier], ep)
}

// balancer picks endpoints for connections. Any goroutine may use it.
//
// The order is: healthy main endpoints, healthy backups, then the same ones again if they
// rest (see [rest]), and at last those that fail their health checks, main ones first: when
// nothing is healthy, the checks are as likely to be wrong as everything else. Within a
// tier the policy decides:
//
//   - ROUND_ROBIN: one after the other.
//   - LEAST_CONNECTION: the one with the fewest connections, of equal ones in turn.
//   - RANDOM: of two that are drawn at random, the one with fewer connections. That is
//     nearly as even as comparing all (Mitzenmacher, The Power of Two Choices in
//     Randomized Load Balancing, 1996) and cannot send everybody to the same new one.
type balancer struct {
	current atomic.Pointer[candidates]
	turns   [tierCount]atomic.Uint32
}

// choice is what was picked, and from where.
type choice struct {
	ep      *endpoint // nil: there is none
	resting bool      // it rests, and there was nothing better
	down    bool      // it fails its health checks, and there was nothing better
}

// pick returns an endpoint that is not in tried. It does not allocate.
func (b *balancer) pick(now int64, tried []*endpoint) choice {
	c := b.current.Load()
	for tier := healthyMain; tier < tierCount; tier += 2 {
		for _, resting := range [...]bool{false, true} {
			for t := tier; t < tier+2; t++ { // main ones, backups
				if ep := b.from(c, t, filter{now, tried, resting}); ep != nil {
					return choice{ep: ep, resting: resting, down: tier >= unhealthyMain}
				}
			}
		}
	}
	return choice{}
}

// take picks like pick, and counts the connection in at the endpoint.
func (b *balancer) take(now int64, tried []*endpoint, attempt time.Duration) choice {
	ch := b.pick(now, tried)
	if ch.ep != nil {
		ch.ep.load.Add(1)
		ch.ep.rest.claim(now, attempt)
	}
	return ch
}

// filter says which endpoints of a tier may be picked.
type filter struct {
	now     int64
	tried   []*endpoint
	resting bool
}

func (f filter) lets(ep *endpoint) bool {
	return ep.rest.over(f.now) != f.resting && !slices.Contains(f.tried, ep)
}

func (b *balancer) from(c *candidates, tier int, f filter) *endpoint {
	of, turn := c.tiers[tier], &b.turns[tier]
	if len(of) == 0 {
		return nil
	}
	switch c.policy {
	case service.LoadBalancePolicy_LEAST_CONNECTION:
		return least(of, turn, f)
	case service.LoadBalancePolicy_RANDOM:
		return random(of, f)
	default:
		return next(of, turn, f)
	}
}

// next takes turns. Those that are passed over use up theirs, so that their share is
// spread over all others and not given to the next one.
func next(of []*endpoint, turn *atomic.Uint32, f filter) *endpoint {
	for range of {
		ep := of[int(turn.Add(1)-1)%len(of)]
		if f.lets(ep) {
			return ep
		}
	}
	// Other goroutines take turns too, so these need not have been all.
	for _, ep := range of {
		if f.lets(ep) {
			return ep
		}
	}
	return nil
}

func least(of []*endpoint, turn *atomic.Uint32, f filter) (best *endpoint) {
	start := int(turn.Load()) % len(of)
	fewest := int64(0)
	for i := range of {
		ep := of[(start+i)%len(of)]
		if load := ep.load.Load(); (best == nil || load < fewest) && f.lets(ep) {
			best, fewest = ep, load
		}
	}
	if best != nil {
		turn.Add(1)
	}
	return best
}

func random(of []*endpoint, f filter) *endpoint {
	i := rand.IntN(len(of))
	first := of[i]
	second := of[(i+1+rand.IntN(max(1, len(of)-1)))%len(of)]
	switch one, two := f.lets(first), f.lets(second); {
	case one && two && second.load.Load() < first.load.Load():
		return second
	case one:
		return first
	case two:
		return second
	}
	for k := range of {
		if ep := of[(i+k)%len(of)]; f.lets(ep) {
			return ep
		}
	}
	return nil
}
