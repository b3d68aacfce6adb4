// Package tcp serves services that are proxied as streams of bytes: TCP, and MySQL,
// which is not looked into. Each client connection gets one connection to an endpoint,
// and what comes from one side goes to the other.
//
// # Model
//
// A [Proc] has event loops of its own: goroutines, each locked to its thread, with an
// epoll instance. A loop owns connections whole: both sockets, what is on its way
// between them, and their place in two lists by time, which is where timeouts come
// from. It polls the listener too, so a short connection begins and ends on one thread.
// One loop does everything at first. When it is busy new connections go to another one,
// and when it has more to do than it can, half of its active ones go there as well;
// there are up to GOMAXPROCS loops, whatever -workers says for those of Redis. A loop with nothing to do for a moment leaves its
// thread and its buffer to others, and waits as any goroutine does.
//
// Two more goroutines run per service: the health checks, and one that ends connections
// to endpoints that were removed, when their time is over.
//
// The listener is in the first loop's epoll instance only while clients are to be accepted:
// not before proc.Env.Gate is open, and not between Pause and Resume. Who comes meanwhile
// waits in the backlog, which is that of all processes that have the socket.
//
// # Moving bytes
//
// A read that does not fill the loop's buffer of 64 KiB is copied: one recv, one send.
// When it does, much is under way, and the stream goes over to splice(2), which moves
// pages and not bytes, until it moves less than 32 KiB at a time. Pipes belong to the
// loop and are lent to a stream only while there is something in them. A connection
// moves 1 MiB at a time, some 0.2 ms, and then stands in line behind the others.
//
// Nothing is read while the other side does not take it, so that TCP carries the
// pressure on. What was read and could not be written, 64 KiB in memory or 1 MiB in a
// pipe, is the most that is kept for a stream.
//
// # Why loops and not package net
//
// All were measured in one run against HAProxy 2.6 on the same two cores, CPU of the
// proxy alone. A goroutine or two per connection with io.Copy take 140 to 170 µs per short
// connection, HAProxy 100 (one thread) to 120 (two), this package 105 to 125; of a request
// and its answer on an open connection they take 37, 27 and 28 µs. For bulk data both
// kinds of splice take 0.2 to 0.3 s per GiB, HAProxy 0.8 to 1.1, and 0.5 to 1.0 with its
// own splicing. Pipes of 256 KiB instead of 1 MiB cost half as much again. To accept on
// another goroutine, and to hand connections over, costs 10% per connection. An idle
// connection takes 0.8 KiB here, and some 10 KiB with goroutines. The idle timeout is
// exact and takes no system call, as every movement of bytes is seen.
//
// # Who owns what
//
// Everything of a loop belongs to its goroutine; others post functions to it. Counters
// are atomic, so that a scrape asks nobody. Endpoints are shared by all loops: their
// numbers are atomic, their configuration is guarded by the set's lock. What an endpoint
// is picked from is an immutable snapshot behind an atomic pointer ([balancer]),
// made anew when the configuration or a verdict of the health checks changes.
//
// # What it does not do
//
// No TLS, no PROXY protocol, no host names, no UDP, and no look at the bytes.
package tcp
