// Package eventloop is the engine under the data plane: a small number of epoll
// loops that own connections, their buffers and their timers.
//
// # Model
//
// A [Loop] is one goroutine, locked to its thread. It owns an epoll instance and
// everything that was given to it: nothing of a loop is shared, so the request
// path needs no locks, no atomics and no channels. Other goroutines reach a loop
// only through its mailbox ([Loop.Post]).
//
// One iteration polls without blocking first and blocks only when nothing is
// ready; reads every ready connection once into the loop's scratch buffer; hands
// the bytes to the connection's [Handler]; runs the mailbox and due timers;
// and then writes every connection that has output once. Whatever one iteration
// produces for one connection therefore leaves in one system call.
//
// # Buffers
//
// Bytes live in [Buf]s: pooled, counted by reference, owned by one loop. Input
// that a handler did not consume is kept in a Buf of the connection's own; an
// idle connection holds none. Output is a queue of references into Bufs, so that
// large values move from one connection to another without being copied
// ([Conn.Share], [Conn.AppendRef]).
//
// # Ownership
//
// Unless their comment says otherwise, methods of Loop, Conn, Buf and Timer may
// be called on the loop's goroutine only: from a Handler, from a posted function
// or from a timer.
//
// The package does not resolve names, dial, or speak any protocol; it takes
// connected, non-blocking sockets.
package eventloop
