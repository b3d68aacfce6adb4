// Package chaos proves the bad day: it hurts a real Redis Cluster behind a real
// samaritan process while clients load it, and checks after each hurt that
// nothing was lost, doubled, reordered or given to the wrong client.
//
// # Model
//
// A [Suite] has a [Cluster] (three masters with a replica each, every node
// behind a relay), a [Daemon] (the samaritan process, with one service that
// reads from masters and one that reads from both), and a load. [Suite.Run] does one
// [Fault] and returns its [Result]: the load starts on fresh keys, the fault is
// inflicted, all shards have to succeed again, the load runs on for a while,
// pauses, and its ledger is compared with what the cluster holds.
//
// # The load and its ledger
//
// A dozen clients, half of them go-redis with its pool and half raw RESP2 and
// RESP3 connections, send batches of 1 to 100 commands. What each command was
// answered goes to a ledger: counters (INCR), lists (RPUSH), texts (APPEND),
// registers (SET and MSET of one client) and check values (SET by anybody, with
// the key in the value). Every reply is checked at once, against all that its
// client knows; the rest is checked at the end of the fault.
//
// An error leaves open whether its command was executed, except for the few that
// say that it was not (see certain). So a counter ends between the
// acknowledged commands and those plus the open ones, a list has each
// acknowledged element once and in order and each open one at most once, and a
// register has its last acknowledged value or a later open one.
//
// # What is a violation
//
// A wrong reply, a wrong ledger, a reply later than [replyLimit], a connection
// that the daemon closed, errors for keys of shards that the fault does not touch,
// shards that do not recover within [recoverLimit], memory, descriptors,
// goroutines or client connections that do not come back, and a daemon that
// ended or printed a stack. But when Redis itself was seen to delete the keys of a
// slot that moved (see [OwnLoss]), the result says so, and data of that slot
// that is gone with its keys, in a way that fits, is no violation. All else is one in
// that slot as well: an element out of order, one that is missing behind another, a
// value that is wrong or too high. Gaps and latencies are measured and reported; they
// decide nothing, as they are as much the machine's as the daemon's.
//
// # Who owns what
//
// Each client is one goroutine that owns its connection and its part of the
// ledger; between the batches it passes a gate, and while that is shut the suite
// owns all ledgers. One prober per shard measures. What clients share (counts of
// errors, violations, values of shared keys) is behind one mutex.
//
// The package prints nothing and decides nothing about the process; see cmd/chaos.
package chaos
