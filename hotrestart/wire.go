package hotrestart

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	inOne = 32 << 10  // bytes of a message that are put together to be written at once
	chunk = 256 << 10 // bytes that are written at once of a large one
)

// wire is one end of the connection. One goroutine receives, any may send.
type wire struct {
	socket   *socket
	patience time.Duration // how long the peer may take none of what is sent; 0 is for ever
	took     func()        // called when a part of a large message has been taken; may be nil

	mu     sync.Mutex // guards sending: a message goes out in one piece
	broken error      // a message is cut off: nothing can follow it
}

func newWire(c *net.UnixConn) *wire { return &wire{socket: newSocket(c)} }

// receive waits for a message.
func (w *wire) receive() (*message, error) { return receive(w.socket) }

// send sends a message: its header together with all its descriptors. An error that is
// errNotSent has done no harm: the message does not fit or a descriptor is no good.
func (w *wire) send(k kind, body any, fds []int, raw ...[]byte) error {
	b, err := encodeBody(body)
	if err != nil {
		return fmt.Errorf("%w: encode %s: %w", errNotSent, k, err)
	}
	h := header{kind: k, fds: len(fds), body: len(b)}
	for _, part := range raw {
		h.raw += len(part)
	}
	if err := h.check(); err != nil {
		return fmt.Errorf("%w: %w", errNotSent, err)
	}
	head := append(h.append(make([]byte, 0, headerSize+len(b)+min(h.raw, inOne))), b...)
	for len(raw) > 0 && len(raw[0]) <= cap(head)-len(head) {
		head, raw = append(head, raw[0]...), raw[1:]
	}

	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.writeLocked(head, fds, raw); err != nil {
		return fmt.Errorf("send %s: %w", k, err)
	}
	return nil
}

func (w *wire) writeLocked(head []byte, fds []int, raw [][]byte) error {
	if w.broken != nil {
		return w.broken
	}
	n, err := w.writeHeadLocked(head, fds)
	if err != nil {
		return err
	}
	for _, part := range append([][]byte{head[n:]}, raw...) {
		if err := w.writePartLocked(part); err != nil {
			w.broken = err
			return err
		}
	}
	return nil
}

// writeHeadLocked writes as much as one call takes, which has the descriptors with it.
func (w *wire) writeHeadLocked(head []byte, fds []int) (int, error) {
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	w.waitLocked()
	n, _, err := w.socket.WriteMsgUnix(head, rights, nil)
	switch {
	case err == nil:
		// No progress: the kernel has room for this much although the peer hangs, and there
		// may be a small message every second.
		return n, nil
	case errors.Is(err, unix.EBADF) || errors.Is(err, unix.ETOOMANYREFS):
		return 0, fmt.Errorf("%w: %w", errNotSent, err)
	default:
		w.broken = err
		return 0, err
	}
}

func (w *wire) writePartLocked(b []byte) error {
	for len(b) > 0 {
		w.waitLocked()
		n, err := w.socket.Write(b[:min(len(b), chunk)])
		if err != nil {
			return err
		}
		w.progress()
		b = b[n:]
	}
	return nil
}

func (w *wire) waitLocked() {
	if w.patience > 0 {
		_ = w.socket.SetWriteDeadline(time.Now().Add(w.patience))
	}
}

func (w *wire) progress() {
	if w.took != nil {
		w.took()
	}
}

// until has receive end with ctx. What is received afterwards makes no sense, as a
// message may have been cut.
func (w *wire) until(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = w.socket.SetReadDeadline(time.Unix(1, 0)) })
}
