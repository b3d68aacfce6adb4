// Package supervise keeps a first process alive while the daemon behind it is replaced.
//
// A hot restart ends with another process serving and the first one gone. Where somebody
// watches the first one that is the end of everything: a container ends with its process 1,
// and runit or supervisord would start a second daemon next to the one that serves. There
// the first process calls [Run] and stays what it is: a supervisor that starts the daemon as
// its child, passes signals on to the process that serves at the moment, and reaps.
//
//	supervisor ── daemon                           at the start
//	supervisor ── daemon ── successor              during a restart
//	supervisor ── successor                        after it
//
// Who serves is told over a pipe. Its write end goes from each daemon to the next one
// ([Pass]); a process that begins to serve, or its predecessor, writes the line "main PID"
// ([Announce]). The supervisor is the reaper of all orphans below it, so that a successor is
// its child as soon as the predecessor has ended.
//
// # Signals
//
// TERM and INT go to every process that serves or has served, as those are what is to end: a
// predecessor that still drains has to end as well, and so has a successor that takes over
// only after that. HUP, USR1, USR2 and QUIT go to the one that serves, or to the one that
// served before it when that is dead. What nobody can be given is kept until somebody announces
// himself. So are HUP, USR1 and USR2 until the first daemon has announced itself: before it
// catches them they would kill it. TERM, INT and QUIT are not kept from it, as being killed is
// what they ask for. A signal that is kept twice is passed on once, as the kernel does it with
// pending ones.
//
// The daemon is a process group of its own: Ctrl-C on a terminal reaches the supervisor
// alone, and is passed on, once.
//
// # The end
//
// The supervisor ends when none of its descendants has the pipe any more, and with the exit
// code of the process that served last: 128+n when signal n killed it, and 1 when nobody can
// know, as it was the child of a predecessor that reaped it and did not take over again.
// When it ends itself before, by SIGKILL, the daemon of a container is killed with it.
// Outside of one it lives on, and is told ([Lost]), so that it can end too and does not stand
// in the way of the next one. A parent death signal would not do: it is bound to a thread, and
// to the process that started the daemon, which for a successor is the predecessor.
//
// The loop of Run is the one goroutine that owns the state. Another one waits for the pipe to
// be readable, and only says so. Run changes settings of the whole process (the runtime's
// memory, GOMAXPROCS, the child subreaper) and reaps every child, so it is for a process that
// does nothing else.
package supervise
