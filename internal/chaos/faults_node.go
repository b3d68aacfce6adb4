package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"samaritan/internal/testredis"
)

// nodeFaults happen to one process, and nobody takes over from it.
func nodeFaults() []Fault {
	return []Fault{
		{Name: "master-restart", Inflict: masterRestart, Help: "One master is killed with -9 and restarted at once from its append-only file."},
		{Name: "master-stop", Inflict: masterStop, Help: "One master is stopped with SIGSTOP for twice the request timeout, and continued."},
		{Name: "replica-restart", Inflict: replicaRestart, Help: "One replica is killed with -9, and restarted a moment later."},
		{Name: "replica-stop", Long: true, Inflict: replicaStop, Help: "One replica is stopped with SIGSTOP for twice the request timeout, and continued."},
		{Name: "replica-masterdown", Inflict: masterDown, Help: "One replica loses its master and answers MASTERDOWN."},
		{Name: "replica-loading", Inflict: loading, Help: "One replica synchronizes from scratch and answers LOADING for a while."},
	}
}

// failoverFaults make a replica the master.
func failoverFaults() []Fault {
	return []Fault{
		{Name: "failover", Inflict: failover, Help: "A replica takes over from its master by CLUSTER FAILOVER, and gives back."},
		{Name: "failover-kill", Inflict: failoverKill, Help: "One master is killed with -9 once its replica has all writes; the replica takes over, and the old master comes back."},
		{Name: "failover-kill-busy", Long: true, MayLose: true, Inflict: failoverKillBusy, Help: "One master is killed with -9 in the middle of its writes; " +
			"the replica takes over, and the old master comes back."},
	}
}

// masterRestart kills a master and starts it again.
func masterRestart(ctx context.Context, e *Env) error {
	return hurt(ctx, e, func(n *testredis.Node, _ *Relay) error {
		e.Cluster.Kill(n)
		return e.Cluster.Restart(n)
	})
}

// masterStop stops a master.
func masterStop(ctx context.Context, e *Env) error {
	return hurt(ctx, e, func(n *testredis.Node, _ *Relay) error { return e.freeze(ctx, n) })
}

// replicaStop stops a replica.
func replicaStop(ctx context.Context, e *Env) error {
	_, replica, err := e.Cluster.Pair(e.shard())
	if err != nil {
		return err
	}
	return errors.Join(e.freeze(ctx, replica), e.Cluster.Whole())
}

// freeze stops a node for twice the request timeout, and longer in the long form.
func (e *Env) freeze(ctx context.Context, n *testredis.Node) error {
	e.Logf("%s stands still", n.Announced())
	if err := n.Stop(); err != nil {
		return err
	}
	err := pause(ctx, max(2*RequestTimeout, e.Scaled(RequestTimeout)))
	return errors.Join(err, n.Continue())
}

// replicaRestart kills a replica and starts it again.
func replicaRestart(ctx context.Context, e *Env) error {
	_, replica, err := e.Cluster.Pair(e.shard())
	if err != nil {
		return err
	}
	e.Cluster.Kill(replica)
	err = e.Wait(ctx, 500*time.Millisecond)
	return errors.Join(err, e.Cluster.Restart(replica), e.Cluster.Whole())
}

// masterDown cuts a replica off from its master.
func masterDown(ctx context.Context, e *Env) error {
	master, replica, err := e.Cluster.Pair(e.shard())
	if err != nil {
		return err
	}
	if _, err := replica.Do("CONFIG", "SET", "replica-serve-stale-data", "no"); err != nil {
		return err
	}
	e.Cluster.Relay(master).Sever()
	err = errors.Join(e.linkDown(ctx, replica), e.Wait(ctx, time.Second))
	_, err2 := replica.Do("CONFIG", "SET", "replica-serve-stale-data", "yes")
	return errors.Join(err, e.Cluster.Relay(master).Restore(), err2, e.Cluster.Whole())
}

// linkDown waits until a replica has lost its master.
func (e *Env) linkDown(ctx context.Context, replica *testredis.Node) error {
	return eventually(ctx, changeLimit, func() error {
		info, err := infoOf(replica, "replication")
		if err == nil && info["master_link_status"] == "up" {
			err = errors.New("chaos: the replica still has its master")
		}
		return err
	})
}

// loading makes a replica load its master's data slowly.
func loading(ctx context.Context, e *Env) error {
	master, replica, err := e.Cluster.Pair(e.shard())
	if err != nil {
		return err
	}
	err = eventually(ctx, changeLimit, func() error { return e.loadSlowly(ctx, master, replica) })
	for _, cmd := range [][]any{
		{"CONFIG", "SET", "key-load-delay", 0},
		{"CONFIG", "SET", "loading-process-events-interval-bytes", 2 << 20},
	} {
		_, err2 := replica.Do(cmd...)
		err = errors.Join(err, err2)
	}
	return errors.Join(err, e.Cluster.Whole())
}

// loadSlowly makes the replica synchronize from scratch, at so many keys a
// second that it takes about a second, and returns once it is LOADING.
func (e *Env) loadSlowly(ctx context.Context, master, replica *testredis.Node) error {
	keys, err := master.Do("DBSIZE")
	if err != nil {
		return err
	}
	size, _ := keys.(int64)
	if size == 0 {
		return errors.New("chaos: there are no keys to load yet")
	}
	for _, cmd := range [][]any{
		{"CONFIG", "SET", "key-load-delay", e.Scaled(time.Second).Microseconds() / size},
		{"CONFIG", "SET", "loading-process-events-interval-bytes", 1024},
	} {
		if _, err := replica.Do(cmd...); err != nil {
			return err
		}
	}
	// A new replication id makes the backlog useless.
	for _, cmd := range [][]any{{"DEBUG", "CHANGE-REPL-ID"}, {"CLIENT", "KILL", "TYPE", "replica"}} {
		if _, err := master.Do(cmd...); err != nil {
			return err
		}
	}
	return eventually(ctx, changeLimit, func() error {
		info, err := infoOf(replica, "persistence")
		if err == nil && info["loading"] != "1" {
			err = errors.New("chaos: the replica does not load")
		}
		return err
	})
}

// failover makes replicas masters and back: of one shard in the short form.
func failover(ctx context.Context, e *Env) error {
	for range min(Shards, int(max(1, e.Scale))) {
		shard := e.shard()
		for range 2 {
			if err := e.takeOver(ctx, shard); err != nil {
				return err
			}
		}
	}
	return nil
}

// takeOver makes a shard's replica its master, in good order.
func (e *Env) takeOver(ctx context.Context, shard int) error {
	_, replica, err := e.Cluster.Pair(shard)
	if err != nil {
		return err
	}
	e.Logf("%s takes over", replica.Announced())
	// A replica that is not in sync yet is refused.
	err = eventually(ctx, changeLimit, func() error { return replica.Failover() })
	return errors.Join(err, e.Cluster.Whole())
}

// failoverKill kills a master after its last write has reached the replica.
func failoverKill(ctx context.Context, e *Env) error {
	return killed(ctx, e, func(master, replica *testredis.Node) error {
		if _, err := master.Do("CLIENT", "PAUSE", changeLimit.Milliseconds(), "WRITE"); err != nil {
			return err
		}
		return eventually(ctx, changeLimit, func() error { return inSync(master, replica) })
	})
}

// failoverKillBusy kills a master at any moment.
func failoverKillBusy(ctx context.Context, e *Env) error {
	return killed(ctx, e, func(_, _ *testredis.Node) error { return nil })
}

// killed kills a shard's master after prepare, waits until the replica is the
// master, and brings the old one back.
func killed(ctx context.Context, e *Env, prepare func(master, replica *testredis.Node) error) error {
	master, replica, err := e.Cluster.Pair(e.shard())
	if err != nil {
		return err
	}
	if err := prepare(master, replica); err != nil {
		_, err2 := master.Do("CLIENT", "UNPAUSE")
		return errors.Join(err, err2)
	}
	e.Logf("%s is killed", master.Announced())
	return e.impatient(func() error {
		e.Cluster.Kill(master)
		err := errors.Join(e.Cluster.Whole(), e.Wait(ctx, 200*time.Millisecond))
		return errors.Join(err, e.Cluster.Restart(master), e.Cluster.Whole())
	})
}

// inSync returns nil when a replica has all that its master has written.
func inSync(master, replica *testredis.Node) error {
	m, err := infoOf(master, "replication")
	if err != nil {
		return err
	}
	r, err := infoOf(replica, "replication")
	if err != nil {
		return err
	}
	if m["master_repl_offset"] != r["slave_repl_offset"] || r["slave_repl_offset"] == "" {
		return fmt.Errorf("chaos: the replica is at %s of %s", r["slave_repl_offset"], m["master_repl_offset"])
	}
	return nil
}
