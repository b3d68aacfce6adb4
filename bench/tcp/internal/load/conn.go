package load

import (
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"samaritan/bench/tcp/internal/peer"
)

// ErrAnswer says that an answer was not the expected one.
var ErrAnswer = errors.New("not the expected answer")

// bufferSize is how much is sent or received at once.
const bufferSize = 256 << 10

// dial connects without keepalive: nothing here is silent for long, and it takes system calls.
func dial(addr string) (net.Conn, error) {
	d := net.Dialer{KeepAlive: -1}
	return d.Dial("tcp4", addr)
}

// asker sends requests and checks their answers. Between runs nobody uses it, in a run its worker does.
type asker struct {
	request, end peer.Request
	number       uint64
	buffer       []byte // for chunks; nil when there are none
}

// ask returns when the answer is complete.
func (a *asker) ask(c net.Conn, op peer.Op, count uint64) error {
	a.number++
	a.request.Set(op, count, a.number)
	if _, err := c.Write(a.request[:]); err != nil {
		return fmt.Errorf("send a request: %w", err)
	}
	if err := a.move(c, op, count); err != nil {
		return fmt.Errorf("move %d bytes: %w", count, err)
	}
	if _, err := io.ReadFull(c, a.end[:]); err != nil {
		return fmt.Errorf("receive the end of the answer: %w", err)
	}
	if a.end != a.request {
		return fmt.Errorf("%w: ends with %x, not %x", ErrAnswer, a.end, a.request)
	}
	return nil
}

func (a *asker) move(c net.Conn, op peer.Op, count uint64) error {
	switch op {
	case peer.Download:
		return peer.Discard(c, a.buffer, count)
	case peer.Upload:
		return peer.Send(c, a.buffer, count)
	}
	return nil
}

// visit makes a connection, uses it once and closes it. It returns how long it took to have the
// answer.
func (a *asker) visit(addr string) (time.Duration, error) {
	begin := time.Now()
	c, err := dial(addr)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if err := c.SetDeadline(begin.Add(patience)); err != nil {
		return 0, err
	}
	err = a.ask(c, peer.Echo, 0)
	return time.Since(begin), err
}
