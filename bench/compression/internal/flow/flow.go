package flow

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// ErrReply says that a reply was not the expected one.
var ErrReply = errors.New("not the expected reply")

// patience is how much longer than wanted a run may take before it counts as hung.
const patience = 15 * time.Second

// Options say how to send.
type Options struct {
	Connections int // at least 1
	Pipeline    int // requests that a connection sends at once, at least 1
}

// Flow is the connections to one address. It is not safe for concurrent use.
type Flow struct {
	conns []*conn
}

// conn is one connection. Between runs nobody uses it, in a run its goroutine does.
type conn struct {
	nc        net.Conn
	in        *bufio.Reader
	out       []byte
	exchanges []Exchange
	next      int
	pipeline  int
	record    bool
	latencies []time.Duration
}

// Dial connects. There must be an exchange at least. The caller has to call Close.
func Dial(ctx context.Context, addr string, exchanges []Exchange, o Options) (*Flow, error) {
	f := new(Flow)
	var dialer net.Dialer
	for i := range o.Connections {
		nc, err := dialer.DialContext(ctx, "tcp", addr)
		if err != nil {
			f.Close()
			return nil, err
		}
		f.conns = append(f.conns, &conn{
			nc: nc, in: bufio.NewReaderSize(nc, 64<<10), exchanges: exchanges,
			next: i * len(exchanges) / o.Connections, pipeline: o.Pipeline,
		})
	}
	return f, nil
}

// Close closes all connections.
func (f *Flow) Close() {
	for _, c := range f.conns {
		c.nc.Close()
	}
}

// Run sends for about d, and returns how many requests were answered. All that were sent
// are. After an error the flow can only be closed.
func (f *Flow) Run(ctx context.Context, d time.Duration) (int, error) {
	return f.run(ctx, d, false)
}

// Latencies does the same and returns the time of each request, in no order. With
// pipelining it is that of the whole pipeline.
func (f *Flow) Latencies(ctx context.Context, d time.Duration) ([]time.Duration, error) {
	if _, err := f.run(ctx, d, true); err != nil {
		return nil, err
	}
	var all []time.Duration
	for _, c := range f.conns {
		all = append(all, c.latencies...)
	}
	return all, nil
}

func (f *Flow) run(ctx context.Context, d time.Duration, record bool) (int, error) {
	end := time.Now().Add(d)
	stop := context.AfterFunc(ctx, func() { f.limit(time.Now()) })
	defer stop()
	f.limit(end.Add(patience))
	counts, errs := make([]int, len(f.conns)), make([]error, len(f.conns))
	var running sync.WaitGroup
	for i, c := range f.conns {
		c.record, c.latencies = record, c.latencies[:0]
		running.Go(func() { counts[i], errs[i] = c.walk(end) })
	}
	running.Wait()
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	total := 0
	for _, n := range counts {
		total += n
	}
	return total, errors.Join(errs...)
}

// limit bounds all that connections wait for.
func (f *Flow) limit(t time.Time) {
	for _, c := range f.conns {
		_ = c.nc.SetDeadline(t) // Fails when it is closed, as the next use of it then does.
	}
}

// walk sends and reads until the end has come, once at least.
func (c *conn) walk(end time.Time) (n int, err error) {
	for now := time.Now(); n == 0 || now.Before(end); n += c.pipeline {
		if err := c.turn(); err != nil {
			return n, err
		}
		before := now
		if now = time.Now(); c.record {
			c.latencies = append(c.latencies, now.Sub(before))
		}
	}
	return n, nil
}

// turn sends one pipeline and reads its replies.
func (c *conn) turn() error {
	first := c.next
	if err := c.send(); err != nil {
		return err
	}
	for i := range c.pipeline {
		if err := c.receive(&c.exchanges[(first+i)%len(c.exchanges)]); err != nil {
			return err
		}
	}
	return nil
}

func (c *conn) send() error {
	request := c.exchanges[c.next].Request
	if c.pipeline > 1 {
		c.out = c.out[:0]
		for i := range c.pipeline {
			c.out = append(c.out, c.exchanges[(c.next+i)%len(c.exchanges)].Request...)
		}
		request = c.out
	}
	c.next = (c.next + c.pipeline) % len(c.exchanges)
	_, err := c.nc.Write(request)
	return err
}

// receive reads one reply. One that is wrong may be shorter than its header should be, so
// that is read as a line.
func (c *conn) receive(e *Exchange) error {
	header, err := c.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if string(header) != e.Header {
		return fmt.Errorf("%w: begins with %q, not %q", ErrReply, strings.TrimSpace(string(header)), strings.TrimSpace(e.Header))
	}
	_, err = c.in.Discard(e.Size - len(header))
	return err
}
