package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"samaritan/internal/testredis"
)

// slotFaults move slots, or take them from everybody.
func slotFaults() []Fault {
	return []Fault{
		{Name: "migrate", Inflict: migrate, Help: "Slots migrate to another master and back, key by key, with windows of ASK and TRYAGAIN; " +
			"the old or the new owner hears first that it is done."},
		{Name: "migrate-bulk", Inflict: migrateBulk, Help: "Slots go to another master and back at once with all their keys, as in atomic slot migration."},
		{Name: "uncovered", Long: true, Inflict: uncovered, Help: "Slots have no owner for a while."},
		{Name: "clusterdown", Long: true, Inflict: clusterDown, Help: "Slots have no owner, and cluster-require-full-coverage takes the whole cluster down with them."},
	}
}

// migrate moves slots one after the other, forth and back.
func migrate(ctx context.Context, e *Env) error {
	from, to := e.twoShards()
	err := e.until(ctx, 1500*time.Millisecond, func() error {
		return e.thereAndBack(ctx, e.slotOf(from), from, to)
	})
	return errors.Join(err, e.Cluster.Whole())
}

// slotOf draws a slot of a shard that may move: any that the load uses but the
// first, by which the shard's master is known.
func (e *Env) slotOf(shard int) uint16 { return ShardSlots(shard)[1+e.Rand.IntN(shardSlots-1)] }

// thereAndBack moves a slot from one shard's master to another's and back.
func (e *Env) thereAndBack(ctx context.Context, slot uint16, from, to int) error {
	return errors.Join(e.migrateSlot(ctx, slot, to), e.migrateSlot(ctx, slot, from))
}

// twoShards draws two different shards and affects both.
func (e *Env) twoShards() (from, to int) {
	from = e.shard()
	to = (from + 1 + e.Rand.IntN(Shards-1)) % Shards
	e.Affect(to)
	return from, to
}

// migrateSlot moves one slot to the master of a shard, key by key, and dwells
// in the middle.
func (e *Env) migrateSlot(ctx context.Context, slot uint16, shard int) error {
	to, err := e.Cluster.Owner(shard)
	if err != nil {
		return err
	}
	from := e.Cluster.Master(slot)
	if from == to {
		return nil
	}
	if err := e.Cluster.BeginMigrate(slot, to); err != nil {
		return err
	}
	keys, err := from.Do("CLUSTER", "COUNTKEYSINSLOT", slot)
	if err != nil {
		return err
	}
	count, _ := keys.(int64)
	for i := range count {
		if _, err := e.Cluster.MigrateKeys(slot, 1); err != nil {
			return err
		}
		rest := time.Millisecond
		if i == count/2 {
			rest = 50 * time.Millisecond
		}
		if err := pause(ctx, rest); err != nil {
			break // The slot is closed in any case.
		}
	}
	return e.closeSlot(slot, from, to)
}

// closeSlot ends the migration of a slot. By the book the new owner hears of it
// first; else both send clients to each other for a moment.
func (e *Env) closeSlot(slot uint16, from, to *testredis.Node) error {
	if e.Rand.IntN(2) == 0 {
		return e.Cluster.FinishMigrate(slot)
	}
	if err := e.Cluster.moveAll(slot); err != nil {
		return err
	}
	_, err := from.Do("CLUSTER", "SETSLOT", slot, "NODE", to.ID())
	return errors.Join(err, e.Cluster.FinishMigrate(slot))
}

// migrateBulk moves all slots of a shard that the load uses.
func migrateBulk(ctx context.Context, e *Env) error {
	home, away := e.twoShards()
	slots := ShardSlots(home)[1:] // All that may move; see slotOf.
	err := e.until(ctx, 1500*time.Millisecond, func() error {
		for _, shard := range []int{away, home} {
			to, err := e.Cluster.Owner(shard)
			if err != nil {
				return err
			}
			if err := e.handOver(slots, to); err != nil {
				return err
			}
			// All have to agree before the slots go back: else Redis itself loses keys
			// within seconds. With that it still does so now and then; see OwnLoss.
			if err := e.Cluster.Whole(); err != nil {
				return err
			}
		}
		return nil
	})
	return errors.Join(err, e.Cluster.Whole())
}

// handOver gives slots to another master, one after the other by the book, while
// nothing gets through to the old owner or the new one. So to a client it looks
// like one step: the slots are elsewhere, with all their keys.
func (e *Env) handOver(slots []uint16, to *testredis.Node) error {
	from := e.Cluster.Master(slots[0])
	if from == nil || from == to {
		return fmt.Errorf("chaos: slot %d does not migrate to %s", slots[0], to.Addr())
	}
	relays := []*Relay{e.Cluster.Relay(from), e.Cluster.Relay(to)}
	for _, r := range relays {
		r.Hang()
	}
	err := e.carry(slots, from, to)
	for _, r := range relays {
		err = errors.Join(err, r.Restore())
	}
	if err != nil {
		return err
	}
	for _, slot := range slots { // Waits until all nodes know.
		if err := e.Cluster.FinishMigrate(slot); err != nil {
			return err
		}
	}
	return nil
}

// carry moves slots and their keys, tells the two masters, and looks whether the keys
// are there.
func (e *Env) carry(slots []uint16, from, to *testredis.Node) error {
	for _, slot := range slots {
		if err := e.Cluster.BeginMigrate(slot, to); err != nil {
			return err
		}
		if err := e.Cluster.moveAll(slot); err != nil {
			return err
		}
		for _, n := range []*testredis.Node{to, from} {
			if _, err := n.Do("CLUSTER", "SETSLOT", slot, "NODE", to.ID()); err != nil {
				return err
			}
		}
	}
	for _, slot := range slots { // While nobody writes.
		e.Cluster.arrived(slot)
	}
	return nil
}

// uncovered takes two slots of a shard from everybody, and gives them back.
func uncovered(ctx context.Context, e *Env) error {
	return e.disown(e.shard(), func() error { return e.Wait(ctx, time.Second) })
}

// clusterDown does the same while the nodes require full coverage.
func clusterDown(ctx context.Context, e *Env) error {
	e.affectAll()
	err := e.Cluster.ConfigAll("cluster-require-full-coverage", "yes")
	err = errors.Join(err, e.disown(e.Rand.IntN(Shards), func() error {
		return errors.Join(e.allDown(ctx), e.Wait(ctx, time.Second))
	}))
	return errors.Join(err, e.Cluster.ConfigAll("cluster-require-full-coverage", "no"), e.Cluster.Whole())
}

// allDown waits until all nodes say that the cluster is down.
func (e *Env) allDown(ctx context.Context) error {
	return eventually(ctx, changeLimit, func() error {
		for _, n := range e.Cluster.Nodes() {
			reply, err := n.Do("CLUSTER", "INFO")
			if err != nil {
				return err
			}
			if text, _ := reply.(string); !strings.Contains(text, "cluster_state:fail") {
				return fmt.Errorf("chaos: %s still says that the cluster works", n.Addr())
			}
		}
		return nil
	})
}

// disown takes two slots of a shard away from all nodes while do runs. The keys
// stay where they are.
func (e *Env) disown(shard int, do func() error) error {
	owner, err := e.Cluster.Owner(shard)
	if err != nil {
		return err
	}
	slots := []any{ShardSlots(shard)[2], ShardSlots(shard)[5]}
	// The owner first: the others learn from its packets what it owns.
	nodes := slices.DeleteFunc(e.Cluster.Nodes(), func(n *testredis.Node) bool { return n == owner })
	for _, n := range slices.Insert(nodes, 0, owner) {
		if _, err := n.Do(slices.Concat([]any{"CLUSTER", "DELSLOTS"}, slots)...); err != nil {
			return fmt.Errorf("chaos: %s: DELSLOTS: %w", n.Addr(), err)
		}
	}
	err = do()
	_, err2 := owner.Do(slices.Concat([]any{"CLUSTER", "ADDSLOTS"}, slots)...)
	return errors.Join(err, err2, e.Cluster.Whole())
}
