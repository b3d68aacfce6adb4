package hotrestart

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

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
	s.bury(err)
	_ = s.wire.socket.Close()
	s.settle()
	close(s.gone)
}

// bury sees to it that the child is dead, unless it may live, and says why.
func (s *Successor) bury(err error) {
	var failed *FailedError
	switch {
	case s.finished.Load():
		s.because(errFinished)
		s.process.leave()
		return
	case isEnd(err) && s.isEnding() && isClosed(s.taken):
		s.because(fmt.Errorf("%w: it has said that it ends", ErrGone))
		s.process.leave()
		return
	case isEnd(err) && s.process.ends(grace), errors.Is(err, os.ErrDeadlineExceeded):
		s.because(fmt.Errorf("%w: %s", ErrGone, s.process.how()))
	case isEnd(err):
		s.because(fmt.Errorf("%w: it has closed the connection", ErrGone))
	case errors.As(err, &failed):
		s.because(err)
		s.process.ends(grace) // it may have more to say to its log
	default:
		s.because(err)
	}
	s.process.kill()
}

func (s *Successor) isEnding() bool { return isClosed(s.ending) }

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
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
		if !isClosed(s.taken) {
			s.told = m.raw
		}
		return once(s.taken, m)
	case kindEnding:
		return once(s.ending, m)
	case kindAck, kindRefused:
		return s.handleAnswer(m)
	case kindHere:
		s.heard.Add(1)
		return nil
	case kindUnknown:
		return s.handleUnknown(m)
	default:
		s.notSent(s.wire.send(kindUnknown, unknown{m.kind}, nil)) // and read on: there may be answers
		return nil
	}
}

// once closes the channel.
func once(ch chan struct{}, m *message) error {
	if isClosed(ch) {
		return fmt.Errorf("%w: a second %s", errProtocol, m.kind)
	}
	close(ch)
	return nil
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
	case kindAsk: // so it lives
		s.heard.Add(1)
		return nil
	}
	s.log.Warn("the new process does not know all we say", "error", err)
	return nil
}
