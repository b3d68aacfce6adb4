package redis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"samaritan/proc/redis/resp"
)

// dialTarget is a node connection to be made: dialled and prepared on a goroutine,
// as ordinary Go, and then handed over as a bare socket.
type dialTarget struct {
	addr     string
	proto    int
	readOnly bool // allow reads on a replica
	timeout  time.Duration
	ping     bool // see that the node answers, whatever it says
}

// dial connects, does the handshake, and returns a non-blocking socket that the
// caller owns.
func (t dialTarget) dial(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", t.addr)
	if err != nil {
		return -1, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if err := t.handshake(conn); err != nil {
		return -1, fmt.Errorf("prepare connection to %s: %w", t.addr, err)
	}
	return dupSocket(conn.(*net.TCPConn))
}

// handshake brings the connection into the state that sessions expect.
func (t dialTarget) handshake(conn net.Conn) error {
	if t.proto == 3 {
		if err := roundTrip(conn, "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"); err != nil {
			return fmt.Errorf("HELLO 3: %w", err)
		}
	}
	if t.readOnly {
		if err := roundTrip(conn, "*1\r\n$8\r\nREADONLY\r\n"); err != nil {
			return fmt.Errorf("READONLY: %w", err)
		}
	}
	if t.ping {
		if err := roundTrip(conn, "*1\r\n$4\r\nPING\r\n"); err != nil && !isErrorReply(err) {
			return fmt.Errorf("PING: %w", err)
		}
	}
	return nil
}

// roundTrip sends one command and reads its reply, which is nothing else in flight.
func roundTrip(conn net.Conn, command string) error {
	if _, err := conn.Write([]byte(command)); err != nil {
		return err
	}
	reply, err := readReply(bufio.NewReader(conn))
	if err != nil {
		return err
	}
	if reply[0] == '-' {
		return resp.ErrorReply(strings.TrimRight(string(reply[1:]), "\r\n"))
	}
	return nil
}

// dupSocket takes the socket out of the runtime's hands.
func dupSocket(conn *net.TCPConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	dup := -1
	var dupErr error
	err = raw.Control(func(fd uintptr) {
		n, _, e := syscall.RawSyscall(syscall.SYS_FCNTL, fd, syscall.F_DUPFD_CLOEXEC, 0)
		if e != 0 {
			dupErr = e
			return
		}
		dup = int(n)
	})
	return dup, errors.Join(err, dupErr)
}
