package hotrestart

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"
)

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
		return nil, unmet(ctx, p, err)
	}
	go succ.run()
	return succ, nil
}

// unmet sees to it that a child is dead that did not say hello, and says why it did not.
func unmet(ctx context.Context, p *process, err error) error {
	switch {
	case isClosed(p.dead), isEnd(err) && p.ends(grace):
		return fmt.Errorf("the new process ended before it said hello: %s", p.how())
	case ctx.Err() != nil:
		err = fmt.Errorf("the new process did not say hello: %w", context.Cause(ctx))
	}
	p.kill()
	return err
}

// greet waits for the child and exchanges hellos.
func greet(ctx context.Context, s Start, at *rendezvous, p *process) (*Successor, error) {
	succ := newSuccessor(s, p)
	conn, err := succ.meet(ctx, at)
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

// meet waits for the child until it is dead or ctx ends. Once it has come, only the end of
// the connection tells that it is dead: it may have said why before.
func (s *Successor) meet(ctx context.Context, at *rendezvous) (*net.UnixConn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-s.process.dead:
			cancel()
		case <-ctx.Done():
		}
	}()
	defer context.AfterFunc(ctx, func() { _ = at.SetDeadline(time.Unix(1, 0)) })()
	return at.meet(s.process.pid(), func(err error) {
		s.log.Warn("somebody else came to the socket of the hot restart", "error", err)
	})
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
