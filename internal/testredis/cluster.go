package testredis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Options say what cluster to start. The zero value is three masters without
// replicas.
type Options struct {
	// Masters is the number of masters, 3 when 0. They share the slots evenly,
	// in order. A failover needs the votes of most masters: with fewer than
	// three there is none, except by FORCE or TAKEOVER.
	Masters int

	// Replicas is the number of replicas of each master, none when 0.
	Replicas int

	// NodeTimeout is cluster-node-timeout, 2 s when 0: a node that is silent
	// for so long is considered failing, and about a second later a replica
	// takes over. On a busy machine less than 500 ms fails over by itself.
	NodeTimeout time.Duration

	// Args are more arguments of every redis-server, such as
	// "--maxmemory", "10mb". They win over ours. With --requirepass the nodes
	// authenticate to each other, and so does Do.
	Args []string

	// Announce, when not nil, returns the port on 127.0.0.1 that a node tells
	// clients and other nodes instead of its own, such as that of a relay. It is
	// called with the node's id and address before the node starts for the first
	// time, and with its new address in Move. What it calls must not use the node.
	// MIGRATE and the commands of this package go to the node's own port,
	// replicas follow their master at the announced one.
	Announce func(id, addr string) (port int, err error)
}

// withDefaults returns o with its defaults filled in.
func (o Options) withDefaults() Options {
	o.Masters = cmp.Or(o.Masters, 3)
	o.NodeTimeout = cmp.Or(o.NodeTimeout, 2*time.Second)
	return o
}

// check returns what is wrong with o.
func (o Options) check() error {
	if o.Masters < 1 || o.Replicas < 0 || o.Masters*(1+o.Replicas) > 64 {
		return fmt.Errorf("testredis: cannot start %d masters with %d replicas each", o.Masters, o.Replicas)
	}
	return nil
}

// Cluster is a running Redis Cluster. Its methods ask the nodes; see the
// package comment.
type Cluster struct {
	// Immutable.
	options Options
	host    *host
	args    []string

	mu sync.Mutex
	// Guarded by mu.
	nodes []*Node
	open  map[uint16]migration // slots between BeginMigrate and FinishMigrate
}

// Start starts a cluster and returns when it is ready: cluster_state is ok on
// all nodes, all agree on who is what, replicas are in sync. The context bounds
// the start only. The caller has to call Close.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	h, err := newHost()
	if err != nil {
		return nil, err
	}
	timeout := strconv.FormatInt(o.NodeTimeout.Milliseconds(), 10)
	args := append([]string{"--cluster-node-timeout", timeout}, o.Args...)
	c := &Cluster{options: o, host: h, args: args, open: map[uint16]migration{}}
	if err := c.form(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("testredis: start a cluster: %w", err), h.close())
	}
	return c, nil
}

// Close kills all nodes and removes their files. It is idempotent.
func (c *Cluster) Close() error { return c.host.close() }

// Nodes returns all nodes, running or not: first the ones that began as
// masters, in the order of their slots, then the replicas of the first, and so
// on, then those added later.
func (c *Cluster) Nodes() []*Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.nodes)
}

// Addrs returns the addresses of Nodes.
func (c *Cluster) Addrs() []string {
	var addrs []string
	for _, n := range c.Nodes() {
		addrs = append(addrs, n.Addr())
	}
	return addrs
}

// Masters returns the nodes that are masters now, in the order of Nodes; the
// empty ones too, and one that is down until the others have given it up.
func (c *Cluster) Masters() []*Node {
	return c.filter(func(m *member) bool { return m.is("master") && !m.is("fail") })
}

// Replicas returns the nodes that are replicas of the given node now.
func (c *Cluster) Replicas(of *Node) []*Node {
	return c.filter(func(m *member) bool { return m.is("slave") && m.master == of.id })
}

// Master returns the node that owns the slot now, nil when nobody does. While
// its owner is down and not replaced, that is the one.
func (c *Cluster) Master(slot uint16) *Node {
	members := c.members()
	var owner *Node
	for _, n := range c.Nodes() {
		m := members[n]
		if m == nil || !m.owns(slot) {
			continue
		}
		// In the middle of a change two may claim it: the later epoch wins.
		if owner == nil || m.epoch > members[owner].epoch {
			owner = n
		}
	}
	return owner
}

// filter returns the nodes whose line satisfies keep, in the order of Nodes.
func (c *Cluster) filter(keep func(m *member) bool) []*Node {
	members := c.members()
	return slices.DeleteFunc(c.Nodes(), func(n *Node) bool {
		m := members[n]
		return m == nil || !keep(m)
	})
}

// members returns the line of each node: what it says of itself, or what
// another says of it when it does not answer.
func (c *Cluster) members() map[*Node]*member {
	reports, _ := c.reports() // Who does not answer is covered by the others.
	members := map[*Node]*member{}
	for _, r := range reports {
		for _, n := range c.Nodes() {
			if m := r.view[n.id]; m != nil && (n == r.node || members[n] == nil) {
				members[n] = m
			}
		}
	}
	return members
}

// reports asks all running nodes at the same time, and returns the answers in
// the order of Nodes next to the errors of the others.
func (c *Cluster) reports() ([]*report, error) {
	nodes := c.Nodes()
	all := make([]*report, len(nodes))
	err := each(nodes, func(i int, n *Node) (err error) {
		if n.Running() {
			all[i], err = ask(n)
		}
		return err
	})
	return slices.DeleteFunc(all, func(r *report) bool { return r == nil }), err
}

// WaitStable waits until the cluster works without the nodes that are killed
// or stopped: all others report cluster_state:ok, see each other, agree on
// roles and slots, and have replicas in sync; and no slot belongs to a node
// that is away. The error tells what was still missing when the time was over.
func (c *Cluster) WaitStable(timeout time.Duration) error {
	if err := poll(context.Background(), timeout, c.unstable); err != nil {
		return fmt.Errorf("testredis: the cluster is not stable after %v: %w", timeout, err)
	}
	return nil
}

// unstable returns why the cluster is not stable at the moment.
func (c *Cluster) unstable() error {
	reports, err := c.reports()
	if err != nil {
		return err
	}
	if len(reports) == 0 {
		return errors.New("no node is running")
	}
	var live []string
	for _, r := range reports {
		live = append(live, r.node.id)
	}
	return errors.Join(c.strangers(reports), agreed(reports, live))
}

// agreed returns the first disagreement between the reports of the live nodes.
func agreed(reports []*report, live []string) error {
	first := ""
	for i, r := range reports {
		if err := r.healthy(); err != nil {
			return err
		}
		text, err := r.describe(live)
		if err != nil {
			return err
		}
		if i > 0 && text != first {
			return fmt.Errorf("%s and %s disagree:\n%s%s", reports[0].node.Addr(), r.node.Addr(), first, text)
		}
		first = text
	}
	return nil
}

// strangers returns an error when somebody knows a node that is not ours (one
// in the middle of a handshake has a random name), one that is away and has
// slots, or one at an address that it no longer has.
func (c *Cluster) strangers(reports []*report) error {
	running := map[string]bool{}
	addrs := map[string]string{}
	for _, n := range c.Nodes() {
		running[n.id], addrs[n.id] = n.Running(), n.Announced()
	}
	for _, r := range reports {
		for id, m := range r.view {
			up, ours := running[id]
			switch {
			case !ours:
				return fmt.Errorf("%s knows the stranger %s, %v", r.node.Addr(), id, m.flags)
			case !up && len(m.slots) > 0:
				return fmt.Errorf("%s: the slots of node %s are not taken over", r.node.Addr(), id)
			case up && m.addr != addrs[id]:
				return fmt.Errorf("%s knows node %s at %s, not at %s", r.node.Addr(), id, m.addr, addrs[id])
			}
		}
	}
	return nil
}

// FlushAll empties all masters, and by that their replicas.
func (c *Cluster) FlushAll() error {
	return each(c.Masters(), func(_ int, n *Node) error {
		_, err := n.Do("FLUSHALL", "SYNC")
		return err
	})
}

// each calls f for all nodes at the same time and joins the errors.
func each(nodes []*Node, f func(i int, n *Node) error) error {
	errs := make([]error, len(nodes))
	var wg sync.WaitGroup
	for i, n := range nodes {
		wg.Go(func() { errs[i] = f(i, n) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
