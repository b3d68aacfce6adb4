package tcp

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"samaritan/internal/eventloop"
	"samaritan/internal/logging"
)

const (
	copySize    = 64 << 10 // what one recv takes at most
	turnBytes   = 1 << 20  // what a stream moves before it is the turn of others
	eventBatch  = 512
	acceptBatch = 64 // clients taken up in one turn of a loop

	wakeKey   = -1 // epoll keys that are no slots
	acceptKey = -2
)

// loop owns connections. One goroutine runs it; only post and what is marked as atomic
// is for others.
type loop struct {
	// immutable
	proc *Proc
	warn *logging.Throttle
	set  *set
	epfd int
	mail mailbox

	// atomic
	counts counters
	conns  atomic.Int64
	usage  usage

	// loop-owned
	now        int64 // of eventloop.Nanotime, read once per turn
	settings   *settings
	slots      []slot
	free       []int32
	freed      []int32 // in this turn: its events may still name them
	connecting list    // since their present attempt began
	open       list    // since something moved
	again      []turn
	due        []turn          // those of the turn before, as the slice is used anew
	buf        *[copySize]byte // nil while it rests
	pipes      pipes
	events     []syscall.EpollEvent
	accepting  accepting
	empty      chan struct{} // to be closed when there are no connections, nil: nobody waits
	worked     int64         // when a socket had an event
	stopped    bool
}

type slot struct {
	conn *conn
	gen  int32
}

// turn is a stream that had not moved all when its turn was over.
type turn struct {
	conn *conn
	from side
}

// newLoop makes a loop, which holds two descriptors until run has returned, or close is
// called on one that never ran.
func newLoop(p *Proc) (*loop, error) {
	epfd, err := newPoller()
	if err != nil {
		return nil, fmt.Errorf("create epoll instance: %w", err)
	}
	wake, e := newEventFD()
	if e != 0 {
		sysClose(epfd)
		return nil, fmt.Errorf("create eventfd: %w", e)
	}
	l := &loop{
		proc: p, warn: p.warn, set: p.set, epfd: epfd, mail: mailbox{wakeFD: wake},
		events: make([]syscall.EpollEvent, eventBatch),
	}
	if e := l.watch(wake, wakeKey, 0, syscall.EPOLLIN); e != 0 {
		l.close()
		return nil, fmt.Errorf("watch eventfd: %w", e)
	}
	l.tick()
	return l, nil
}

// post hands fn to the loop's goroutine. False means that the loop has ended.
func (l *loop) post(fn func()) bool { return l.mail.post(fn) }

func (l *loop) close() {
	sysClose(l.mail.wakeFD)
	sysClose(l.epfd)
}

func (l *loop) watch(fd int, key, pad int32, what uint32) syscall.Errno {
	return epollCtl(l.epfd, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: what, Fd: key, Pad: pad})
}

func (l *loop) tick() {
	l.now = eventloop.Nanotime()
	l.settings = l.proc.settings.Load()
}

// run is the loop. It returns when ctx has ended, after it has cut the connections that
// are left, or with an error when epoll fails.
func (l *loop) run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { l.post(func() { l.stopped = true }) })()
	l.awaitWork()
	l.resume()
	defer l.idle()
	var err error
	for err == nil && !l.stopped {
		err = l.iterate()
	}
	l.shutdown()
	return err
}

// iterate is one turn. Slots that become free are used anew in the next one only, as
// events of this one may still name them.
func (l *loop) iterate() error {
	n, err := l.wait()
	if err != nil {
		return err
	}
	l.tick()
	mail := false
	for i := range n {
		ev := &l.events[i]
		if ev.Fd == wakeKey {
			mail = true
			continue
		}
		l.worked = l.now
		switch ev.Fd {
		case acceptKey:
			l.accept()
		default:
			if s := &l.slots[ev.Fd]; s.conn != nil && s.gen == ev.Pad>>1 {
				l.ready(s.conn, side(ev.Pad&1), ev.Events)
			}
		}
	}
	if mail {
		l.mail.drain()
	}
	l.expire()
	l.goOn()
	l.share()
	l.free = append(l.free, l.freed...)
	l.freed = l.freed[:0]
	return nil
}

// wait polls, and blocks only when nothing is ready, so that a busy loop never troubles
// the scheduler.
func (l *loop) wait() (int, error) {
	n, e := epollPoll(l.epfd, l.events)
	if n == 0 && e == 0 && len(l.again) == 0 {
		n, e = l.block(l.pollTimeout(eventloop.Nanotime()))
	}
	switch e {
	case 0:
		return n, nil
	case syscall.EINTR:
		return 0, nil
	}
	return 0, fmt.Errorf("wait for events: %w", os.NewSyscallError("epoll_wait", e))
}

// goOn gives streams that were in the middle of something their next turn.
func (l *loop) goOn() {
	l.due, l.again = l.again, l.due[:0]
	for _, t := range l.due {
		t.conn.streams[t.from].queued = false
		if !t.conn.closed {
			l.pump(t.conn, t.from)
			l.notice(t.conn, t.from)
		}
	}
	clear(l.due)
}

// expire ends what has run into a timeout.
func (l *loop) expire() {
	for c := l.connecting.front; c != nil && c.since+int64(l.settings.connectTimeout) <= l.now; c = l.connecting.front {
		l.counts.add(upConnectTimeout, 1)
		l.attemptFailed(c, syscall.ETIMEDOUT)
	}
	for c := l.open.front; c != nil && c.since+int64(l.settings.idleTimeout) <= l.now; c = l.open.front {
		l.counts.add(downIdle, 1)
		l.cutIdle(c)
	}
	l.acceptAgain()
}

// pollTimeout is how long epoll may block, in milliseconds: until the next timeout, and
// -1 when there is none.
func (l *loop) pollTimeout(now int64) int {
	next := int64(0)
	until := func(at int64) {
		if next == 0 || at < next {
			next = at
		}
	}
	if c := l.connecting.front; c != nil {
		until(c.since + int64(l.settings.connectTimeout))
	}
	if c := l.open.front; c != nil {
		until(c.since + int64(l.settings.idleTimeout))
	}
	if l.accepting.resume != 0 {
		until(l.accepting.resume)
	}
	if next == 0 {
		return -1
	}
	const maxPoll = 1 << 30 // epoll takes 32 bits
	return int(min(max(0, next-now+int64(time.Millisecond)-1)/int64(time.Millisecond), maxPoll))
}

// cutAll ends all connections.
func (l *loop) cutAll() {
	for i := range l.slots {
		if c := l.slots[i].conn; c != nil {
			l.cut(c)
		}
	}
}

// cutFrom ends the connections to an endpoint that has left. A client that still waits for
// one to be made goes elsewhere.
func (l *loop) cutFrom(ep *endpoint) {
	for i := range l.slots {
		switch c := l.slots[i].conn; {
		case c == nil || c.ep != ep:
		case c.isOpen:
			l.counts.add(upDrainTimeout, 1)
			l.cut(c)
		default:
			l.goElsewhere(c)
		}
	}
}

// whenEmpty closes done when the loop has no connections.
func (l *loop) whenEmpty(done chan struct{}) {
	l.empty = done
	l.checkEmpty()
}

func (l *loop) checkEmpty() {
	if l.empty != nil && l.conns.Load() == 0 {
		close(l.empty)
		l.empty = nil
	}
}

func (l *loop) shutdown() {
	l.stopped = true
	l.stopAccepting()
	l.mail.close() // what it carries is not lost: start refuses by now
	l.tick()
	l.cutAll()
	l.pipes.close()
	l.close()
}

// settingsChanged wakes the loop, as timeouts may be nearer now.
func (l *loop) settingsChanged() { l.post(func() {}) }
