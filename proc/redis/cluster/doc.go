// Package cluster knows what a Redis Cluster looks like: which slot a key belongs to, which node
// owns a slot, and what a node says when it was asked for a slot it does not own.
//
// A [Map] is an immutable picture of the cluster as one node saw it. It is made by [ParseSlots],
// [ParseShards] or [ParseNodes] from the reply of one CLUSTER command, and may then be read by any
// number of goroutines without locks. Publish it through an atomic.Pointer; on a change parse a new
// one and compare with [Map.Equal].
//
// The parsers trust nothing. They use the part of a reply that makes sense, leave out the rest, and
// fail only when nothing is left. They take memory in proportion to the bytes they were given, never
// to a count that those bytes claim; the caller bounds how much it reads.
//
// [Slot], [Map.Master], [ParseRedirect] and [ErrorKind] run once per request or reply and allocate
// nothing.
//
// The package opens no connection and starts no goroutine. It does not decide when to ask for a new
// map, nor which node to ask.
package cluster
