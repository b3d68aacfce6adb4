// Package command is the one static table of Redis commands and of what the proxy needs to know
// of each: arity, flags, where the keys are, how to split and merge it, and who answers it.
//
// The model: rows_*.go hold one line per command, grouped as in Redis' documentation. They are
// turned once, before main starts, into Info records with dense IDs and into an open-addressing
// hash table. From then on everything is read-only, so all goroutines and loops share it without
// locks. Lookup, Resolve, Sub and Keys allocate nothing.
//
// The reference is Redis 7.0: a test reads COMMAND from a real server and compares every fact, and
// asks its COMMAND GETKEYS about a long list of command lines. Newer commands of Redis and Valkey
// and those of common modules are in the table with their Origin and Since; they are not checked
// against a server of that version. To add or correct a command of the reference, run that test: it
// prints the line to paste, all but the Handling.
//
// What the proxy does with a command is its Handling; every command has exactly one:
//
//	Route       sent to the node that owns the slot of its keys; Split says if it is cut by slot first
//	Local       answered by the proxy itself
//	Scan        SCAN: the walk over all nodes
//	AnyNode     no keys; one node answers for all
//	AllMasters  no keys; every master runs it, the replies are merged as Merge says
//	AllNodes    the same with the replicas
//	Refused     answered with an error of the proxy, of the class in Reason
//
// A Route command may turn out to have no keys in one call (EVAL with numkeys 0, or arguments that
// Redis refuses). Such a call goes to any node: the node then gives Redis' own reply or error.
//
// The package does not parse frames, does not hash keys and does not talk to servers.
package command
