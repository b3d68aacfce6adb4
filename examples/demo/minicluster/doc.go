// Package minicluster is a small Redis Cluster inside the process: a few
// masters over miniredis that share the slots and send a client to the right
// one. It lets the demo run on a machine without redis-server.
//
// Each node is a miniredis server with a hook in front of its commands. The
// hook answers what belongs to a cluster (CLUSTER, READONLY, ASKING, INFO),
// and looks up the keys of every other command: keys in different slots get
// CROSSSLOT, keys of another node MOVED, and only the rest reaches miniredis.
// The layout never changes after [Start], so the hooks, which run on the
// goroutine of each connection, share it without locks.
//
// A script must not call CLUSTER or INFO: it holds the lock of the node's keys,
// which these commands want to count.
//
// It is no model of a real cluster's behaviour under failure: it has no
// replicas, no failover, no migration and no cluster bus, and of the commands
// it knows those of miniredis. Tests of the proxy run against real servers
// (package internal/testredis).
package minicluster
