package chaos

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// storm changes the cluster while its connections suffer.
func storm(ctx context.Context, e *Env) error {
	e.affectAll()
	seed := rand.New(rand.NewPCG(e.Rand.Uint64(), e.Rand.Uint64()))
	bad, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var weatherErr error
	wg.Go(func() { weatherErr = e.weather(bad, seed) })

	err := e.until(ctx, 10*time.Second, func() error { return e.upheaval(ctx) })
	cancel()
	wg.Wait()
	err = errors.Join(err, weatherErr)
	for _, r := range e.Cluster.Relays() {
		err = errors.Join(err, r.Restore())
	}
	return errors.Join(err, e.Cluster.Whole())
}

// upheaval changes the cluster in one way, and returns when it is whole.
func (e *Env) upheaval(ctx context.Context) error {
	changes := []func(ctx context.Context, e *Env) error{
		migrateOnce, migrateOnce, takeOverOnce, failoverKill, masterRestart, replicaRestart, address,
	}
	return changes[e.Rand.IntN(len(changes))](ctx, e)
}

// migrateOnce moves a slot forth and back.
func migrateOnce(ctx context.Context, e *Env) error {
	from, to := e.twoShards()
	return e.thereAndBack(ctx, e.slotOf(from), from, to)
}

// takeOverOnce makes a replica the master.
func takeOverOnce(ctx context.Context, e *Env) error { return e.takeOver(ctx, e.shard()) }

// weather hurts the connections of random nodes until the context ends.
func (e *Env) weather(ctx context.Context, random *rand.Rand) error {
	for {
		relays := e.Cluster.Relays()
		r := relays[random.IntN(len(relays))]
		switch random.IntN(5) {
		case 0:
			r.Reset()
		case 1:
			r.CutMidReply(random)
		case 2:
			r.Delay(time.Duration(random.IntN(50)) * time.Millisecond)
		case 3:
			r.Hang()
		case 4:
			r.Refuse()
			r.Reset()
		}
		over := pause(ctx, time.Duration(50+random.IntN(300))*time.Millisecond)
		// A node that is down refuses anyway, relay or not.
		if err := r.Restore(); err != nil {
			return err
		}
		if over != nil {
			return nil
		}
	}
}
