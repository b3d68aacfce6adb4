package tcp

import (
	"fmt"
	"syscall"

	"samaritan/proc"
)

// accepting is the part of a loop that accepts. One loop of a Proc does.
type accepting struct {
	listener *proc.Listener // nil: another loop accepts, or nobody does any more
	fd       int
	held     bool  // nobody is to be accepted now
	watched  bool  // fd is in the epoll instance
	resume   int64 // when to watch again after a failure, 0: no failure
}

// startAccepting makes this the loop that accepts, at once unless held. It is called before
// run.
func (l *loop) startAccepting(ln *proc.Listener, held bool) error {
	fd, err := ln.Open()
	if err != nil {
		return err
	}
	l.accepting = accepting{listener: ln, fd: fd, held: held}
	if held {
		return nil
	}
	if e := l.watchListener(); e != 0 {
		return fmt.Errorf("watch listener %s: %w", ln.Addr(), e)
	}
	return nil
}

// stopAccepting ends what startAccepting began, and closes the listener. Clients that are
// waiting to be accepted are reset by that, unless another process has the socket.
func (l *loop) stopAccepting() {
	if l.accepting.listener == nil {
		return
	}
	l.unwatchListener()
	l.accepting.listener.Retire()
	l.accepting = accepting{}
}

// setHeld stops accepting for a while, or goes on with it. A back-off ends with that: it
// begins anew if there is still reason to.
func (l *loop) setHeld(held bool) {
	a := &l.accepting
	if a.listener == nil || a.held == held {
		return
	}
	a.held, a.resume = held, 0
	if held {
		l.unwatchListener()
	} else {
		l.tryWatchListener()
	}
}

// accept takes up clients. The listener is level-triggered: those who are left come in
// the next turn.
func (l *loop) accept() {
	a := &l.accepting
	for range acceptBatch {
		if a.listener == nil {
			return
		}
		fd, pause := a.listener.Take()
		if fd >= 0 {
			l.proc.assign(fd)
			continue
		}
		if pause > 0 {
			l.unwatchListener()
			a.resume = l.now + int64(pause)
		}
		return
	}
}

// acceptAgain ends a pause after a failure to accept.
func (l *loop) acceptAgain() {
	a := &l.accepting
	if a.resume == 0 || a.resume > l.now {
		return
	}
	a.resume = 0
	l.tryWatchListener()
}

func (l *loop) watchListener() syscall.Errno {
	e := l.watch(l.accepting.fd, acceptKey, 0, syscall.EPOLLIN)
	l.accepting.watched = e == 0
	return e
}

// tryWatchListener tries again later when there is no memory for it.
func (l *loop) tryWatchListener() {
	if l.watchListener() != 0 {
		l.accepting.resume = l.now + int64(retryWatch)
	}
}

// unwatchListener takes the descriptor out of the epoll instance. To close it would not
// do that while another process has the socket.
func (l *loop) unwatchListener() {
	if l.accepting.watched {
		_ = epollCtl(l.epfd, syscall.EPOLL_CTL_DEL, l.accepting.fd, nil)
		l.accepting.watched = false
	}
}
