package tcp

import (
	"fmt"
	"syscall"

	"samaritan/proc"
)

// startAccepting makes this the loop that accepts. It is called before run.
func (l *loop) startAccepting(ln *proc.Listener) error {
	fd, err := ln.Open()
	if err != nil {
		return err
	}
	if e := l.watch(fd, acceptKey, 0, syscall.EPOLLIN); e != 0 {
		return fmt.Errorf("watch listener %s: %w", ln.Addr(), e)
	}
	l.accepting = accepting{listener: ln, fd: fd}
	return nil
}

// stopAccepting ends what startAccepting began, and closes the listener. Clients that are
// waiting to be accepted are reset by that.
func (l *loop) stopAccepting() {
	if l.accepting.listener == nil {
		return
	}
	if l.accepting.resume == 0 {
		_ = epollCtl(l.epfd, syscall.EPOLL_CTL_DEL, l.accepting.fd, nil)
	}
	l.accepting.listener.Retire()
	l.accepting = accepting{}
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
			_ = epollCtl(l.epfd, syscall.EPOLL_CTL_DEL, a.fd, nil)
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
	if e := l.watch(a.fd, acceptKey, 0, syscall.EPOLLIN); e != 0 {
		a.resume = l.now + int64(retryWatch) // out of memory
	}
}
