package testredis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// announceFirst is when nodes are made to talk to each other again for the
// first time while a cluster forms; by themselves they would do so once a
// second. Each further pause is twice as long: on a busy machine the news are
// under way and more of them only delay them.
const announceFirst = 150 * time.Millisecond

// form starts the nodes of a new cluster and makes them meet.
func (c *Cluster) form(ctx context.Context) error {
	o := c.options
	for range o.Masters * (1 + o.Replicas) {
		if _, err := c.newMember(); err != nil {
			return err
		}
	}
	nodes := c.Nodes()
	masters, replicas := nodes[:o.Masters], nodes[o.Masters:]
	err := each(nodes, func(i int, n *Node) error {
		if i >= o.Masters {
			return n.first(ctx, loneConfig, "--cluster-require-full-coverage", "no")
		}
		return n.startMaster(ctx, spanOf(i, o.Masters).String(), "", uint64(i))
	})
	if err != nil {
		return err
	}
	if err := c.settle(ctx, 0, c.acquainted); err != nil {
		return err
	}
	err = each(replicas, func(i int, n *Node) error {
		_, err := n.Do("CLUSTER", "REPLICATE", masters[i/o.Replicas].id)
		return err
	})
	if err != nil {
		return err
	}
	if err := c.settle(ctx, 0, c.unstable); err != nil {
		return err
	}
	return c.requireCoverage(nodes)
}

// newMember makes a node and adds it to the cluster's list.
func (c *Cluster) newMember() (*Node, error) {
	n, err := c.host.newNode(newID(), c.args)
	if err != nil {
		return nil, err
	}
	n.announce = c.options.Announce
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes = append(c.nodes, n)
	return n, nil
}

// spanOf returns the slots of master i of n.
func spanOf(i, n int) span {
	return span{uint16(i * slotCount / n), uint16((i+1)*slotCount/n - 1)}
}

// loneConfig is the nodes.conf of a node that knows nobody. It only serves to
// give the node its id.
func loneConfig(n *Node) string {
	return selfLine(n, "master -") + varsLine(0)
}

// startMaster starts a node that becomes the master of the slots without the
// two seconds that Redis would have it wait; see the package comment. The
// others are lines of nodes that it shall know from the beginning. Its config
// epoch will be one more than epoch, or more than the highest of the others.
func (n *Node) startMaster(ctx context.Context, slots, others string, epoch uint64) error {
	phantom := newID()
	seed := func(n *Node) string {
		line := words(phantom, ":0@0 master,noaddr - 0 0", fmt.Sprint(epoch), "disconnected", slots)
		return selfLine(n, "slave "+phantom) + line + "\n" + others + varsLine(epoch)
	}
	// A node that owns a part of the slots and knows no other is not to mind.
	if err := n.first(ctx, seed, "--cluster-require-full-coverage", "no"); err != nil {
		return err
	}
	if err := poll(ctx, changeTimeout, n.stateOK); err != nil {
		return err
	}
	if err := n.Failover("TAKEOVER"); err != nil {
		return err
	}
	_, err := n.Do("CLUSTER", "FORGET", phantom)
	return err
}

// stateOK returns nil once the node says that the cluster works.
func (n *Node) stateOK() error {
	reply, err := n.Do("CLUSTER", "INFO")
	if err != nil {
		return err
	}
	if state := fields(reply)["cluster_state"]; state != "ok" {
		return fmt.Errorf("testredis: %s: cluster_state is %s", n.Addr(), state)
	}
	return nil
}

// settle waits until check returns nil, and lets the nodes meet, after a first
// delay and again and again. Between nodes that know each other already a
// CLUSTER MEET is a ping at once: it carries the sender's role and slots.
func (c *Cluster) settle(ctx context.Context, delay time.Duration, check func() error) error {
	next, pause := time.Now().Add(delay), announceFirst
	return poll(ctx, changeTimeout, func() error {
		err := check()
		if err != nil && !time.Now().Before(next) {
			c.announce()
			next, pause = time.Now().Add(pause), 2*pause
		}
		return err
	})
}

// announce makes every running node meet every other. Errors show in the check
// of settle, or do not matter.
func (c *Cluster) announce() {
	nodes := c.Nodes()
	_ = each(nodes, func(i int, n *Node) error {
		if !n.Running() {
			return nil
		}
		var cmds [][]any
		for j, other := range nodes {
			if j != i && other.Running() {
				cmds = append(cmds, meet(other))
			}
		}
		_, err := n.pipeline(cmds...)
		return err
	})
}

// meet returns the command that introduces n to the node it is sent to.
func meet(n *Node) []any {
	n.mu.Lock()
	defer n.mu.Unlock()
	return []any{"CLUSTER", "MEET", "127.0.0.1", n.toldLocked(), n.bus.number}
}

// acquainted returns nil when every running node knows every node by its name.
func (c *Cluster) acquainted() error {
	reports, err := c.reports()
	if err != nil {
		return err
	}
	for _, r := range reports {
		for _, n := range c.Nodes() {
			if m := r.view[n.id]; m == nil || m.is("handshake") {
				return fmt.Errorf("%s does not know %s", r.node.Addr(), n.Addr())
			}
		}
	}
	return nil
}

// requireCoverage sets cluster-require-full-coverage on fresh nodes to what a
// restart gives them too: the user's choice, or Redis' own default.
func (c *Cluster) requireCoverage(nodes []*Node) error {
	value := argument(c.args, "--cluster-require-full-coverage")
	if value == "" {
		value = "yes"
	}
	return each(nodes, func(_ int, n *Node) error {
		_, err := n.Do("CONFIG", "SET", "cluster-require-full-coverage", value)
		return err
	})
}

// newID returns a random node id: 40 hexadecimal digits.
func newID() string {
	var id [20]byte
	rand.Read(id[:]) // Never fails.
	return hex.EncodeToString(id[:])
}

// selfLine returns the first line of a node's nodes.conf, for a node that is
// about to start.
func selfLine(n *Node, role string) string {
	return fmt.Sprintf("%s 127.0.0.1:%d@%d myself,%s 0 0 0 connected\n", n.id, n.toldLocked(), n.bus.number, role)
}

// varsLine returns the last line of a nodes.conf.
func varsLine(epoch uint64) string {
	return fmt.Sprintf("vars currentEpoch %d lastVoteEpoch 0\n", epoch)
}

// words joins what is not empty with spaces.
func words(text ...string) string {
	return strings.Join(slices.DeleteFunc(text, func(s string) bool { return s == "" }), " ")
}
