// Package flow sends requests that are made beforehand and reads replies whose size is known,
// over some connections, for some time.
//
// # Model
//
// An [Exchange] is one request and what its reply looks like. A [Flow] has connections to one address;
// in Run each of them gets a goroutine that walks through all exchanges, from a place of its
// own, again and again. redis-benchmark, which the other benchmarks use, sends one value all
// the time, and a compressor learns that one by heart.
//
// # What it does not do
//
// It does not look into replies: how they begin and how long they are is checked, so that an error or a
// missing value ends the run. [Check] compares everything.
package flow
