package admin

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"samaritan/internal/stats"
)

// refusal is the whole answer to a connection above the limit.
const refusal = "HTTP/1.1 503 Service Unavailable\r\n" +
	"Content-Type: application/json\r\nConnection: close\r\nContent-Length: 39\r\n\r\n" +
	`{"error":"too many admin connections"}` + "\n"

// Counters are the numbers of the admin server. Servers that follow one another, or are there
// at the same time, may share them. The zero value is ready; methods may be called from any
// goroutine.
type Counters struct {
	connsTotal   atomic.Int64
	connsOpen    atomic.Int64
	connsRefused atomic.Int64
	requests     atomic.Int64
}

// Stats implements stats.Source.
func (c *Counters) Stats(emit func(stats.Sample)) {
	emit(stats.Sample{Name: "admin.cx_total", Value: float64(c.connsTotal.Load())})
	emit(stats.Sample{Name: "admin.cx_active", Kind: stats.Gauge, Value: float64(c.connsOpen.Load())})
	emit(stats.Sample{Name: "admin.cx_restricted", Value: float64(c.connsRefused.Load())})
	emit(stats.Sample{Name: "admin.rq_total", Value: float64(c.requests.Load())})
}

// limitListener bounds the open connections, and with them the descriptors
// the server can take from the data path. One too many is told so and closed,
// rather than left waiting: a probe should learn what is wrong.
type limitListener struct {
	net.Listener
	max      int64
	counters *Counters
	conns    sync.WaitGroup // that were accepted and are open
}

// wait returns when all connections are closed or ctx has ended. Nothing is accepted any
// more.
func (l *limitListener) wait(ctx context.Context) {
	closed := make(chan struct{})
	go func() {
		l.conns.Wait() // the server closes them all in the end
		close(closed)
	}()
	select {
	case <-closed:
	case <-ctx.Done():
	}
}

func (l *limitListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.counters.connsOpen.Add(1) <= l.max {
			l.counters.connsTotal.Add(1)
			l.conns.Add(1)
			return &limitedConn{Conn: c, listener: l}, nil
		}
		l.counters.connsOpen.Add(-1)
		l.counters.connsRefused.Add(1)
		refuse(c)
	}
}

// refuse does not wait: a new socket has room for the few bytes.
func refuse(c net.Conn) {
	_ = c.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
	_, _ = c.Write([]byte(refusal))
	_ = c.Close()
}

// limitedConn gives its place back when it is closed.
type limitedConn struct {
	net.Conn
	listener *limitListener
	once     sync.Once
}

func (c *limitedConn) Close() error {
	c.once.Do(func() {
		c.listener.counters.connsOpen.Add(-1)
		c.listener.conns.Done()
	})
	return c.Conn.Close()
}

// errStuck is what Serve returns when a request outlives it.
var errStuck = errors.New("admin: a request does not end")

// running counts the requests in progress, for the end of Serve: closing an
// http.Server does not wait for its handlers.
type running struct {
	mu     sync.Mutex // guards the following
	n      int
	ending bool
	idle   chan struct{} // made by wait, closed when n is 0
}

// enter reports false when the server is ending.
func (r *running) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ending {
		return false
	}
	r.n++
	return true
}

func (r *running) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n--
	if r.ending && r.n == 0 {
		close(r.idle)
	}
}

// wait lets nobody in any more and waits for the others, at most for limit.
func (r *running) wait(limit time.Duration) error {
	r.mu.Lock()
	r.ending = true
	if r.n == 0 {
		r.mu.Unlock()
		return nil
	}
	r.idle = make(chan struct{})
	r.mu.Unlock()
	select {
	case <-r.idle:
		return nil
	case <-time.After(limit):
		return errStuck
	}
}
