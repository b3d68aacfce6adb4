package hotrestart

import (
	"errors"
	"fmt"
	"io"
	"syscall"
)

var (
	// ErrGone says that the child is gone, or has ended the connection, and does not
	// have what it was given.
	ErrGone = errors.New("the new process is gone")
	// ErrNoParent says that the environment names a parent that does not exist any more.
	ErrNoParent = errors.New("the parent process is gone already")
	// ErrParentGone says that the parent has died. The child has all there is now.
	ErrParentGone = errors.New("the parent process is gone")

	errProtocol  = errors.New("protocol error")
	errNotSent   = errors.New("nothing was sent")
	errKilled    = errors.New("the new process was killed")
	errFinished  = errors.New("the handover is finished")
	errNotParent = errors.New("it waits for a process that it has started itself")
)

// RefusedError says that the child does not take a session. The parent serves it on.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return "refused: " + e.Reason }

// FailedError is what the child says of why it cannot become ready.
type FailedError struct{ Text string }

func (e *FailedError) Error() string { return "the new process cannot start: " + e.Text }

// UnknownError says that the other process does not know a type of message.
type UnknownError struct{ Type string }

func (e *UnknownError) Error() string {
	return fmt.Sprintf("the other process does not know the message %s", e.Type)
}

// isEnd tells whether the other side's end of the connection is closed. A reset is one
// too: it only says that something was left unread over there.
func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
