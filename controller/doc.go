// Package controller turns the events of the config into running procs.
//
// # Model
//
// [Controller.Run] takes one event at a time, notes what a service shall be from
// now on, and goes on to the next: it never waits for a proc. Each service has a
// supervisor, a goroutine of its own, that brings the procs of the service in
// line with what is noted. What several events say about one service while its
// supervisor is busy is applied at once, the last state counts.
//
// A supervisor owns the procs of its service. There is one that serves and, while
// a change is made that needs a new proc, one that is coming up. The old one is
// told to drain when the new one has bound its address. When both want the same
// address the old one has to give it up first; connections that it has go on
// until they are drained, only new clients wait.
//
// What fails (a protocol without a builder, an address in use, a proc that ends)
// is tried again, with growing, jittered pauses of 100 ms to 5 s, for as long as
// the service is configured. A new proc that does not come up leaves the old one
// serving, unless it wants the old one's address. No service waits for another.
// A panic is nobody's business here: it ends the process.
//
// # Ownership
//
// Supervisors, and all goroutines that run procs, have returned when Run returns.
// All other methods only read; any goroutine may call them at any time.
package controller
