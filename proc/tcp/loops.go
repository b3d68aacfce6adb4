package tcp

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"samaritan/proc"
)

// loops are the event loops of a Proc. The first one accepts, and hands connections to
// the others.
type loops struct {
	proc   *Proc
	failed chan struct{} // closed when a loop has failed
	wg     sync.WaitGroup

	mu    sync.Mutex // guards the following
	ctx   context.Context
	all   []*loop
	errs  []error
	holds hold // accept nobody, 0: accept
}

// run starts the first loop.
func (g *loops) run(ctx context.Context, ln *proc.Listener) error {
	l, err := newLoop(g.proc)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := l.startAccepting(ln, g.holds != 0); err != nil {
		l.close()
		return err
	}
	g.ctx, g.failed = ctx, make(chan struct{})
	g.startLocked(l)
	return nil
}

func (g *loops) startLocked(l *loop) {
	g.all = append(g.all, l)
	g.wg.Go(func() {
		if err := l.run(g.ctx); err != nil {
			g.fail(err)
		}
	})
}

func (g *loops) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.errs = append(g.errs, fmt.Errorf("event loop: %w", err))
	if len(g.errs) == 1 {
		close(g.failed)
	}
}

// wait returns when all loops have ended, with the errors of those that failed.
func (g *loops) wait() error {
	g.wg.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	return errors.Join(g.errs...)
}

// started are the loops in use.
func (g *loops) started() []*loop {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.all[:len(g.all):len(g.all)]
}

func (g *loops) first() *loop { return g.started()[0] }

// each posts fn to all loops.
func (g *loops) each(fn func(*loop)) {
	for _, l := range g.started() {
		l.post(func() { fn(l) })
	}
}

// cut ends the connections to an endpoint whose time to drain is over.
func (g *loops) cut(ep *endpoint) {
	g.each(func(l *loop) {
		if ep.leaving.Load() { // it may have come back
			l.cutFrom(ep)
		}
	})
}

// drain returns when no connection is left, or after the limit. Nothing new may come.
func (g *loops) drain(limit time.Duration) {
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	for g.proc.listener.Active() > 0 { // again, if one was just on its way from loop to loop
		all := g.started()
		empty := make([]chan struct{}, len(all))
		for i, l := range all {
			empty[i] = make(chan struct{})
			if !l.post(func() { l.whenEmpty(empty[i]) }) {
				close(empty[i])
			}
		}
		for _, done := range empty {
			select {
			case <-done:
			case <-timeout.C:
				return
			}
		}
	}
}

// pick returns the loop that a new connection goes to: the first one that is not busy, as
// the fewer loops work the less a connection costs. When all are busy, that is a new one;
// or, if there may be no more, the one with the fewest connections.
func (g *loops) pick(now int64) *loop {
	all := g.started()
	fewest := all[0]
	for _, l := range all {
		if l.busy(now) < busyShare {
			return l
		}
		if l.conns.Load() < fewest.conns.Load() {
			fewest = l
		}
	}
	if l := g.grow(); l != nil {
		return l
	}
	return fewest
}

// spare returns a loop that has time for the work of one that has not, or nil.
func (g *loops) spare(now int64) *loop {
	for _, l := range g.started() {
		if l.busy(now) < spareShare {
			return l
		}
	}
	return g.grow()
}

// grow starts one more loop, unless there are enough, or no descriptors left for it.
func (g *loops) grow() *loop {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.all) >= runtime.GOMAXPROCS(0) {
		return nil
	}
	l, err := newLoop(g.proc)
	if err != nil {
		return nil
	}
	g.startLocked(l)
	return l
}

// assign hands an accepted socket to a loop. It is called by the first one.
func (p *Proc) assign(fd int) {
	first := p.loops.first()
	l := p.loops.pick(first.now)
	if l == first {
		l.start(fd)
		return
	}
	l.handOver(fd)
}

// handOver posts a socket to the loop.
func (l *loop) handOver(fd int) {
	if !l.post(func() { l.start(fd) }) {
		l.refuse(fd)
	}
}
