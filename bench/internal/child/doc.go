// Package child runs the processes of a benchmark and measures them.
//
// # Model
//
// A [Starter] owns one goroutine that is locked to its thread and forks every
// process. The kernel kills a child when the thread that forked it ends
// (Pdeathsig), so nothing outlives the benchmark: not after Ctrl-C, not after
// a panic, not after kill -9. Each [Process] has a goroutine that reaps it.
//
// CPU time comes from the process' CPU clock: all threads, dead ones included,
// in nanoseconds. /proc/PID/stat, which counts in ticks of 10 ms, only tells how
// to split it into user and system time. Memory is VmRSS.
//
// # What it does not do
//
// It never asks a process to end nicely: what it runs has nothing to save.
package child
