package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// chunk is how much is sent or received at once.
const chunk = 256 << 10

// errRequest says that a request makes no sense.
var errRequest = errors.New("unknown request")

// Serve listens on all addresses and serves until the context ends, then returns nil.
func Serve(ctx context.Context, addrs ...string) error {
	ctx, cancel := context.WithCancel(ctx)
	s := &server{ctx: ctx, payload: make([]byte, chunk)}
	for i := range s.payload {
		s.payload[i] = byte(i)
	}
	defer s.running.Wait()
	defer cancel()
	// Clients end their connections themselves: keepalive would be system calls for nothing.
	config := net.ListenConfig{KeepAlive: -1}
	for _, addr := range addrs {
		l, err := config.Listen(ctx, "tcp4", addr)
		if err != nil {
			return err
		}
		defer l.Close()
		s.running.Go(func() { s.accept(l) })
	}
	<-ctx.Done()
	return nil
}

// server is what all connections share.
type server struct {
	ctx     context.Context
	payload []byte // sent to those who download; never written to
	buffers sync.Pool
	running sync.WaitGroup
}

// accept ends with its listener.
func (s *server) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil { // Else the client has gone already.
			s.running.Go(func() { s.serve(c) })
		}
	}
}

// serve answers until the client has had enough. What a client did wrong ends its connection, which it
// will notice.
func (s *server) serve(c net.Conn) {
	defer c.Close()
	defer context.AfterFunc(s.ctx, func() { c.Close() })()
	var r Request
	for {
		if _, err := io.ReadFull(c, r[:]); err != nil {
			return
		}
		if err := s.answer(c, &r); err != nil {
			return
		}
	}
}

func (s *server) answer(c net.Conn, r *Request) (err error) {
	switch r.Op() {
	case Echo:
	case Download:
		err = Send(c, s.payload, r.Count())
	case Upload:
		buffer := s.buffer()
		err = Discard(c, *buffer, r.Count())
		s.buffers.Put(buffer)
	default:
		err = fmt.Errorf("%w: %q", errRequest, r.Op())
	}
	if err != nil {
		return err
	}
	_, err = c.Write(r[:])
	return err
}

func (s *server) buffer() *[]byte {
	if b, ok := s.buffers.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, chunk)
	return &b
}

// Send writes count bytes, as many at once as payload has.
func Send(w io.Writer, payload []byte, count uint64) error {
	for count > 0 {
		n, err := w.Write(payload[:min(uint64(len(payload)), count)])
		if err != nil {
			return err
		}
		count -= uint64(n)
	}
	return nil
}

// Discard reads count bytes into buffer, and not one more.
func Discard(r io.Reader, buffer []byte, count uint64) error {
	for count > 0 {
		n, err := r.Read(buffer[:min(uint64(len(buffer)), count)])
		if err != nil {
			return err
		}
		count -= uint64(n)
	}
	return nil
}
