package hotrestart

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Successor is the child, as the parent sees it. Any goroutine may use it.
//
// One goroutine reads what the child sends. It ends when the connection does, sees to it
// that the child is dead unless it may live, settles what is unanswered, and closes Gone.
// Everything that goes wrong is made to come to that: by killing the child, which ends
// the connection, behind the last answer that the child has written.
type Successor struct {
	log        *slog.Logger
	process    *process
	wire       *wire
	child      hello
	stays      string // why no sessions move; empty when they do
	ackTimeout time.Duration

	ready, taken, ending, gone chan struct{}

	told     []byte      // written before taken is closed
	progress chan string // the last text that was not fetched

	wentOut  atomic.Bool // GO was sent
	finished atomic.Bool
	advanced atomic.Uint64 // counts signs of life: parts taken, answers given
	asked    atomic.Uint64 // ASKs that were sent
	heard    atomic.Uint64 // and that were answered

	mu      sync.Mutex
	changed sync.Cond // of what mu guards
	// mu guards the following.
	cause   error // why it ends or has ended
	settled bool  // nothing is answered any more
	lastID  uint64
	given   map[uint64]gift // not answered yet
	weight  int             // bytes of all given
}

// PID is that of the child.
func (s *Successor) PID() int { return s.process.pid() }

// Version is what the child says of itself.
func (s *Successor) Version() string { return s.child.Version }

// MovesClients tells whether the child understands our sessions, and why it does not.
func (s *Successor) MovesClients() (ok bool, why string) { return s.stays == "", s.stays }

// AwaitReady waits until the child is ready. What it says meanwhile of how far it is goes
// to progress, which may be nil. With an error, which has the last of that, the child is
// dead; a *FailedError is its own.
func (s *Successor) AwaitReady(ctx context.Context, progress func(text string)) error {
	last := ""
	show := func(text string) {
		last = text
		if progress != nil {
			progress(text)
		}
	}
	for {
		select {
		case text := <-s.progress:
			show(text)
		case <-s.ready:
			return s.Err()
		case <-ctx.Done():
			_ = s.abort(fmt.Errorf("the new process is not ready: %w", context.Cause(ctx)))
		case <-s.gone:
			select {
			case text := <-s.progress:
				show(text)
			default:
			}
			return afterProgress(s.Err(), last)
		}
	}
}

func afterProgress(err error, text string) error {
	if text == "" {
		return err
	}
	return fmt.Errorf("%w (it last said: %s)", err, text)
}

// Go hands over to the child, and waits until it has taken over. With an error the child
// is dead.
func (s *Successor) Go(ctx context.Context, state []byte) error {
	s.wentOut.Store(true)
	if err := s.wire.send(kindGo, nil, nil, state); err != nil {
		return s.abort(err)
	}
	select {
	case <-s.taken:
		go s.watch()
		return s.Err()
	case <-s.gone:
		return s.Err()
	case <-ctx.Done():
		return s.abort(fmt.Errorf("the new process does not take over: %w", context.Cause(ctx)))
	}
}

// Told is what the child has said when it took over. It may be called after Go.
func (s *Successor) Told() []byte { return s.told }

// Update sends the child what has been counted here meanwhile.
func (s *Successor) Update(state []byte) error {
	err := s.wire.send(kindUpdate, nil, nil, state)
	s.notSent(err)
	return err
}

// Ask has the child give a sign of life. One that gives none for Start.AckTimeout is killed. It
// may be called after Go.
func (s *Successor) Ask() error {
	s.asked.Add(1) // before the answer can come
	err := s.wire.send(kindAsk, nil, nil)
	s.notSent(err)
	return err
}

// Answered tells whether the child has answered whatever Ask has asked.
func (s *Successor) Answered() bool { return s.heard.Load() >= s.asked.Load() }

// Finish waits until all sessions are answered, tells the child that nothing more
// comes, and closes the connection. The child lives on, and is not to be given
// anything any more. An error says that it was gone before.
func (s *Successor) Finish() error {
	if err := s.unanswered(); err != nil {
		return err
	}
	s.finished.Store(true)                   // before the child can end the connection
	err := s.wire.send(kindFinish, nil, nil) // an error: it ends, or has
	_ = s.wire.socket.Close()
	<-s.gone
	return err
}

// Gone is closed when the child is dead, or has ended the connection and may live: after
// Finish, and when it had said that it ends. Nothing that it was given is unanswered then.
func (s *Successor) Gone() <-chan struct{} { return s.gone }

// Ending is closed when the child says that it ends by itself: this process had better
// end too. It takes no more sessions.
func (s *Successor) Ending() <-chan struct{} { return s.ending }

// Err says why the child is gone; nil while it is not.
func (s *Successor) Err() error {
	if !isClosed(s.gone) {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

// Kill kills the child and returns when it is dead and Gone is closed.
func (s *Successor) Kill() {
	s.fail(errKilled)
	s.process.kill()
	<-s.gone
}

// fail begins the end of it: the rest happens where the child's end is noticed. Without
// a child that may live, that is.
func (s *Successor) fail(cause error) {
	s.because(cause)
	if !s.finished.Load() {
		_ = s.process.cmd.Process.Kill()
	}
}

// notSent sees to a message that could not be sent. Where the connection has ended, or
// was closed here for that, the reader decides what that means: it may be in order.
func (s *Successor) notSent(err error) {
	if err != nil && !isEnd(err) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, errNotSent) {
		s.fail(err)
	}
}

// abort ends it before the child has taken over, and returns why. If the connection has
// ended, the reader has the better reason.
func (s *Successor) abort(cause error) error {
	if isEnd(cause) {
		select {
		case <-s.gone:
		case <-time.After(2 * grace):
		}
	}
	s.fail(cause)
	<-s.gone
	return s.Err()
}

// because keeps the first cause.
func (s *Successor) because(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause == nil {
		s.cause = cause
	}
}
