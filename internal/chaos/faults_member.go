package chaos

import (
	"context"
	"errors"
	"time"

	"samaritan/internal/testredis"
)

// memberFaults change who belongs to the cluster, and where.
func memberFaults() []Fault {
	return []Fault{
		{Name: "address", Inflict: address, Help: "One master gets another address, and its old one refuses connections."},
		{Name: "replica-address", Long: true, Inflict: replicaAddress, Help: "One replica gets another address, and its old one refuses connections."},
		{Name: "node-added", Inflict: nodeAdded, Help: "A master is added and gets slots; it gives them back, is removed, and forgotten."},
	}
}

// address gives a master another address.
func address(_ context.Context, e *Env) error {
	n, err := e.Cluster.Owner(e.shard())
	if err != nil {
		return err
	}
	return e.readdress(n)
}

// replicaAddress gives a replica another address.
func replicaAddress(_ context.Context, e *Env) error {
	_, n, err := e.Cluster.Pair(e.shard())
	if err != nil {
		return err
	}
	return e.readdress(n)
}

// readdress gives a node another address and waits until all know it.
func (e *Env) readdress(n *testredis.Node) error {
	before := n.Announced()
	err := errors.Join(e.Cluster.Readdress(n), e.Cluster.Whole())
	e.Logf("%s is %s now", before, n.Announced())
	return err
}

// nodeAdded adds a master for a while.
func nodeAdded(ctx context.Context, e *Env) (err error) {
	shard := e.shard()
	n, err := e.Cluster.AddNode()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Cluster.Remove(n), e.Cluster.Whole()) }()
	e.Logf("%s is added", n.Announced())
	home, err := e.Cluster.Owner(shard)
	if err != nil {
		return err
	}
	slots := ShardSlots(shard)[3:7]
	for _, to := range []*testredis.Node{n, home} {
		for _, slot := range slots {
			if err := e.Cluster.MigrateSlot(slot, to); err != nil {
				return err
			}
		}
		if err := e.Wait(ctx, 300*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}
