package hotrestart

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// Predecessor is the parent, as the child sees it. Listeners, Ready, Taken and Serve are
// called in this order, by one goroutine; the others by any.
type Predecessor struct {
	wire   *wire
	pid    int
	parent hello
	stays  string // why no sessions move; empty when they do

	mu sync.Mutex // guards the following, and that nothing is acknowledged behind ENDING
	// mu guards the following.
	text  string // last progress
	ended bool   // ENDING was said
}

// Inherit finds the parent that the environment names and exchanges hellos with it. The
// version is that of this daemon, sessions that of its encoding of sessions (see Start).
// It takes the names out of the environment, and returns nil and no error if there are
// none.
//
// ErrNoParent says that the parent is dead already: this process starts like any other.
// Other errors say that it lives and does not want us; it is about to kill us.
func Inherit(ctx context.Context, version string, sessions int) (*Predecessor, error) {
	pid, path, err := parentFromEnv()
	if err != nil || pid == 0 {
		return nil, err
	}
	p := &Predecessor{pid: pid}
	err = p.meet(ctx, path, hello{protocolVersion, sessions, version})
	switch {
	case err == nil:
		return p, nil
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case !errors.Is(err, errNotParent) && p.parentDied():
		_ = os.Remove(path) // which nobody else does any more
		return nil, fmt.Errorf("%w: process %d: %w", ErrNoParent, pid, err)
	}
	return nil, fmt.Errorf("meet the parent process %d: %w", pid, err)
}

func (p *Predecessor) meet(ctx context.Context, path string, own hello) error {
	ours := os.Getppid() == p.pid
	conn, err := dial(ctx, path)
	if err != nil {
		return err
	}
	p.wire = newWire(conn)
	stop := p.wire.until(ctx)
	if err = checkPeer(conn, p.pid); err == nil && !ours {
		err = stillListens(ctx, path)
	}
	if err == nil {
		err = p.hello(own)
	}
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		p.Close()
	}
	return err
}

// stillListens looks for a second whether a process that is not our parent lives. If so
// it is errNotParent. One that was killed can be seen to listen for a moment longer than
// it is our parent.
func stillListens(ctx context.Context, path string) error {
	for pause := time.Millisecond; pause < grace; pause *= 2 {
		time.Sleep(pause)
		conn, err := dial(ctx, path)
		if err != nil {
			return err
		}
		_ = conn.Close()
	}
	return errNotParent
}

func (p *Predecessor) hello(own hello) error {
	if err := p.wire.send(kindHello, own, nil); err != nil {
		return err
	}
	peer, err := readHello(p.wire)
	p.parent, p.stays = peer, own.differs(peer)
	return err
}

// PID is that of the parent.
func (p *Predecessor) PID() int { return p.pid }

// Version is what the parent says of itself.
func (p *Predecessor) Version() string { return p.parent.Version }

// MovesClients tells whether sessions will come, and why they do not.
func (p *Predecessor) MovesClients() (ok bool, why string) { return p.stays == "", p.stays }

// Listeners waits for the listening sockets, and for the parent's welcome, as JSON. The
// files are the caller's to close, with an error too: with ErrParentGone there is what had
// come by then, and no welcome unless all had.
func (p *Predecessor) Listeners(ctx context.Context) (all []Listener, welcome []byte, err error) {
	for {
		m, err := p.next(ctx, kindOffer)
		if err != nil {
			return all, nil, fmt.Errorf("wait for the listening sockets: %w", err)
		}
		some, last, err := m.listeners()
		m.close()
		all = append(all, some...)
		if err != nil || last {
			return all, m.raw, err
		}
	}
}

// listeners takes the descriptors of an OFFER.
func (m *message) listeners() (some []Listener, last bool, err error) {
	var o offer
	if err := m.decode(&o); err != nil {
		return nil, false, err
	}
	if m.truncated {
		return nil, false, errors.New("receive the listening sockets: too many open files")
	}
	if len(o.Listeners) != len(m.fds) {
		return nil, false, fmt.Errorf("%w: %d listening sockets with %d descriptors", errProtocol, len(o.Listeners), len(m.fds))
	}
	for i, fd := range m.take() {
		a := o.Listeners[i]
		some = append(some, Listener{a.Network, a.Address, os.NewFile(uintptr(fd), a.Network+" "+a.Address)})
	}
	return some, o.Last, nil
}

// Progress tells the parent how far this process is, for people, up to 16 KiB. The same
// text again is not sent.
func (p *Predecessor) Progress(t string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t != p.text {
		p.text = t
		p.tell(kindProgress, text{short(t)})
	}
}

// Failed tells the parent why this process cannot take over, up to 16 KiB. It then has a
// second to end; the parent kills it.
func (p *Predecessor) Failed(t string) { p.tell(kindFailed, text{short(t)}) }

// Ending tells the parent that this process ends by itself. From here on it takes no
// sessions, which are refused.
func (p *Predecessor) Ending() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.ended = true
		p.tell(kindEnding, nil)
	}
}

// tell sends what needs no answer. When it fails, the next receive says why.
func (p *Predecessor) tell(k kind, body any) { _ = p.wire.send(k, body, nil) }

// Ready says that this process is ready, and waits until it may take over. It returns the
// state that the parent hands over, which is nil if there is none. With ErrParentGone this
// process goes on alone.
func (p *Predecessor) Ready(ctx context.Context) (state []byte, err error) {
	if err := p.wire.send(kindReady, nil, nil); err != nil {
		return nil, fmt.Errorf("say that we are ready: %w", p.lost(err))
	}
	m, err := p.next(ctx, kindGo)
	if err != nil {
		return nil, fmt.Errorf("wait for the handover: %w", err)
	}
	m.close()
	return m.raw, nil
}

// Taken says that this process has taken over. The parent gets told with Successor.Told.
func (p *Predecessor) Taken(told []byte) error {
	if err := p.wire.send(kindTaken, nil, nil, told); err != nil {
		return fmt.Errorf("say that we have taken over: %w", p.lost(err))
	}
	return nil
}

// Close ends the connection without a word. A parent that lives kills this process then,
// unless Ending was called. Serve closes it itself.
func (p *Predecessor) Close() { _ = p.wire.socket.Close() }

// next waits for a message of the kind. Others that come are not expected now: they are
// answered as unknown.
func (p *Predecessor) next(ctx context.Context, want kind) (*message, error) {
	stop := p.wire.until(ctx)
	defer stop()
	for {
		m, err := p.wire.receive()
		switch {
		case err != nil && ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil:
			return nil, p.lost(err)
		case m.kind == want && stop():
			return m, nil
		case m.kind == want:
			m.close()
			return nil, context.Cause(ctx)
		}
		m.close()
		if err := p.unexpected(m); err != nil {
			return nil, err
		}
	}
}

// unexpected answers what is not known, but for an answer of that sort itself. That one is
// an error if it is about something without which the parent will not go on.
func (p *Predecessor) unexpected(m *message) error {
	if m.kind != kindUnknown {
		p.tell(kindUnknown, unknown{m.kind})
		return nil
	}
	var u unknown
	if err := m.decode(&u); err != nil {
		return err
	}
	if u.Type == kindReady || u.Type == kindTaken {
		return &UnknownError{u.Type.String()}
	}
	return nil
}

// lost tells what an error of the connection means: it ends with the parent.
func (p *Predecessor) lost(err error) error {
	switch {
	case !isEnd(err):
		return err
	case p.parentDied():
		return ErrParentGone
	}
	return fmt.Errorf("the parent has closed the connection, and lives: %w", err)
}

// parentDied tells whether the parent is dead. The connection ends a moment before that
// can be seen, so it waits for it, up to a second.
func (p *Predecessor) parentDied() bool {
	for end := time.Now().Add(grace); os.Getppid() == p.pid; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}
