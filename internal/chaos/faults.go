package chaos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"samaritan/internal/testredis"
)

// changeLimit is how long a change of roles may take before a fault gives up.
const changeLimit = 15 * time.Second

// Faults returns all faults, in the order in which they are run: first what
// happens to connections, then to nodes, to slots, to the map and to clients.
// Each leaves a whole cluster behind, though roles may have changed.
func Faults() []Fault {
	return slices.Concat(
		[]Fault{{Name: "calm", Help: "Nothing goes wrong.", Inflict: calm}},
		wireFaults(), nodeFaults(), failoverFaults(), slotFaults(), memberFaults(), mapFaults(), clientFaults(),
		[]Fault{{Name: "storm", Long: true, Inflict: storm, Help: "Connections of random nodes are reset, cut, delayed and held, " +
			"while slots migrate, replicas take over and nodes are killed and restarted."}},
	)
}

// calm lets some time go by.
func calm(ctx context.Context, e *Env) error { return e.Wait(ctx, 1200*time.Millisecond) }

// shard draws a shard and affects it.
func (e *Env) shard() int {
	s := e.Rand.IntN(Shards)
	e.Affect(s)
	return s
}

// affectAll affects all shards.
func (e *Env) affectAll() {
	for s := range Shards {
		e.Affect(s)
	}
}

// until calls step again and again until d, multiplied by the scale, is over.
func (e *Env) until(ctx context.Context, d time.Duration, step func() error) error {
	for end := time.Now().Add(e.Scaled(d)); time.Now().Before(end); {
		if err := cmp.Or(ctx.Err(), step()); err != nil {
			return err
		}
	}
	return nil
}

// hurt runs a fault at the master of a drawn shard, and then waits for the whole
// cluster. The relay of that node is restored in any case.
func hurt(ctx context.Context, e *Env, do func(n *testredis.Node, r *Relay) error) error {
	n, err := e.Cluster.Owner(e.shard())
	if err != nil {
		return err
	}
	r := e.Cluster.Relay(n)
	e.Logf("%s at %s", n.Addr(), r.Addr())
	return errors.Join(do(n, r), r.Restore(), e.Cluster.Whole())
}

// impatient runs do while a master that is silent for a moment is failed over.
func (e *Env) impatient(do func() error) error {
	return errors.Join(e.Cluster.setNodeTimeout(nodeTimeout), do(), e.Cluster.setNodeTimeout(patience))
}

// eventually calls check, every few milliseconds, until it returns nil or the
// limit is over; then it returns the last error.
func eventually(ctx context.Context, limit time.Duration, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return nil
		}
		if ctxErr := pause(ctx, 5*time.Millisecond); ctxErr != nil {
			return fmt.Errorf("%w: %w", ctxErr, err)
		}
	}
}
