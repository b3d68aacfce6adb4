package testredis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// migrateTimeout is how long one MIGRATE may take, in milliseconds.
const migrateTimeout = 5000

// migration is a slot on its way from one master to another.
type migration struct{ from, to *Node }

// MigrateSlot moves a slot with all its keys to another master. Clients see
// ASK and TRYAGAIN meanwhile, and MOVED after. It returns when all running
// nodes know.
func (c *Cluster) MigrateSlot(slot uint16, to *Node) error {
	if err := c.BeginMigrate(slot, to); err != nil {
		return err
	}
	return c.FinishMigrate(slot)
}

// BeginMigrate opens a slot (IMPORTING at the new master, MIGRATING at its
// owner) and leaves it there: keys that do not exist are now answered with ASK.
func (c *Cluster) BeginMigrate(slot uint16, to *Node) error {
	from, err := c.owner(slot)
	if err != nil {
		return fmt.Errorf("testredis: migrate slot %d: %w", slot, err)
	}
	if from == to {
		return fmt.Errorf("testredis: migrate slot %d: %s has it already", slot, to.Addr())
	}
	c.mu.Lock()
	_, open := c.open[slot]
	c.mu.Unlock()
	if open {
		return fmt.Errorf("testredis: migrate slot %d: it is migrating already", slot)
	}
	if err := openSlots([]uint16{slot}, from, to); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[slot] = migration{from, to}
	return nil
}

// owner waits until a node says that it has the slot: while one gives it to another they may
// be asked in an order in which none does.
func (c *Cluster) owner(slot uint16) (n *Node, err error) {
	err = poll(context.Background(), changeTimeout, func() error {
		if n = c.Master(slot); n == nil {
			return errors.New("it has no owner")
		}
		return nil
	})
	return n, err
}

// MigrateKeys moves at most n keys of an open slot and returns how many it
// moved; fewer than n when no more are left.
func (c *Cluster) MigrateKeys(slot uint16, n int) (int, error) {
	m, err := c.opened(slot)
	if err != nil {
		return 0, err
	}
	return moveKeys(slot, n, m.from, m.to)
}

// FinishMigrate moves the keys that are left in an open slot and gives it to
// its new master. It returns when all running nodes know.
func (c *Cluster) FinishMigrate(slot uint16) error {
	m, err := c.opened(slot)
	if err != nil {
		return err
	}
	if err := c.closeSlots([]uint16{slot}, m.from, m.to); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, slot)
	return nil
}

// opened returns the migration of an open slot.
func (c *Cluster) opened(slot uint16) (migration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m, ok := c.open[slot]
	if !ok {
		return m, fmt.Errorf("testredis: slot %d is not migrating", slot)
	}
	return m, nil
}

// openSlots opens slots, at the new master first: from the moment the old one
// sends clients away, the new one must let them in.
func openSlots(slots []uint16, from, to *Node) error {
	if err := setSlots(to, slots, "IMPORTING", from.id); err != nil {
		return err
	}
	return setSlots(from, slots, "MIGRATING", to.id)
}

// closeSlots moves all keys of open slots and then tells the new owner to all
// masters: itself first (it takes a new epoch for it), then the old one, which
// must not give up the slots before there is somebody to take them.
func (c *Cluster) closeSlots(slots []uint16, from, to *Node) error {
	full, err := occupied(slots, from)
	if err != nil {
		return err
	}
	for _, slot := range full {
		for n := 1; n > 0; {
			if n, err = moveKeys(slot, 100, from, to); err != nil {
				return err
			}
		}
	}
	masters := slices.DeleteFunc(c.Masters(), func(n *Node) bool { return n == from || n == to || !n.Running() })
	if err := takeSlots(to, slots); err != nil {
		return err
	}
	for _, n := range append([]*Node{from}, masters...) {
		err := setSlots(n, slots, "NODE", to.id)
		if err != nil && !isReplica(err) {
			return err
		}
	}
	return c.settle(context.Background(), announceFirst, func() error { return c.notTaken(slots, to) })
}

// takeSlots makes a node the owner of slots it is importing. For each slot that
// is still importing Redis tells the news to all nodes, which for thousands of
// slots keeps the nodes busy for seconds. So only the last one goes that way
// (it brings the new epoch, for all), and for the others importing is ended
// before.
func takeSlots(n *Node, slots []uint16) error {
	last := len(slots) - 1
	cmds := [][]any{{"MULTI"}}
	for _, slot := range slots[:last] {
		cmds = append(cmds, []any{"CLUSTER", "SETSLOT", slot, "STABLE"}, []any{"CLUSTER", "SETSLOT", slot, "NODE", n.id})
	}
	replies, err := n.pipeline(append(cmds, []any{"EXEC"})...)
	if err != nil {
		return err
	}
	results, ok := replies[len(replies)-1].([]any)
	if !ok || slices.ContainsFunc(results, func(v any) bool { return v != "OK" }) {
		return fmt.Errorf("testredis: %s: take %d slots: %v", n.Addr(), len(slots), replies[len(replies)-1])
	}
	return setSlots(n, slots[last:], "NODE", n.id)
}

// notTaken returns an error until all running nodes know that the slots are
// the owner's, and with which epoch. Not knowing the epoch is a danger: the
// next owner would not choose a higher one, and lose the slot with all keys to
// a late packet of this one.
func (c *Cluster) notTaken(slots []uint16, owner *Node) error {
	reports, err := c.reports()
	if err != nil {
		return err
	}
	self := c.members()[owner]
	for _, r := range reports {
		m := r.view[owner.id]
		if m == nil || self == nil || m.epoch != self.epoch || slices.ContainsFunc(slots, func(s uint16) bool { return !m.owns(s) }) {
			return fmt.Errorf("testredis: %s has not heard of the new owner of slot %d", r.node.Addr(), slots[0])
		}
	}
	return nil
}

// occupied returns those slots in which the node has keys.
func occupied(slots []uint16, n *Node) ([]uint16, error) {
	var cmds [][]any
	for _, slot := range slots {
		cmds = append(cmds, []any{"CLUSTER", "COUNTKEYSINSLOT", slot})
	}
	replies, err := n.pipeline(cmds...)
	if err != nil {
		return nil, err
	}
	var full []uint16
	for i, reply := range replies {
		if reply != int64(0) {
			full = append(full, slots[i])
		}
	}
	return full, nil
}

// isReplica reports whether SETSLOT failed because the node is no master: one
// that hears of the loss of its last slot becomes a replica of the new owner.
func isReplica(err error) bool {
	e := Error("")
	return errors.As(err, &e) && strings.Contains(string(e), "only with masters")
}

// setSlots sends CLUSTER SETSLOT slot state id for all slots in one pipeline.
func setSlots(n *Node, slots []uint16, state, id string) error {
	var cmds [][]any
	for _, slot := range slots {
		cmds = append(cmds, []any{"CLUSTER", "SETSLOT", slot, state, id})
	}
	replies, err := n.pipeline(cmds...)
	if err != nil {
		return err
	}
	for i, reply := range replies {
		if e, ok := reply.(Error); ok {
			return fmt.Errorf("testredis: %s: SETSLOT %d %s: %w", n.Addr(), slots[i], state, e)
		}
	}
	return nil
}

// moveKeys moves at most n keys of a slot, and returns the number of keys it
// found.
func moveKeys(slot uint16, n int, from, to *Node) (int, error) {
	reply, err := from.Do("CLUSTER", "GETKEYSINSLOT", slot, n)
	if err != nil {
		return 0, err
	}
	keys, _ := reply.([]any)
	if len(keys) == 0 {
		return 0, nil
	}
	cmd := []any{"MIGRATE", "127.0.0.1", to.Port(), "", 0, migrateTimeout}
	if to.password != "" {
		cmd = append(cmd, "AUTH", to.password)
	}
	cmd = append(append(cmd, "KEYS"), keys...)
	if _, err := from.Do(cmd...); err != nil {
		return 0, fmt.Errorf("testredis: migrate slot %d from %s to %s: %w", slot, from.Addr(), to.Addr(), err)
	}
	return len(keys), nil
}
