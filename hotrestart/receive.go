package hotrestart

import (
	"errors"
	"fmt"
	"io"
	"net"

	"golang.org/x/sys/unix"
)

// source is where messages come from.
type source interface {
	// recv reads bytes and the descriptors that came with them. They are the caller's,
	// with an error too. truncated says that some were lost.
	recv(p []byte) (n int, fds []int, truncated bool, err error)
	io.Reader
}

// receive reads a message. It reads a header and no byte more, so descriptors that
// come with it are surely this message's. Descriptors that come with other bytes
// are dropped by the kernel, as those are read without room for any.
//
// The error is io.EOF only between messages. With an error no descriptor is left open.
func receive(src source) (*message, error) {
	m := &message{}
	if err := m.read(src); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

func (m *message) read(src source) error {
	h, err := m.readHeader(src)
	if err != nil {
		return err
	}
	m.kind = h.kind
	if m.body, err = readGrowing(src, h.body); err != nil {
		return fmt.Errorf("body of %s: %w", h.kind, err)
	}
	if m.raw, err = readGrowing(src, h.raw); err != nil {
		return fmt.Errorf("data of %s: %w", h.kind, err)
	}
	return nil
}

func (m *message) readHeader(src source) (header, error) {
	var b [headerSize]byte
	for got := 0; got < len(b); {
		n, fds, truncated, err := src.recv(b[got:])
		m.fds = append(m.fds, fds...)
		m.truncated = m.truncated || truncated
		switch {
		case len(m.fds) > maxFDs:
			return header{}, fmt.Errorf("%w: too many descriptors", errProtocol)
		case got+n > 0 && errors.Is(err, io.EOF):
			return header{}, io.ErrUnexpectedEOF
		case err != nil:
			return header{}, err
		}
		got += n
	}
	h, err := parseHeader(b[:])
	if err != nil {
		return header{}, err
	}
	if len(m.fds) != h.fds && !(m.truncated && len(m.fds) < h.fds) {
		return header{}, fmt.Errorf("%w: %s came with %d descriptors, not %d", errProtocol, h.kind, len(m.fds), h.fds)
	}
	return h, nil
}

// readGrowing reads n bytes, and takes no more memory ahead of them than it has read,
// or 64 KiB.
func readGrowing(r io.Reader, n int) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	b := make([]byte, 0, min(n, 64<<10))
	for len(b) < n {
		if len(b) == cap(b) {
			b = append(make([]byte, 0, min(n, 2*cap(b))), b...)
		}
		got, err := io.ReadFull(r, b[len(b):cap(b)])
		b = b[:len(b)+got]
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
	}
	return b, nil
}

// socket is the source that a unix socket is. Descriptors get close-on-exec as they
// come: the net package asks for that.
type socket struct {
	*net.UnixConn
	control []byte // room for the most descriptors
}

func newSocket(c *net.UnixConn) *socket {
	return &socket{UnixConn: c, control: make([]byte, unix.CmsgSpace(maxFDs*4))}
}

func (s *socket) recv(p []byte) (n int, fds []int, truncated bool, err error) {
	n, room, flags, _, err := s.ReadMsgUnix(p, s.control)
	if room > 0 {
		var ctl error
		if fds, ctl = descriptors(s.control[:room]); err == nil {
			err = ctl
		}
	}
	return n, fds, flags&unix.MSG_CTRUNC != 0, err
}

// descriptors finds those in control messages. The ones found are returned with an
// error too.
func descriptors(control []byte) (fds []int, err error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil, fmt.Errorf("%w: control message: %w", errProtocol, err)
	}
	for _, m := range messages {
		if m.Header.Level != unix.SOL_SOCKET || m.Header.Type != unix.SCM_RIGHTS {
			continue
		}
		got, err := unix.ParseUnixRights(&m)
		if err != nil {
			return fds, fmt.Errorf("%w: descriptors: %w", errProtocol, err)
		}
		fds = append(fds, got...)
	}
	return fds, nil
}
