package chaos

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"samaritan/internal/testredis"
)

const (
	// caughtUpLimit is how long a replica may take to catch up; else it proves nothing.
	caughtUpLimit = time.Second

	// enoughLooks is how often a difference has to be seen: the last writes of a load that
	// has just come to rest may still be executed.
	enoughLooks = 5

	// mostKeys is the number of keys of a slot that are compared, more than there are.
	mostKeys = 10_000
)

// couple is a master and a replica in sync with it.
type couple struct{ master, replica *testredis.Node }

// couples returns all of them, as the replicas see it. Nodes that do not answer are
// left out.
func (c *Cluster) couples() (all []couple) {
	nodes := c.Nodes()
	for _, n := range nodes {
		if !n.Running() {
			continue
		}
		r, err := roleOf(n)
		if err != nil || !r.linked {
			continue
		}
		for _, m := range nodes {
			if m.Running() && m.Announced() == r.master {
				all = append(all, couple{m, n})
			}
		}
	}
	return all
}

// audit compares, of some slots, the keys of each master with those of its
// replicas. Not only the owner's: a node that has lost keys while it gave the
// slot away owns it no longer. The load may run, as it deletes nothing; but nobody
// may move slots. Who does not answer proves nothing.
func (c *Cluster) audit(moved ...uint16) {
	if len(moved) == 0 {
		return
	}
	for _, p := range c.couples() {
		// The replica first: what comes in between is more at the master.
		copied, err := countsOf(p.replica, moved)
		if err != nil {
			continue
		}
		counts, err := countsOf(p.master, moved)
		for i, slot := range moved {
			if err == nil && copied[i] > counts[i] {
				c.compare(p, slot, keysOf)
			}
		}
	}
}

// auditAll is audit for all slots that have moved, and compares the values as well: keys
// may have been written again. It takes the logs into account, too. The load rests.
func (c *Cluster) auditAll() {
	moved := c.movedSlots()
	if len(moved) == 0 {
		return
	}
	couples := c.couples()
	for _, p := range couples {
		for _, slot := range moved {
			c.compare(p, slot, digestsOf)
		}
	}
	for _, p := range couples {
		if refused := c.refused(p.replica); refused > 0 {
			c.blame(p, refused)
		}
	}
}

// compare notes a loss when the replica has keys in a slot that the master has not, or
// other values of them, and that is not because it has yet to catch up.
func (c *Cluster) compare(p couple, slot uint16, read func(*testredis.Node, uint16) (map[string]string, error)) {
	if c.known(p.master.Announced(), slot) {
		return
	}
	looks := 0
	_ = eventually(context.Background(), caughtUpLimit, func() error { // What cannot be read proves nothing.
		had, has, err := p.difference(slot, read)
		if err != nil || has == had {
			return err
		}
		if looks++; looks < enoughLooks {
			return fmt.Errorf("chaos: slot %d differs", slot)
		}
		c.lost(OwnLoss{Node: p.master.Announced(), Slot: slot, Had: had, Has: has, By: byReplica})
		return nil
	})
}

// difference returns how many keys a replica in sync has in a slot, and how many
// of them its master has as well.
func (p couple) difference(slot uint16, read func(*testredis.Node, uint16) (map[string]string, error)) (had, has int, err error) {
	if err := p.caughtUp(); err != nil {
		return 0, 0, err
	}
	copied, err := read(p.replica, slot)
	if err != nil {
		return 0, 0, err
	}
	there, err := read(p.master, slot)
	for k, v := range copied {
		if value, ok := there[k]; ok && value == v {
			has++
		}
	}
	return len(copied), has, err
}

// caughtUp returns nil when the replica has all that the master has written by now.
func (p couple) caughtUp() error {
	m, err := roleOf(p.master)
	if err != nil {
		return err
	}
	r, err := roleOf(p.replica)
	if err != nil {
		return err
	}
	if !r.linked || r.offset < m.offset {
		return fmt.Errorf("chaos: %s is behind its master", p.replica.Addr())
	}
	return nil
}

// refused returns how many keys a replica was sent since the round began that it had, and
// its master had not.
func (c *Cluster) refused(n *testredis.Node) int {
	f, err := os.Open(logOf(n))
	if err != nil {
		return 0
	}
	defer f.Close()
	if _, err := f.Seek(c.moves.logs[n], io.SeekStart); err != nil {
		return 0
	}
	text, _ := io.ReadAll(f) // what cannot be read proves nothing
	return bytes.Count(text, []byte("BUSYKEY"))
}

// blame notes losses for keys that a replica has refused. The log does not name them. If
// no other loss of its master explains them, any slot may be it that has come
// there.
func (c *Cluster) blame(p couple, refused int) {
	node := p.master.Announced()
	if slices.ContainsFunc(c.moves.losses, func(l OwnLoss) bool { return l.Node == node }) {
		return
	}
	for _, slot := range c.movedSlots() {
		if c.moves.to[slot][p.master] || c.moves.to[slot][p.replica] {
			c.lost(OwnLoss{Node: node, Slot: slot, Had: refused, By: byLog})
		}
	}
}
