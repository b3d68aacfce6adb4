package chaos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"samaritan/internal/testredis"
)

const (
	// patience is cluster-node-timeout: nobody is failed over because the machine is busy.
	// What the cluster loses by that would look like a fault of the daemon.
	patience = time.Minute

	// nodeTimeout is that for faults in which a master that is silent for so long is to be
	// failed over.
	nodeTimeout = time.Second

	// wholeTimeout is how long the cluster may take to be whole again.
	wholeTimeout = 30 * time.Second

	// shardSlots is the number of slots of each shard that the load uses.
	shardSlots = 8
)

// Cluster is a Redis Cluster of three masters with one replica each in which
// every node tells the world the address of a [Relay] in front of it. A node
// keeps its relay when it restarts or moves.
//
// The nodes write what they were told to their append-only files before they
// reply, so a process that is killed and comes back has lost nothing. (With
// appendfsync everysec Redis may delay the write by up to two seconds while the
// disk is busy; "no" leaves the flushing to the kernel, which is not killed.)
type Cluster struct {
	*testredis.Cluster

	mu     sync.Mutex
	relays map[string]*Relay // Guarded by mu; by the node's id.

	moves slotMoves // Owned by whoever moves slots: one goroutine at a time.
}

// StartCluster starts a cluster and waits until it is whole. The context bounds
// the start only. The caller has to call Close.
func StartCluster(ctx context.Context) (*Cluster, error) {
	c := &Cluster{relays: map[string]*Relay{}}
	inner, err := testredis.Start(ctx, testredis.Options{
		Masters: Shards, Replicas: 1, NodeTimeout: patience, Announce: c.announce,
		Args: []string{
			"--appendonly", "yes", "--appendfsync", "no", "--auto-aof-rewrite-percentage", "0",
			"--cluster-require-full-coverage", "no",
			"--bind-source-addr", LinkSource,
			"--cluster-replica-validity-factor", "0", // A replica may always take over, whatever happened to its link.
			"--cluster-migration-barrier", "100", // Replicas stay with their shard.
			"--repl-ping-replica-period", "1", // CLUSTER SLOTS hides replicas that have received nothing.
			"--repl-backlog-size", "32mb", "--client-output-buffer-limit", "replica 0 0 0",
		},
	})
	if err != nil {
		return nil, errors.Join(err, c.closeRelays())
	}
	c.Cluster = inner
	c.newRound()
	return c, nil
}

// announce gives the node with this id a relay, or points the one it has at the
// node's new address.
func (c *Cluster) announce(id, addr string) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.relays[id]; r != nil {
		r.SetTarget(addr)
		return r.Port(), nil
	}
	r, err := NewRelay(addr)
	if err != nil {
		return 0, err
	}
	c.relays[id] = r
	return r.Port(), nil
}

// Close ends the nodes and the relays.
func (c *Cluster) Close() error { return errors.Join(c.Cluster.Close(), c.closeRelays()) }

// closeRelays closes all relays.
func (c *Cluster) closeRelays() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, r := range c.relays {
		errs = append(errs, r.Close())
	}
	return errors.Join(errs...)
}

// AnnouncedAddrs returns the addresses that clients use: those of the relays,
// in the order of Nodes.
func (c *Cluster) AnnouncedAddrs() []string {
	var addrs []string
	for _, n := range c.Nodes() {
		addrs = append(addrs, n.Announced())
	}
	return addrs
}

// Relay returns the relay in front of a node.
func (c *Cluster) Relay(n *testredis.Node) *Relay {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.relays[n.ID()]
}

// Relays returns the relays of all nodes, in the order of Nodes.
func (c *Cluster) Relays() []*Relay {
	var relays []*Relay
	for _, n := range c.Nodes() {
		relays = append(relays, c.Relay(n))
	}
	return relays
}

// ShardSlots returns the slots of a shard (0, 1 or 2) that the load uses: eight
// in a row, near the beginning of the shard's range.
func ShardSlots(shard int) []uint16 {
	var slots []uint16
	for i := range shardSlots {
		slots = append(slots, uint16(shard*5461+100+i))
	}
	return slots
}

// Owner returns the master of a shard: that of its first slot, which no fault
// moves away from its master.
func (c *Cluster) Owner(shard int) (*testredis.Node, error) {
	n := c.Master(ShardSlots(shard)[0])
	if n == nil {
		return nil, fmt.Errorf("chaos: shard %d has no master", shard)
	}
	return n, nil
}

// Pair returns the master of a shard and its replica.
func (c *Cluster) Pair(shard int) (master, replica *testredis.Node, err error) {
	if master, err = c.Owner(shard); err != nil {
		return nil, nil, err
	}
	replicas := c.Replicas(master)
	if len(replicas) == 0 {
		return nil, nil, fmt.Errorf("chaos: shard %d has no replica", shard)
	}
	return master, replicas[0], nil
}

// Whole waits until the cluster is whole: every node runs, and all agree on
// roles, slots and addresses; see [testredis.Cluster.WaitStable]. Then it looks whether
// Redis itself has lost keys; see [OwnLoss].
func (c *Cluster) Whole() error {
	if err := c.WaitStable(wholeTimeout); err != nil {
		return err
	}
	c.audit(c.movedSlots()...)
	return nil
}

// Kill ends a node with SIGKILL. Its address refuses connections from then on.
func (c *Cluster) Kill(n *testredis.Node) {
	n.Kill()
	c.Relay(n).Refuse()
}

// Restart starts a killed node again, and returns when it answers.
func (c *Cluster) Restart(n *testredis.Node) error {
	// First the relay, so that clients meet the node while it loads its data.
	if err := c.Relay(n).Restore(); err != nil {
		return err
	}
	return n.Restart()
}

// Readdress gives a node another address: a new relay, which the node announces.
// Connections to the old address are reset, and new ones refused.
func (c *Cluster) Readdress(n *testredis.Node) error {
	fresh, err := NewRelay(n.Addr())
	if err != nil {
		return err
	}
	c.mu.Lock()
	old := c.relays[n.ID()]
	c.relays[n.ID()] = fresh
	c.mu.Unlock()
	return errors.Join(n.Announce(fresh.Port()), old.Close())
}

// Remove takes a node out of the cluster for good, its relay too.
func (c *Cluster) Remove(n *testredis.Node) error {
	err := c.RemoveNode(n)
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.relays[n.ID()]
	delete(c.relays, n.ID())
	return errors.Join(err, r.Close())
}

// ConfigAll sets a configuration parameter on all running nodes.
func (c *Cluster) ConfigAll(name string, value any) error {
	var errs []error
	for _, n := range c.Nodes() {
		if n.Running() {
			_, err := n.Do("CONFIG", "SET", name, value)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// setNodeTimeout sets cluster-node-timeout on all running nodes.
func (c *Cluster) setNodeTimeout(d time.Duration) error {
	return c.ConfigAll("cluster-node-timeout", d.Milliseconds())
}

// infoOf returns the fields of a section of INFO.
func infoOf(n *testredis.Node, section string) (map[string]string, error) {
	reply, err := n.Do("INFO", section)
	if err != nil {
		return nil, err
	}
	text, _ := reply.(string)
	info := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[name] = value
		}
	}
	return info, nil
}
