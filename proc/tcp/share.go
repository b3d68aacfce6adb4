package tcp

import (
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// samplePeriod is the shortest time over which a loop measures how busy it is.
	samplePeriod = 100 * time.Millisecond
	// busyShare is the share of a core from which on a loop gets no new connections while
	// another one, or a new one, can have them.
	busyShare = 0.75
	// fullShare is the share from which on a loop gives connections away, and spareShare
	// that up to which another one takes them. They are so far apart that no connection
	// goes to and fro.
	fullShare  = 0.9
	spareShare = 0.4
	// settleTime is how long a loop that has given connections away does not do so again.
	settleTime = time.Second
)

// usage is how busy a loop is. It measures CPU time and not time, as one that has to wait
// for its core is not helped by another loop.
type usage struct {
	// atomic
	thread   atomic.Int64 // the loop's, 0 while it has none
	permille atomic.Int64 // of a core, over the last period
	measured atomic.Int64 // when that ended

	// loop-owned
	used    int64 // CPU time of the thread then
	settled int64 // when connections may be given away again
}

// begin is called on the loop's thread.
func (u *usage) begin(now int64) {
	tid := int64(syscall.Gettid())
	u.used = threadCPU(tid)
	u.measured.Store(now)
	u.thread.Store(tid)
}

// measure ends a period if it is time for that, and tells whether it did. It is called in
// each turn of the loop.
func (u *usage) measure(now int64) bool {
	period := now - u.measured.Load()
	if period < int64(samplePeriod) {
		return false
	}
	used := threadCPU(u.thread.Load())
	u.permille.Store((used - u.used) * 1000 / period)
	u.used = used
	u.measured.Store(now)
	return true
}

// busy is the share of a core that the loop uses. One that has not measured for some time
// has had nothing to do. Any goroutine may ask.
func (l *loop) busy(now int64) float64 {
	if now-l.usage.measured.Load() > int64(5*samplePeriod) {
		return 0
	}
	return float64(l.usage.permille.Load()) / 1000
}

// share gives half of the connections on which something moves to another loop when this
// one has too much to do: they may all have come at a time when it had nothing to do.
func (l *loop) share() {
	u := &l.usage
	if !u.measure(l.now) || u.permille.Load() < 1000*fullShare || l.now < u.settled || l.empty != nil || l.stopped {
		return
	}
	some := l.active()
	if len(some) < 2 {
		return
	}
	to := l.proc.loops.spare(l.now)
	if to == nil {
		return
	}
	u.settled = l.now + int64(settleTime)
	l.give(some[:len(some)/2], to)
}

// active are the connections on which something moved in the last period.
func (l *loop) active() (some []*conn) {
	for c := l.open.back; c != nil && l.now-c.since < int64(samplePeriod); c = c.prev {
		some = append(some, c)
	}
	return some
}

// give hands connections over to another loop.
func (l *loop) give(some []*conn, to *loop) {
	for _, c := range some {
		c.given = true
		c.leave()
		for s := range c.sides {
			_ = epollCtl(l.epfd, syscall.EPOLL_CTL_DEL, c.sides[s].fd, nil)
		}
		l.pipes.count -= c.pipes()
		l.vacate(c)
	}
	kept := l.again[:0]
	for _, t := range l.again {
		if t.conn.given {
			t.conn.streams[t.from].queued = false
		} else {
			kept = append(kept, t)
		}
	}
	clear(l.again[len(kept):])
	l.again = kept
	if !to.post(func() { to.receive(some) }) {
		l.receive(some) // it has ended, and so will this one
	}
}

// receive takes up connections that another loop has given away. Watching them reports
// all that they are ready for once more.
func (l *loop) receive(some []*conn) {
	for _, c := range some {
		c.given = false
		l.settle(c)
		l.open.push(c, l.now)
		l.pipes.count += c.pipes()
		if l.stopped || l.watchSide(c, client) != 0 || l.watchSide(c, server) != 0 {
			l.endBoth(c, sysReset)
			continue
		}
		for _, from := range [...]side{client, server} {
			if !c.closed {
				l.pump(c, from)
			}
		}
	}
}

// pipes is how many pipes the connection has been lent.
func (c *conn) pipes() (n int) {
	for i := range c.streams {
		if c.streams[i].pipe != nil {
			n++
		}
	}
	return n
}
