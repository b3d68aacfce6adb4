package redis

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// Sessions move between two proxies all the time while the slot that they work on moves
// between nodes.
func TestEffectsKeepTheirOrderWhenSessionAndSlotMove(t *testing.T) {
	c := testredis.Shared(t, testredis.Options{})
	a := startProxy(t, proxyOptions{loops: 2}, c.Addrs()...).ready(t)
	b := startProxy(t, proxyOptions{}, c.Addrs()...).ready(t)
	const slot = 4245
	var actors []*actor
	for i := range 6 {
		v := newActor(t, a.Addr, fmt.Sprintf("session%d-", i), slot, uint64(200+i), i%2 == 1)
		v.deepest = 30
		actors = append(actors, v)
	}
	m := &mover{c: c, slot: slot, on: perform(t, actors...), step: 10}
	moves, stop := make(chan int, 1), make(chan struct{})
	go func() {
		n := 0
		defer func() { moves <- n }()
		for from, to := a, b; ; from, to = to, from {
			select {
			case <-stop:
				return
			default:
			}
			ctx, cancel := context.WithTimeout(context.Background(), wireTimeout)
			carrier := newCourier(t, to)
			from.MoveClients(ctx, carrier.give)
			carrier.wg.Wait()
			left := ctx.Err() != nil
			cancel()
			if left {
				t.Errorf("%d sessions did not move", from.Clients())
				return
			}
			n++
			for at := m.on.batches.Load(); m.on.batches.Load() == at; { // they get something done in between
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
				}
			}
		}
	}()
	for _, move := range []func(*testing.T) bool{m.whole, m.slow, m.cancelled, m.destinationFirst, m.whole} {
		if !move(t) {
			break
		}
	}
	close(stop)
	n := <-moves
	m.on.finish(t, a.Addr)
	t.Logf("the sessions moved %d times", n)
	assert.Greater(t, n, 3)
	require.Zero(t, a.counter("downstream.cx_protocol_error")+b.counter("downstream.cx_protocol_error"))
}
