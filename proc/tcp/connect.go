package tcp

import (
	"strings"
	"syscall"
	"time"
)

// retryWatch is the pause before a socket is watched again when the kernel had no memory
// for that.
const retryWatch = 100 * time.Millisecond

// connect begins an attempt with the next endpoint. When there is none left, or no more
// may be tried, the client is given up.
func (l *loop) connect(c *conn) {
	for {
		if len(c.tried) >= l.settings.attempts {
			l.giveUp(c)
			return
		}
		ch := l.set.balancer.take(l.now, c.tried, l.settings.connectTimeout)
		if ch.ep == nil {
			l.giveUp(c)
			return
		}
		if ch.down {
			l.counts.add(upFallback, 1)
		}
		if len(c.tried) > 0 {
			l.counts.add(upRetry, 1)
		}
		c.ep, c.resting = ch.ep, ch.resting
		e := l.dial(c)
		if e == 0 {
			l.connecting.push(c, l.now)
			return
		}
		c.since = l.now
		l.failed(c, e)
		if isOurs(e) {
			l.giveUp(c)
			return
		}
	}
}

// dial begins to connect a socket to c.ep; an event will say how that went.
func (l *loop) dial(c *conn) syscall.Errno {
	fd, e := sysSocket(c.ep.to.family)
	if e != 0 {
		return e
	}
	e = sysConnect(fd, c.ep.to)
	if e == 0 || e == syscall.EINPROGRESS {
		c.sides[server] = end{fd: fd}
		e = l.watchSide(c, server)
	}
	if e != 0 {
		sysClose(fd)
		c.sides[server] = end{fd: -1}
	}
	return e
}

// isOurs tells whether an attempt failed for a reason that lies in this process or host,
// and would be met with every endpoint.
func isOurs(e syscall.Errno) bool {
	switch e {
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ENOSPC:
		return true
	}
	return false
}

// readyToConnect takes up events of a connection whose endpoint is not connected yet.
func (l *loop) readyToConnect(c *conn, s side, events uint32) {
	const broken = syscall.EPOLLERR | syscall.EPOLLHUP
	switch {
	case s == client:
		if events&broken != 0 { // it is gone, not only done with sending
			l.counts.add(downReset, 1)
			sysClose(c.sides[client].fd)
			sysClose(c.sides[server].fd)
			l.gone(c)
		}
	case events&broken != 0:
		l.attemptFailed(c, socketError(c.sides[server].fd))
	case events&syscall.EPOLLOUT != 0:
		l.connected(c)
	}
}

// connected lets the streams begin.
func (l *loop) connected(c *conn) {
	ep := c.ep
	if ep.to.isOwn(c.sides[server].fd) {
		l.attemptFailed(c, syscall.ECONNREFUSED)
		return
	}
	if ep.leaving.Load() { // by an update
		l.goElsewhere(c)
		return
	}
	ep.rest.ended()
	ep.opened.Add(1)
	ep.active.Add(1)
	n := &l.counts
	n.add(upOpened, 1)
	n.observe(&n.connectTime, (l.now-c.since)/int64(time.Microsecond))
	c.isOpen, c.made = true, l.now
	c.tried, c.causes = nil, nil
	c.leave()
	l.open.push(c, l.now)
	c.sides[client].writable = true
	for _, s := range [...]side{client, server} {
		if !c.closed && c.sides[s].readable {
			l.pump(c, s)
		}
	}
}

// goElsewhere begins anew with another endpoint, as the present one has left. Nothing was
// sent to it yet, so it is not too late.
func (l *loop) goElsewhere(c *conn) {
	l.abandon(c)
	l.connect(c)
}

// abandon ends the attempt that is under way. The next one has the same slot, so the
// socket leaves the epoll set by name: a close takes it out only when no program that is
// just being started has a copy of the descriptor.
func (l *loop) abandon(c *conn) {
	c.leave()
	if fd := c.sides[server].fd; fd >= 0 {
		_ = epollCtl(l.epfd, syscall.EPOLL_CTL_DEL, fd, nil)
		sysClose(fd)
	}
	c.sides[server] = end{fd: -1}
	l.letGo(c)
}

// attemptFailed ends an attempt and begins the next one.
func (l *loop) attemptFailed(c *conn, e syscall.Errno) {
	l.failed(c, e)
	l.connect(c)
}

// failed accounts for an attempt that has failed. An endpoint rests only for what may be
// its own fault.
func (l *loop) failed(c *conn, e syscall.Errno) {
	ep := c.ep
	l.counts.add(upConnectFail, 1)
	c.tried, c.causes = append(c.tried, ep), append(c.causes, e)
	if !isOurs(e) {
		ep.failures.Add(1)
		if e != syscall.EADDRNOTAVAIL { // no port is free here
			ep.rest.failed(c.since, l.now, c.resting)
		}
	}
	l.abandon(c)
}

// giveUp resets a client that cannot be served: it must not take this for an empty answer.
func (l *loop) giveUp(c *conn) {
	if len(c.tried) == 0 {
		l.counts.add(upNoEndpoint, 1)
		l.warn.Warn("a client was reset: there is no endpoint to connect to")
	} else {
		l.counts.add(upUnreachable, 1)
		l.warn.Warn("a client was reset: no endpoint could be connected", "tried", c.attempts())
	}
	sysReset(c.sides[client].fd)
	l.gone(c)
}

// attempts names the endpoints that were tried, each with the reason of its failure.
func (c *conn) attempts() string {
	each := make([]string, len(c.tried))
	for i, ep := range c.tried {
		each[i] = ep.address + ": " + c.causes[i].Error()
	}
	return strings.Join(each, "; ")
}
