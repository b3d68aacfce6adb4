package hotrestart

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Handler takes what comes once the child has taken over. Its functions are called one
// at a time.
type Handler struct {
	// Session makes ready to serve a session. With an error it has not touched the
	// descriptor, and the parent serves the session on. Else the descriptor is its own;
	// begin is called when the session is surely ours, at once or never. It must not
	// call a Predecessor's functions.
	Session func(service string, fd int, state, input []byte) (begin func(), err error)
	// State gets what the parent sends with Successor.Update.
	State func(state []byte)
}

// Serve takes sessions and updates until the parent has finished, and closes the
// connection. Then it returns nil; ErrParentGone when the parent died before; the cause
// when ctx ended, after Ending. With any other error the parent lives and is about to
// kill this process, as neither knows any more who has what.
//
// A session whose acknowledgement could not be sent is begun if the parent is dead: then
// there is nobody else who has it.
func (p *Predecessor) Serve(ctx context.Context, h Handler) error {
	defer p.Close()
	defer p.wire.until(ctx)()
	defer context.AfterFunc(ctx, p.Ending)()
	for {
		m, err := p.wire.receive()
		if err == nil {
			finished, err := p.serve(h, m)
			m.close()
			if finished || err != nil {
				return err
			}
			continue
		}
		if ctx.Err() != nil {
			p.Ending() // before the connection is closed
			return context.Cause(ctx)
		}
		return p.lost(err)
	}
}

func (p *Predecessor) serve(h Handler, m *message) (finished bool, err error) {
	switch m.kind {
	case kindSession:
		return false, p.session(h, m)
	case kindUpdate:
		h.State(m.raw)
		return false, nil
	case kindAsk:
		p.tell(kindHere, nil)
		return false, nil
	case kindFinish:
		return true, nil
	default:
		return false, p.unexpected(m)
	}
}

// session answers one. The lock keeps ENDING from coming between the decision to take it
// and the acknowledgement.
func (p *Predecessor) session(h Handler, m *message) error {
	var s session
	if err := m.decode(&s); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	begin, err := p.adoptLocked(h, m, s)
	if err != nil {
		p.tell(kindRefused, answer{s.ID, short(err.Error())})
		return nil
	}
	if err := p.wire.send(kindAck, answer{ID: s.ID}, nil); err != nil {
		if err = p.lost(err); !errors.Is(err, ErrParentGone) {
			return fmt.Errorf("acknowledge a session: %w", err)
		}
	}
	begin()
	return nil
}

// adoptLocked leaves the descriptor in m to be closed when it fails.
func (p *Predecessor) adoptLocked(h Handler, m *message, s session) (begin func(), err error) {
	switch {
	case m.truncated:
		return nil, unix.EMFILE
	case len(m.fds) != 1 || s.State > uint64(len(m.raw)):
		return nil, errors.New("the message is not complete")
	case p.ended:
		return nil, errors.New("this process ends")
	}
	state, input := m.raw[:s.State:s.State], m.raw[s.State:]
	if begin, err = h.Session(s.Service, m.fds[0], state, input); err == nil {
		m.take()
	}
	return begin, err
}
