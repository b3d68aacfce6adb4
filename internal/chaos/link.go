package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"samaritan/internal/testredis"
)

// replyLimit is how long a reply may take: a request may wait for one that times
// out, and time out itself.
const replyLimit = 2*RequestTimeout + time.Second

// errHang says that a reply was not there in time.
var errHang = errors.New("no reply in time")

// Link is a client's way to the daemon. Errors are those of the way itself; the
// link has to be closed then. It is not safe for concurrent use.
type Link interface {
	// Exchange sends the commands in one piece and calls each for every reply, in order. An
	// error reply is a testredis.Error.
	Exchange(cmds [][]any, each func(i int, v any)) error
	Close() error
}

// rawLink is a connection of testredis.
type rawLink struct {
	conn  *testredis.Conn
	limit time.Duration
	timer *time.Timer // closes conn
	hung  atomic.Bool
	count *atomic.Int64 // open connections of the load
}

// DialRaw connects a socket, and says once which version of RESP it wants. It is closed when
// replies take longer than the limit, which is 10 s at most. open counts it while it is open.
func DialRaw(addr string, proto int, limit time.Duration, open *atomic.Int64) (Link, error) {
	conn, err := testredis.Dial(addr)
	if err != nil {
		return nil, err
	}
	l := &rawLink{conn: conn, limit: limit, count: open}
	l.timer = time.AfterFunc(limit, l.hang)
	open.Add(1)
	if _, err := conn.Do("HELLO", proto); err != nil {
		return nil, errors.Join(fmt.Errorf("HELLO: %w", err), l.Close())
	}
	l.timer.Stop()
	return l, nil
}

// hang is called by the timer.
func (l *rawLink) hang() {
	l.hung.Store(true)
	_ = l.conn.Close() // wakes up who reads; the error is errHang
}

func (l *rawLink) Exchange(cmds [][]any, each func(i int, v any)) error {
	l.timer.Reset(l.limit)
	defer l.timer.Stop()
	if err := l.conn.Send(cmds...); err != nil {
		return l.reason(err)
	}
	for i := range cmds {
		v, err := l.conn.Receive()
		if e, ok := errors.AsType[testredis.Error](err); ok {
			v, err = e, nil
		}
		if err != nil {
			return l.reason(err)
		}
		each(i, v)
	}
	return nil
}

// reason tells a hang from another end.
func (l *rawLink) reason(err error) error {
	if l.hung.Load() {
		return errHang
	}
	return err
}

func (l *rawLink) Close() error {
	l.count.Add(-1)
	l.timer.Stop()
	if l.hung.Load() {
		return nil
	}
	return l.conn.Close()
}

// poolLink is go-redis, shared by several clients.
type poolLink struct{ client *redis.Client }

// newPool returns a pool that counts its open connections. It does not retry: go-redis
// would send writes again after an error, and the ledger would not add up.
func newPool(addr string, size int, count *atomic.Int64) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: addr, Protocol: 3, PoolSize: size, MaxRetries: -1,
		ReadTimeout: replyLimit, WriteTimeout: replyLimit, DialTimeout: replyLimit, DialerRetries: 1,
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			var d net.Dialer
			c, err := d.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			count.Add(1)
			return &plainConn{Conn: c, count: count}, nil
		},
	})
}

// plainConn hides the socket, as go-redis would look whether it was closed while it
// lay idle, and connect anew without a word. It is counted while it is open.
type plainConn struct {
	net.Conn
	count  *atomic.Int64
	closed sync.Once
}

func (c *plainConn) Close() error {
	c.closed.Do(func() { c.count.Add(-1) })
	return c.Conn.Close()
}

func (l poolLink) Exchange(cmds [][]any, each func(i int, v any)) error {
	ctx := context.Background() // the limits are those of the pool
	if len(cmds) == 1 {
		return deliver(l.client.Do(ctx, cmds[0]...), 0, each)
	}
	return pipelined(ctx, l.client.Pipeline(), cmds, each)
}

// pipelined sends the commands in one piece.
func pipelined(ctx context.Context, pipe redis.Pipeliner, cmds [][]any, each func(i int, v any)) error {
	results := make([]*redis.Cmd, len(cmds))
	for i, c := range cmds {
		results[i] = pipe.Do(ctx, c...)
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for i, r := range results {
		if err := deliver(r, i, each); err != nil {
			return err
		}
	}
	return nil
}

// deliver hands out one result.
func deliver(r *redis.Cmd, i int, each func(i int, v any)) error {
	v, err := r.Result()
	reply, isReply := errors.AsType[redis.Error](err)
	switch {
	case err == nil:
		each(i, v)
	case errors.Is(err, redis.Nil):
		each(i, nil)
	case isReply:
		each(i, testredis.Error(reply.Error()))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errHang
	default:
		return err
	}
	return nil
}

// Close does nothing: the pool drops a connection that failed.
func (l poolLink) Close() error { return nil }

// stickyLink is go-redis with one connection.
type stickyLink struct {
	client *redis.Client
	conn   *redis.Conn
}

// DialSticky makes a go-redis client, in RESP3, that has one connection, which it opens with
// the first command. open counts it while it is open.
func DialSticky(addr string, open *atomic.Int64) Link {
	client := newPool(addr, 1, open)
	return stickyLink{client, client.Conn()}
}

func (l stickyLink) Exchange(cmds [][]any, each func(i int, v any)) error {
	return pipelined(context.Background(), l.conn.Pipeline(), cmds, each) // the limits are those of the pool
}

// Close closes the connection.
func (l stickyLink) Close() error { return errors.Join(l.conn.Close(), l.client.Close()) }
