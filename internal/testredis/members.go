package testredis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// AddNode adds a master without slots and returns when all nodes know it and
// it is ready to take slots.
func (c *Cluster) AddNode() (*Node, error) {
	others, epoch, err := c.memberLines()
	if err != nil {
		return nil, err
	}
	n, err := c.newMember()
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	// It knows the others from its nodes.conf; they get to know it by meeting.
	if err := n.startMaster(ctx, "", others, epoch); err != nil {
		return nil, c.drop(n, err)
	}
	if err := c.join(ctx, n); err != nil {
		return nil, c.drop(n, err)
	}
	return n, nil
}

// AddReplica adds a replica of a master and returns when it is in sync and all
// nodes know it.
func (c *Cluster) AddReplica(of *Node) (*Node, error) {
	n, err := c.newMember()
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	if err := n.first(ctx, loneConfig); err != nil {
		return nil, c.drop(n, err)
	}
	if err := c.settle(ctx, 0, c.acquainted); err != nil {
		return nil, c.drop(n, err)
	}
	if _, err := n.Do("CLUSTER", "REPLICATE", of.id); err != nil {
		return nil, c.drop(n, err)
	}
	if err := c.join(ctx, n); err != nil {
		return nil, c.drop(n, err)
	}
	return n, nil
}

// join lets a fresh node meet the others and ends its special treatment.
func (c *Cluster) join(ctx context.Context, n *Node) error {
	if err := c.settle(ctx, 0, c.unstable); err != nil {
		return err
	}
	return c.requireCoverage([]*Node{n})
}

// drop takes a node that could not be added out of the list again, and returns
// the reason.
func (c *Cluster) drop(n *Node, reason error) error {
	n.shut()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes = slices.DeleteFunc(c.nodes, func(o *Node) bool { return o == n })
	return fmt.Errorf("testredis: add a node: %w", reason)
}

// memberLines returns the lines of all nodes for the nodes.conf of a new one,
// and the highest epoch in them.
func (c *Cluster) memberLines() (lines string, epoch uint64, err error) {
	var text strings.Builder
	for _, m := range c.members() {
		if m.is("fail") || m.is("noaddr") {
			continue
		}
		text.WriteString(strings.Replace(m.line, "myself,", "", 1) + "\n")
		epoch = max(epoch, m.epoch)
	}
	if text.Len() == 0 {
		return "", 0, errors.New("testredis: add a node: no node is running")
	}
	return text.String(), epoch, nil
}

// RemoveNode takes a node out of the cluster: its slots go to the other
// masters in equal parts, with their keys, its replicas to one of them; then
// its process is killed and all others forget it. A node that is down is only
// forgotten, and must not own slots.
func (c *Cluster) RemoveNode(n *Node) error {
	if n.Running() {
		if err := c.clear(n); err != nil {
			return err
		}
	}
	n.shut() // Before the others forget it, or it would go on talking to them.
	c.mu.Lock()
	c.nodes = slices.DeleteFunc(c.nodes, func(o *Node) bool { return o == n })
	c.mu.Unlock()
	return poll(context.Background(), changeTimeout, func() error { return c.forgotten(n) })
}

// forgotten makes the nodes that know a removed node forget it, and returns
// nil when none does. It takes several calls: a replica refuses to forget its
// master until it has heard of the new one, and a handshake that was under way
// brings a node back.
func (c *Cluster) forgotten(removed *Node) error {
	reports, err := c.reports()
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range reports {
		if r.view[removed.id] != nil {
			_, err := r.node.Do("CLUSTER", "FORGET", removed.id)
			errs = append(errs, fmt.Errorf("testredis: %s knew the removed node: %w", r.node.Addr(), cmp.Or(err, errStill)))
		}
	}
	return errors.Join(append(errs, c.strangers(reports))...)
}

// errStill is the reason to ask again after a FORGET that went well.
var errStill = errors.New("just now")

// clear moves slots and replicas away from a master.
func (c *Cluster) clear(n *Node) error {
	slots := c.slotsAt(n)
	heirs := slices.DeleteFunc(c.Masters(), func(o *Node) bool { return o == n || !o.Running() })
	if len(slots) == 0 {
		return nil
	}
	if len(heirs) == 0 {
		return fmt.Errorf("testredis: remove %s: no other master", n.Addr())
	}
	replicas := c.Replicas(n)
	for i, heir := range heirs {
		part := slots[i*len(slots)/len(heirs) : (i+1)*len(slots)/len(heirs)]
		if err := openSlots(part, n, heir); err != nil {
			return err
		}
		if err := c.closeSlots(part, n, heir); err != nil {
			return err
		}
	}
	return each(replicas, func(_ int, r *Node) error {
		if !r.Running() {
			return nil
		}
		_, err := r.Do("CLUSTER", "REPLICATE", heirs[0].id)
		return err
	})
}

// slotsAt returns the slots that n owns.
func (c *Cluster) slotsAt(n *Node) []uint16 {
	var slots []uint16
	m := c.members()[n]
	for slot := range uint16(slotCount) {
		if m != nil && m.owns(slot) {
			slots = append(slots, slot)
		}
	}
	return slots
}
