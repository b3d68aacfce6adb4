// Package restart proves the hot restart: it restarts a real samaritan process in front of a
// real Redis Cluster again and again while clients use it, lets restarts fail in every way,
// and checks that no client notices more than it has to.
//
// # Model
//
// A [Daemon] is what an operator has: a directory with a binary, a config, a pid file and a
// log, and an admin address. Which process serves behind it changes. The processes are
// grandchildren of this one, at least; the [Reaper] takes them in, so that none is left
// behind unnoticed.
//
// [RunChain] is the long test: a [chaos.Crowd] of clients of four kinds, each of which
// opens its connection once and keeps a ledger; newcomers, who connect, do one command
// and leave; and a scraper, for whom no counter may go back. Everything that goes wrong in
// the eyes of any of them is a line in the report. [RunIdle] hands over many connections
// that are idle, [RunMany] many services.
//
// The failures are in the tests. Their child is the program in the directory misbehave,
// which does what it should up to a point and then something else.
//
// # What is measured
//
// The time from when a batch was sent until its last reply was there, apart for batches
// that had anything to do with a restart and for the others. It includes what this process
// itself takes, on the same cores. Latencies are reported and decide nothing.
package restart
