package load

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"samaritan/bench/tcp/internal/peer"
)

// patience is how much longer than wanted a run may take before it counts as hung.
const patience = 10 * time.Second

// Load is clients of one address. It is not safe for concurrent use.
type Load struct {
	options Options
	workers []*worker
}

// Open connects those clients that stay connected, and lets each of them ask once. The caller has to call Close.
func Open(ctx context.Context, addr string, o Options) (*Load, error) {
	l := &Load{options: o}
	for range o.Connections {
		w := &worker{options: o, addr: addr}
		l.workers = append(l.workers, w)
		if err := w.open(); err != nil {
			l.Close()
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			l.Close()
			return nil, err
		}
	}
	return l, nil
}

// Close closes all connections.
func (l *Load) Close() {
	for _, w := range l.workers {
		w.close()
	}
}

// Run lets all clients work for about d. After an error the load can only be closed.
func (l *Load) Run(ctx context.Context, d time.Duration) (Result, error) {
	begin := time.Now()
	end := begin.Add(d)
	stop := context.AfterFunc(ctx, func() { l.limit(time.Now()) })
	defer stop()
	l.limit(end.Add(patience))
	errs := make([]error, len(l.workers))
	var running sync.WaitGroup
	for i, w := range l.workers {
		// With pauses, not all of them work at the same moment.
		first := begin.Add(l.options.Every * time.Duration(i) / time.Duration(len(l.workers)))
		running.Go(func() { errs[i] = w.walk(ctx, first, end) })
	}
	running.Wait()
	if ctx.Err() != nil {
		return Result{}, ctx.Err()
	}
	return l.result(time.Since(begin)), errors.Join(errs...)
}

func (l *Load) result(took time.Duration) Result {
	r := Result{Took: took}
	for _, w := range l.workers {
		r.Turns += len(w.latencies)
		r.Latencies = append(r.Latencies, w.latencies...)
	}
	r.Bytes = uint64(r.Turns) * l.options.Chunk
	return r
}

// limit bounds all that the clients wait for.
func (l *Load) limit(t time.Time) {
	for _, w := range l.workers {
		if w.conn != nil {
			_ = w.conn.SetDeadline(t) // Fails when it is closed, as the next use of it then does.
		}
	}
}

// worker is one client. In a run its goroutine owns it, apart from the deadline of conn.
type worker struct {
	asker
	options   Options
	addr      string
	conn      net.Conn // nil for those who connect anew in each turn
	latencies []time.Duration
}

// open connects and asks once, so that the proxy has both of its connections.
func (w *worker) open() (err error) {
	if w.options.Chunk > 0 {
		w.buffer = make([]byte, bufferSize)
	}
	if w.options.Kind == Connect {
		return nil
	}
	if w.conn, err = dial(w.addr); err != nil {
		return err
	}
	if err := w.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	return w.ask(w.conn, peer.Echo, 0)
}

func (w *worker) close() {
	if w.conn != nil {
		w.conn.Close()
	}
}

// walk takes turns until the end has come, one at least.
func (w *worker) walk(ctx context.Context, next, end time.Time) error {
	w.latencies = w.latencies[:0]
	for {
		if w.options.Every > 0 && !sleep(ctx, time.Until(next)) {
			return ctx.Err()
		}
		took, err := w.turn()
		if err != nil {
			return err
		}
		w.latencies = append(w.latencies, took)
		// One that was late does not hurry after it.
		now := time.Now()
		if next = next.Add(w.options.Every); next.Before(now) {
			next = now
		}
		if !next.Before(end) || ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// turn does once what is to be done, and returns how long it took.
func (w *worker) turn() (time.Duration, error) {
	begin := time.Now()
	switch w.options.Kind {
	case Connect:
		return w.visit(w.addr)
	case Download:
		err := w.ask(w.conn, peer.Download, w.options.Chunk)
		return time.Since(begin), err
	case Upload:
		err := w.ask(w.conn, peer.Upload, w.options.Chunk)
		return time.Since(begin), err
	}
	err := w.ask(w.conn, peer.Echo, 0)
	return time.Since(begin), err
}

// sleep returns false when the context ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
