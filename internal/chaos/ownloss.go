package chaos

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"samaritan/internal/testredis"
)

// OwnLoss is one slot whose keys Redis has deleted by itself.
//
// Seen with Redis 7.0.15 without any proxy, about once in a thousand times that a slot
// was given to another master: some 100 ms later the new owner drops all keys of
// the slot and goes on as their owner. It tells neither its log nor its replicas nor its
// append-only file, so its replicas keep the keys, and complain of BUSYKEY when they come a
// second time. Probably a late packet of the old owner that still claims the slot
// takes it away for a moment, and a node deletes what it has of a slot that it
// loses; by the next SETSLOT it owns the slot again, empty.
//
// A proxy can do none of this: it cannot make a master differ from its replica, nor
// delete a key with commands that do not.
type OwnLoss struct {
	Node string // announced address of the master that had the keys
	Slot uint16
	Had  int // keys that should be there
	Has  int // how many of them are
	By   string
}

// Ways to see it.
const (
	byCount   = "the count of the keys moved there"
	byReplica = "comparison with its replica"
	byLog     = "BUSYKEY in the log of its replica"
)

// String is for people.
func (l OwnLoss) String() string {
	return fmt.Sprintf("slot %d at %s: %d of %d keys are left, by %s", l.Slot, l.Node, l.Has, l.Had, l.By)
}

// slotMoves is what the slots of a cluster have done since the round began. It belongs
// to whoever moves slots.
type slotMoves struct {
	open   map[uint16]*passage
	to     map[uint16]map[*testredis.Node]bool // who got each slot
	logs   map[*testredis.Node]int64           // how long the logs were when the round began
	losses []OwnLoss                           // one for each node and slot at most
}

// passage is a slot that is open.
type passage struct {
	to   *testredis.Node
	keys int // moved so far
}

// newRound forgets the moves and losses of the round before.
func (c *Cluster) newRound() {
	c.moves = slotMoves{
		open: map[uint16]*passage{}, to: map[uint16]map[*testredis.Node]bool{}, logs: map[*testredis.Node]int64{},
	}
	for _, n := range c.Nodes() {
		if info, err := os.Stat(logOf(n)); err == nil {
			c.moves.logs[n] = info.Size()
		}
	}
}

// logOf returns the path of a node's log.
func logOf(n *testredis.Node) string { return filepath.Join(n.Dir(), "server.log") }

// ownLosses returns what Redis was seen to lose by itself since the round began.
func (c *Cluster) ownLosses() []OwnLoss { return c.moves.losses }

// lost notes a loss.
func (c *Cluster) lost(l OwnLoss) {
	if !c.known(l.Node, l.Slot) {
		c.moves.losses = append(c.moves.losses, l)
	}
}

// known reports whether a node's loss of a slot is noted.
func (c *Cluster) known(node string, slot uint16) bool {
	return slices.ContainsFunc(c.moves.losses, func(o OwnLoss) bool { return o.Node == node && o.Slot == slot })
}

// BeginMigrate is [testredis.Cluster.BeginMigrate]. From here on the slot is watched.
func (c *Cluster) BeginMigrate(slot uint16, to *testredis.Node) error {
	if err := c.Cluster.BeginMigrate(slot, to); err != nil {
		return err
	}
	c.moves.open[slot] = &passage{to: to}
	if c.moves.to[slot] == nil {
		c.moves.to[slot] = map[*testredis.Node]bool{}
	}
	c.moves.to[slot][to] = true
	return nil
}

// MigrateKeys is [testredis.Cluster.MigrateKeys].
func (c *Cluster) MigrateKeys(slot uint16, n int) (int, error) {
	moved, err := c.Cluster.MigrateKeys(slot, n)
	if p := c.moves.open[slot]; p != nil {
		p.keys += moved
	}
	return moved, err
}

// moveAll moves all keys of an open slot.
func (c *Cluster) moveAll(slot uint16) error {
	for n := 1; n > 0; {
		var err error
		if n, err = c.MigrateKeys(slot, 100); err != nil {
			return err
		}
	}
	return nil
}

// FinishMigrate is [testredis.Cluster.FinishMigrate], and looks whether the keys are
// there.
func (c *Cluster) FinishMigrate(slot uint16) error {
	if err := c.moveAll(slot); err != nil {
		return err
	}
	if err := c.Cluster.FinishMigrate(slot); err != nil {
		return err
	}
	c.arrived(slot)
	delete(c.moves.open, slot)
	c.audit(slot)
	return nil
}

// MigrateSlot is [testredis.Cluster.MigrateSlot], and looks whether the keys are there.
func (c *Cluster) MigrateSlot(slot uint16, to *testredis.Node) error {
	if err := c.BeginMigrate(slot, to); err != nil {
		return err
	}
	return c.FinishMigrate(slot)
}

// arrived looks whether all keys of an open slot that were moved are there. The
// load only adds keys, so it need not rest.
func (c *Cluster) arrived(slot uint16) {
	p := c.moves.open[slot]
	if p == nil {
		return
	}
	counts, err := countsOf(p.to, []uint16{slot})
	if err == nil && counts[0] < p.keys {
		c.lost(OwnLoss{Node: p.to.Announced(), Slot: slot, Had: p.keys, Has: counts[0], By: byCount})
	}
}

// movedSlots returns the slots that were opened since the round began.
func (c *Cluster) movedSlots() []uint16 { return slices.Sorted(maps.Keys(c.moves.to)) }
