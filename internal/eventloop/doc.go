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
// What is large takes turns behind all that: input of a frame above 1 MiB, and
// output of more than 256 KiB. A transfer moves 64 KiB in one iteration, and all of
// them together 256 KiB each way, those that have waited longest first. So a small
// request waits for a large one no longer than such a turn takes, however large it
// is and however many there are.
//
// # Buffers
//
// Bytes live in [Buf]s: pooled, counted by reference, owned by one loop. Input
// that a handler did not consume is kept in a Buf of the connection's own; an
// idle connection holds none. Output is a queue of references into Bufs, so that
// large values move from one connection to another without being copied
// ([Conn.Share], [Conn.AppendRef]).
//
// A Buf above 1 MiB, and the input of a frame that is to become so large, lies in
// pages outside the Go heap. It grows by moving pages and not by copying bytes, and
// the garbage collector does not know of it. Pages that are not used again within a
// second, or are more than 128 MiB, go back to the system piece by piece. A slice
// that outlives its reference would then be a fault, not only a wrong read.
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
