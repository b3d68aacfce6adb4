package chaos

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net"
	"runtime"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// pacedInput is the room for replies of a paced client: more than what its requests in
	// flight are answered.
	pacedInput = 64 << 10

	// pacerNice lets the pacer's thread run before others, where that is permitted, so
	// that it measures how long they wait and not how long it waits itself.
	pacerNice = -10
)

// clock is the time of the pacer: nanoseconds since some moment. It is monotonic.
func clock() int64 { return int64(time.Since(clockZero)) }

var clockZero = time.Now()

// Group is a kind of paced clients, which are reported together.
type Group int

// Groups of paced clients. Whom a scenario hurts is node 0.
const (
	Single    Group = iota // one request at a time, to nodes 1 and 2
	Pipelined              // batches, to nodes 1 and 2
	Same                   // one request at a time, to node 0
	groups
)

// String names the group as the table does.
func (g Group) String() string {
	return [groups]string{"others", "others, pipelined", "node 0"}[g]
}

// paced is a client that sends at fixed times, whether or not the daemon keeps up
// (an open loop). Latencies count from the time at which a request was to be
// sent, so that one late reply shows in all requests that had to wait behind it.
type paced struct {
	// Immutable.
	conn     *net.TCPConn // keeps fd open
	fd       int
	group    Group
	interval int64    // between sends, ns
	batch    int      // requests of one send
	depth    int      // sends in flight at most
	frames   [][]byte // what is sent, by turns
	skip     bool     // what was to be sent while one waited is counted and not sent

	// Owned by the pacer.
	turn    int
	due     int64  // when to send next
	flights []sent // what is not answered, the oldest first
	out     []byte // of the newest send, not yet taken by the socket
	in      []byte // the beginning of a reply
	last    int64  // when the last success came in this window
}

// sent is a send that waits for its replies.
type sent struct {
	due     int64 // when it was to be sent
	replies int   // that are missing
}

// tape is what one group has measured in one window.
type tape struct {
	latencies []int64 // ns, successes and errors
	ok        int
	errors    int
	gap       int64 // longest between two successes of one client, ns
	firstErr  string
}

// window is what was measured in one window.
type window struct {
	groups [groups]tape
	late   []int64 // how late the pacer itself sent what it could have sent, ns
	took   time.Duration
}

// pacer plays paced clients on one thread that does nothing else. It belongs to
// one goroutine.
type pacer struct {
	clients []*paced
	fds     []unix.PollFd
	silent  [groups]bool // who sends nothing
}

// add connects a client and plays it from now on.
func (p *pacer) add(addr string, c *paced) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	c.conn = conn.(*net.TCPConn)
	raw, err := c.conn.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { c.fd = int(fd) })
	}
	c.in = make([]byte, 0, pacedInput)
	p.clients = append(p.clients, c)
	p.fds = append(p.fds, unix.PollFd{Fd: int32(c.fd)})
	return err
}

// close disconnects all.
func (p *pacer) close() error {
	var errs []error
	for _, c := range p.clients {
		errs = append(errs, c.conn.Close())
	}
	return errors.Join(errs...)
}

// play lets the clients send for d, and returns what they have measured. An error
// means that a connection is no more.
func (p *pacer) play(d time.Duration) (w *window, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()                                            // and never unlocked: the thread ends, its priority with it
		_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), pacerNice) // without it the noise is larger
		w, err = p.run(d)
	}()
	<-done
	return w, err
}

// run is play on its own thread.
func (p *pacer) run(d time.Duration) (*window, error) {
	start := clock()
	w := &window{late: make([]int64, 0, 1<<16)}
	for g := range w.groups {
		w.groups[g].latencies = make([]int64, 0, 1<<16)
	}
	for i, c := range p.clients {
		c.due = start + c.interval*int64(i)/int64(len(p.clients)) // not all at once
		c.last = start
	}
	end := start + int64(d)
	for now := start; now < end; now = clock() {
		next, err := p.send(w, now)
		if err != nil {
			return w, err
		}
		if err := p.wait(w, start, min(next, end)); err != nil {
			return w, err
		}
	}
	p.finish(w, start, end)
	w.took = time.Duration(clock() - start)
	return w, nil
}

// send sends what is due and returns when something is due again.
func (p *pacer) send(w *window, now int64) (next int64, err error) {
	next = math.MaxInt64
	for i, c := range p.clients {
		if p.silent[c.group] {
			continue
		}
		for c.due <= now && len(c.flights) < c.depth && len(c.out) == 0 {
			w.late = append(w.late, now-max(c.due, c.freed()))
			c.push()
		}
		p.fds[i].Events = unix.POLLIN
		if err := c.flush(); err != nil {
			return 0, fmt.Errorf("chaos: client of %v: %w", c.group, err)
		}
		if len(c.out) > 0 {
			p.fds[i].Events |= unix.POLLOUT
		} else if len(c.flights) < c.depth {
			next = min(next, c.due)
		}
	}
	return next, nil
}

// freed is when the client got free for the send that is due.
func (c *paced) freed() int64 {
	if c.depth == 1 {
		return c.last
	}
	return 0
}

// push makes the next send. Its due time is the intended one, however late it is.
func (c *paced) push() {
	for range c.batch {
		c.out = append(c.out, c.frames[c.turn]...)
		c.turn = (c.turn + 1) % len(c.frames)
	}
	c.flights = append(c.flights, sent{c.due, c.batch})
	c.due += c.interval
}

// flush offers what is to be sent to the socket.
func (c *paced) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	n, err := unix.SendmsgN(c.fd, c.out, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	if errors.Is(err, unix.EAGAIN) {
		return nil
	}
	if err != nil {
		return err
	}
	c.out = c.out[:copy(c.out, c.out[n:])]
	return nil
}

// wait waits for replies, until next, and takes them.
func (p *pacer) wait(w *window, start, next int64) error {
	left := unix.NsecToTimespec(max(0, next-clock()))
	n, err := unix.Ppoll(p.fds, &left, nil)
	if errors.Is(err, unix.EINTR) || n == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("chaos: wait for replies: %w", err)
	}
	for i, c := range p.clients {
		if p.fds[i].Revents&^unix.POLLOUT == 0 {
			continue
		}
		if err := c.receive(w, start); err != nil {
			return fmt.Errorf("chaos: client of %v: %w", c.group, err)
		}
	}
	return nil
}

// receive takes the replies that have come.
func (c *paced) receive(w *window, start int64) error {
	n, err := unix.Read(c.fd, c.in[len(c.in):cap(c.in)])
	if err != nil {
		return err
	}
	if n == 0 {
		return errors.New("the daemon closed the connection")
	}
	now := clock()
	c.in = c.in[:len(c.in)+n]
	used := 0
	for {
		size, failure, err := oneReply(c.in[used:])
		if err != nil {
			return err
		}
		if size == 0 {
			break
		}
		used += size
		if err := c.answered(&w.groups[c.group], start, now, failure); err != nil {
			return err
		}
	}
	c.in = c.in[:copy(c.in, c.in[used:])]
	return nil
}

// oneReply measures the reply at the beginning of b: its size, 0 when it is not
// complete, and its text when it is an error.
func oneReply(b []byte) (size int, failure string, err error) {
	end := bytes.Index(b, []byte("\r\n"))
	if end < 0 {
		return 0, "", nil
	}
	size = end + 2
	switch b[0] {
	case '+', ':':
	case '-':
		failure = string(b[1:end])
	case '$':
		n, err := strconv.Atoi(string(b[1:end]))
		if err != nil || n < -1 || n > pacedInput/2 {
			return 0, "", fmt.Errorf("unexpected length %q", b[:end])
		}
		if n >= 0 {
			size += n + 2
		}
	default:
		return 0, "", fmt.Errorf("unexpected reply %q", b[:end])
	}
	if size > len(b) {
		return 0, "", nil
	}
	return size, failure, nil
}

// answered notes one reply.
func (c *paced) answered(t *tape, start, now int64, failure string) error {
	if len(c.flights) == 0 {
		return errors.New("a reply that nobody asked for")
	}
	f := &c.flights[0]
	f.replies--
	if f.due >= start { // else of the last window
		t.latencies = append(t.latencies, now-f.due)
	}
	if failure != "" {
		t.errors++
		t.firstErr = failure
	} else {
		t.ok++
		t.gap = max(t.gap, now-c.last)
	}
	if failure == "" || c.skip {
		c.last = now
	}
	if f.replies == 0 {
		c.flights = append(c.flights[:0], c.flights[1:]...)
		c.miss(t, now)
	}
	return nil
}

// miss counts, for a client that does not make up for it, what was to be sent while it
// waited, as if it had been answered now.
func (c *paced) miss(t *tape, now int64) {
	for c.skip && c.due+c.interval <= now {
		t.latencies = append(t.latencies, now-c.due)
		c.due += c.interval
	}
}

// finish counts what is not answered at the end of a window: it took that long at least.
func (p *pacer) finish(w *window, start, end int64) {
	for _, c := range p.clients {
		if p.silent[c.group] {
			continue
		}
		t := &w.groups[c.group]
		t.gap = max(t.gap, end-c.last)
		for _, f := range c.flights {
			if f.due >= start && f.due < end {
				t.latencies = append(t.latencies, slices.Repeat([]int64{end - f.due}, f.replies)...)
			}
		}
		for due := c.due; due < end && len(c.flights) >= c.depth; due += c.interval {
			t.latencies = append(t.latencies, slices.Repeat([]int64{end - due}, c.batch)...)
		}
	}
}

// percentile returns the value that q of all do not exceed, 0 without any. It sorts.
func percentile(values []int64, q float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return time.Duration(values[min(len(values)-1, int(q*float64(len(values))))])
}
