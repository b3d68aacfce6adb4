package redis

import (
	"errors"
	"time"

	"samaritan/proc"
)

// errNotServing is why a client cannot be taken over.
var errNotServing = errors.New("the service is not running")

// Adopt implements proc.Mover. The input is kept until it has been taken up.
func (p *Proc) Adopt(c proc.Client) (begin func(), err error) {
	m, err := unpackSession(c.State)
	if err != nil {
		return nil, err
	}
	if !p.bound.Load() {
		return nil, errNotServing
	}
	w := p.worker(p.env.Loops.Pick())
	if w == nil {
		return nil, errNotServing
	}
	if m.ID == 0 {
		m.ID = clientIDs.Add(1)
	}
	SetNextClientID(m.ID + 1)
	return func() {
		p.listener.Adopt()
		if !w.loop.Post(func() { w.adopt(c, m) }) {
			closeFD(c.FD)
			p.listener.Release()
		}
	}, nil
}

// adopt goes on with a client where another process has stopped.
func (w *worker) adopt(c proc.Client, m *movedSession) {
	if !w.ended {
		s := newSession(w, c.FD, m.ID)
		s.state, s.replySize = m.state(), m.ReplySize
		if conn, err := w.loop.AddWith(c.FD, s, c.Input); err == nil {
			conn.Backdate(m.Idle * int64(time.Millisecond))
			s.join(conn)
			w.unpackUnsettled(m.Unsettled)
			w.stats.downstream.movedIn++
			return
		}
	}
	closeFD(c.FD)
	w.release()
}
