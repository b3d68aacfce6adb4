package hotrestart

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// perOffer is how many listeners there are in a message at most: their addresses have
// to fit too.
const perOffer = 64

// Listener is a listening socket on its way to the child.
type Listener struct {
	// Network and Address are what was asked for, as in net.Listen.
	Network, Address string
	// File is the socket. Offer leaves it to the caller, and Predecessor.Listeners gives
	// it to the caller.
	File *os.File
}

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
	progress                   chan string // the last text that was not fetched

	wentOut  atomic.Bool // GO was sent
	finished atomic.Bool
	advanced atomic.Uint64 // counts signs of life: parts taken, answers given

	mu      sync.Mutex
	changed sync.Cond // of what mu guards
	// mu guards the following.
	cause   error // why it ends or has ended
	settled bool  // nothing is answered any more
	lastID  uint64
	given   map[uint64]gift // not answered yet
	weight  int             // bytes of all given
}

// Begin starts the child and waits for its hello. With an error there is no child.
func Begin(ctx context.Context, s Start) (*Successor, error) {
	at, err := listen(s.Dir)
	if err != nil {
		return nil, fmt.Errorf("listen for the new process: %w", err)
	}
	defer at.close()
	p, err := start(s, at.path)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Path, err)
	}
	succ, err := greet(ctx, s, at, p)
	if err != nil {
		select {
		case <-p.dead: // by itself
			err = fmt.Errorf("the new process ended before it said hello: %s", p.how())
		default:
			if ctx.Err() != nil {
				err = fmt.Errorf("the new process did not say hello: %w", context.Cause(ctx))
			}
			p.kill()
		}
		return nil, err
	}
	go succ.run()
	return succ, nil
}

// greet waits for the child and exchanges hellos.
func greet(ctx context.Context, s Start, at *rendezvous, p *process) (*Successor, error) {
	succ := newSuccessor(s, p)
	// Waiting ends with the process, and with ctx.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-p.dead:
			cancel()
		case <-ctx.Done():
		}
	}()
	defer context.AfterFunc(ctx, func() { _ = at.SetDeadline(time.Unix(1, 0)) })()
	conn, err := at.meet(p.pid(), func(err error) {
		succ.log.Warn("somebody else came to the socket of the hot restart", "error", err)
	})
	if err != nil {
		return nil, fmt.Errorf("wait for the new process: %w", err)
	}
	succ.attach(newWire(conn))
	stop := succ.wire.until(ctx)
	err = succ.hello(hello{protocolVersion, s.Sessions, s.Version})
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return succ, nil
}

func newSuccessor(s Start, p *process) *Successor {
	succ := &Successor{
		log:        s.Log,
		process:    p,
		ackTimeout: or(s.AckTimeout, defaultAckTimeout),
		ready:      make(chan struct{}),
		taken:      make(chan struct{}),
		ending:     make(chan struct{}),
		gone:       make(chan struct{}),
		progress:   make(chan string, 1),
		given:      map[uint64]gift{},
	}
	if succ.log == nil {
		succ.log = slog.Default()
	}
	succ.changed.L = &succ.mu
	return succ
}

func (s *Successor) attach(w *wire) {
	s.wire = w
	w.patience = s.ackTimeout
	w.took = func() { s.advanced.Add(1) }
}

func (s *Successor) hello(own hello) error {
	if err := s.wire.send(kindHello, own, nil); err != nil {
		return err
	}
	peer, err := readHello(s.wire)
	if err != nil {
		return fmt.Errorf("hello of the new process: %w", err)
	}
	s.child, s.stays = peer, own.differs(peer)
	return nil
}

func readHello(w *wire) (hello, error) {
	m, err := w.receive()
	if err != nil {
		return hello{}, err
	}
	defer m.close()
	if m.kind != kindHello {
		return hello{}, fmt.Errorf("%w: %s instead of HELLO", errProtocol, m.kind)
	}
	var h hello
	return h, m.decode(&h)
}

// differs says why no sessions move between the two; it is empty when they do.
func (h hello) differs(peer hello) string {
	switch {
	case h.Protocol != peer.Protocol:
		return fmt.Sprintf("the protocol of the hot restart is version %d here and %d there", h.Protocol, peer.Protocol)
	case h.Sessions != peer.Sessions:
		return fmt.Sprintf("sessions are of version %d here and %d there", h.Sessions, peer.Sessions)
	}
	return ""
}

// PID is that of the child.
func (s *Successor) PID() int { return s.process.pid() }

// Version is what the child says of itself.
func (s *Successor) Version() string { return s.child.Version }

// MovesClients tells whether the child understands our sessions, and why it does not.
func (s *Successor) MovesClients() (ok bool, why string) { return s.stays == "", s.stays }

// Offer sends the listening sockets, and welcome as JSON. With an error the child is dead.
func (s *Successor) Offer(listeners []Listener, welcome any) error {
	raw, err := json.Marshal(welcome)
	if err != nil {
		return s.abort(fmt.Errorf("encode the welcome: %w", err))
	}
	for {
		n := min(len(listeners), perOffer)
		last := n == len(listeners)
		var data []byte
		if last {
			data = raw
		}
		if err := s.offer(listeners[:n], last, data); err != nil {
			return s.abort(fmt.Errorf("offer the listening sockets: %w", err))
		}
		if listeners = listeners[n:]; last {
			return nil
		}
	}
}

func (s *Successor) offer(listeners []Listener, last bool, raw []byte) error {
	body := offer{Last: last}
	var fds []int
	for _, l := range listeners {
		fd, err := descriptor(l.File)
		if err != nil {
			return fmt.Errorf("%s %s: %w", l.Network, l.Address, err)
		}
		body.Listeners = append(body.Listeners, address{l.Network, l.Address})
		fds = append(fds, fd)
	}
	defer runtime.KeepAlive(listeners)
	return s.wire.send(kindOffer, body, fds, raw)
}

// descriptor is that of the file, for as long as it is open. os.File.Fd would put it in
// blocking mode, and with it the socket that the parent still accepts from.
func descriptor(f *os.File) (fd int, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	err = raw.Control(func(n uintptr) { fd = int(n) })
	return fd, err
}

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
			return nil
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
		return nil
	case <-s.gone:
		return s.Err()
	case <-ctx.Done():
		return s.abort(fmt.Errorf("the new process does not take over: %w", context.Cause(ctx)))
	}
}

// Update sends the child what has been counted here meanwhile.
func (s *Successor) Update(state []byte) error {
	err := s.wire.send(kindUpdate, nil, nil, state)
	if err != nil && !errors.Is(err, errNotSent) {
		s.fail(err)
	}
	return err
}

// Finish waits until all sessions are answered, tells the child that nothing more
// comes, and closes the connection. The child lives on, and is not to be given
// anything any more. An error says that it was gone before.
func (s *Successor) Finish() error {
	if err := s.unanswered(); err != nil {
		return err
	}
	s.finished.Store(true) // before the child can end the connection
	if err := s.wire.send(kindFinish, nil, nil); err != nil {
		s.process.kill()
		<-s.gone
		return fmt.Errorf("finish: %w", err)
	}
	_ = s.wire.socket.Close()
	<-s.gone
	return nil
}

// Gone is closed when the child is dead, or has ended the connection and may live: after
// Finish, and when it had said that it ends. Nothing that it was given is unanswered then.
func (s *Successor) Gone() <-chan struct{} { return s.gone }

// Ending is closed when the child says that it ends by itself: this process had better
// end too. It takes no more sessions.
func (s *Successor) Ending() <-chan struct{} { return s.ending }

// Err says why the child is gone; nil while it is not.
func (s *Successor) Err() error {
	select {
	case <-s.gone:
	default:
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

// abort ends it, and returns the cause.
func (s *Successor) abort(cause error) error {
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

// run reads to the end of the connection and cleans up.
func (s *Successor) run() {
	// Were the child's end of the connection held open by another process, it would
	// not end with the child. What the child has written can be read at once.
	over := make(chan struct{})
	go func() {
		select {
		case <-s.process.dead:
			_ = s.wire.socket.SetReadDeadline(time.Now().Add(grace))
		case <-over:
		}
	}()
	err := s.read()
	close(over)
	s.because(s.bury(err))
	_ = s.wire.socket.Close()
	s.settle()
	close(s.gone)
}

// bury sees to it that the child is dead, unless it may live, and returns why.
func (s *Successor) bury(err error) error {
	var failed *FailedError
	switch {
	case s.finished.Load():
		return errFinished
	case isEnd(err) && s.isEnding():
		return fmt.Errorf("%w: it has said that it ends", ErrGone)
	case isEnd(err) && s.process.ends(grace), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: %s", ErrGone, s.process.how())
	case isEnd(err):
		err = fmt.Errorf("%w: it has closed the connection", ErrGone)
	case errors.As(err, &failed):
		s.process.ends(grace) // it may have more to say to its log
	}
	s.process.kill()
	return err
}

func (s *Successor) isEnding() bool {
	select {
	case <-s.ending:
		return true
	default:
		return false
	}
}

// read handles what the child sends until that ends.
func (s *Successor) read() error {
	for {
		m, err := s.wire.receive()
		if err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				s.log.Warn("the new process has left a message half sent")
			}
			return err
		}
		err = s.handle(m)
		m.close()
		if err != nil {
			return err
		}
	}
}

func (s *Successor) handle(m *message) error {
	s.advanced.Add(1)
	switch m.kind {
	case kindProgress:
		return s.handleProgress(m)
	case kindFailed:
		return s.handleFailed(m)
	case kindReady:
		return once(s.ready, m)
	case kindTaken:
		if !s.wentOut.Load() {
			return fmt.Errorf("%w: %s before GO", errProtocol, m.kind)
		}
		return once(s.taken, m)
	case kindEnding:
		return once(s.ending, m)
	case kindAck, kindRefused:
		return s.handleAnswer(m)
	case kindUnknown:
		return s.handleUnknown(m)
	default:
		if err := s.wire.send(kindUnknown, unknown{m.kind}, nil); err != nil {
			s.fail(err) // and read on: there may be answers
		}
		return nil
	}
}

// once closes the channel.
func once(ch chan struct{}, m *message) error {
	select {
	case <-ch:
		return fmt.Errorf("%w: a second %s", errProtocol, m.kind)
	default:
		close(ch)
		return nil
	}
}

// handleProgress leaves the text to AwaitReady; a newer one takes the place of one that
// was not fetched.
func (s *Successor) handleProgress(m *message) error {
	var t text
	if err := m.decode(&t); err != nil {
		return err
	}
	for {
		select {
		case s.progress <- t.Text:
			return nil
		case <-s.progress:
		}
	}
}

func (s *Successor) handleFailed(m *message) error {
	var t text
	if err := m.decode(&t); err != nil {
		return err
	}
	return &FailedError{t.Text}
}

// handleUnknown has those know who wait for an answer: to a session that the oldest one
// is refused, and to the others that nothing will come of it.
func (s *Successor) handleUnknown(m *message) error {
	var u unknown
	if err := m.decode(&u); err != nil {
		return err
	}
	err := &UnknownError{u.Type.String()}
	switch u.Type {
	case kindSession:
		return s.refuseOldest(err)
	case kindHello, kindOffer, kindGo:
		return err
	}
	s.log.Warn("the new process does not know all we say", "error", err)
	return nil
}
