package redis

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"samaritan/internal/eventloop"
	"samaritan/proc"
)

var (
	// errMoved is the reason that a session is closed with when another process has it.
	errMoved = errors.New("moved to another process")
	// errMoveOver is why a session that was about to be given away is not.
	errMoveOver = errors.New("clients are not given away any more")
)

// largeInput is how much unparsed input makes a client travel alone: the others would
// stand still meanwhile.
const largeInput = 256 << 10

// move is one run of MoveClients. The workers freeze sessions whose turn it is, and queue
// them here (move_worker.go); MoveClients gives them away.
type move struct {
	wake chan struct{} // something has come, or the last client has gone; has room for one

	underWay atomic.Int64 // clients that are frozen, of all workers
	alone    atomic.Bool  // one of them has much input, and no other is to become one

	mu     sync.Mutex // guards the following
	queue  []*departure
	closed bool
}

// departure is a client that is frozen, until it is known whose it is. Until then it has
// the descriptor, so that the number is not used anew while the client is given away, not
// even when the service is stopped.
type departure struct {
	over atomic.Bool // done has been called

	// immutable
	s      *session
	by     *workerMove
	input  eventloop.Ref // what client.Input lies in; no Buf when there is none
	large  bool
	client proc.Client
}

// MoveClients implements proc.Mover. What it passes to give stays as it is until done is
// called.
func (p *Proc) MoveClients(ctx context.Context, give func(c proc.Client, done func(error))) {
	p.moving.Lock()
	defer p.moving.Unlock()
	m := &move{wake: make(chan struct{}, 1)}
	p.each(func(w *worker) { w.beginMove(m) })
	for p.Clients() > 0 && ctx.Err() == nil {
		select {
		case <-m.wake:
			m.giveAll(ctx, give)
		case <-ctx.Done():
		}
	}
	for _, d := range m.close() {
		d.done(errMoveOver)
	}
	askWorkers(p, func(w *worker) bool { w.endMove(m); return true })
}

// giveAll gives away what is queued. What it does not come to goes back to be served.
func (m *move) giveAll(ctx context.Context, give func(c proc.Client, done func(error))) {
	for _, d := range m.take() {
		if ctx.Err() != nil {
			d.done(errMoveOver)
			continue
		}
		give(d.client, d.done)
	}
}

// done is called once it is known whose the client is. Any goroutine may call it.
func (d *departure) done(err error) {
	if d.over.Swap(true) {
		return
	}
	if !d.s.w.loop.Post(func() { d.decided(err) }) {
		closeFD(d.client.FD) // the loop has closed the rest
	}
}

// add queues a frozen client; false means that no more are given away.
func (m *move) add(d *departure) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.queue = append(m.queue, d)
	m.signal()
	return true
}

func (m *move) signal() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *move) take() []*departure {
	m.mu.Lock()
	defer m.mu.Unlock()
	queue := m.queue
	m.queue = nil
	return queue
}

// close ends the queue and returns what was left in it.
func (m *move) close() []*departure {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	return m.take()
}

// admit tells whether one more client may be frozen, and counts it. One with much input
// waits until it can travel alone.
func (m *move) admit(large bool) bool {
	if m.alone.Load() || large && (m.underWay.Load() > 0 || !m.alone.CompareAndSwap(false, true)) {
		return false
	}
	m.underWay.Add(1)
	return true
}

// leave undoes admit.
func (m *move) leave(large bool) {
	m.underWay.Add(-1)
	if large {
		m.alone.Store(false)
	}
}
