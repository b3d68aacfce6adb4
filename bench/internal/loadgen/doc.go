// Package loadgen makes load with redis-benchmark, and the keys that it needs.
//
// # Model
//
// A [Load] is one command with random keys, sent over a number of connections
// and with some pipelining. redis-benchmark is bounded by a number of requests,
// not by time: a [Generator] runs it briefly to learn the rate, then chooses
// the number so that a run takes about as long as wanted.
//
// redis-benchmark, a single-threaded C program, takes less CPU per request than
// any generator in Go would; on a small machine that is CPU left to the servers.
// Error replies end it with an error, but a missing key does not: [Fill] writes
// all keys beforehand and [Probe] reads some back through the target.
//
// Nothing here runs in the background: all goroutines are the caller's.
package loadgen
