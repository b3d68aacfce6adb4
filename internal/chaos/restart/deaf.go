package restart

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"

	"samaritan/internal/chaos"
	"samaritan/internal/testredis"
)

const (
	// deafValues is how many values a deaf client asks for, deafSize the size of each: all
	// together more than sockets and daemon hold.
	deafValues = 64
	deafSize   = 1 << 20
)

// deaf is a client that asks for much and reads nothing, so that it is never at a clean
// boundary, until it is told to read.
type deaf struct {
	nc    net.Conn
	conn  *testredis.Conn
	value string
}

// newDeaf connects one, and returns when the daemon is held up by it.
func (r *Rig) newDeaf(ctx context.Context) (d *deaf, err error) {
	d = &deaf{value: strings.Repeat("0123456789abcdef", deafSize/16)}
	var open atomic.Int64
	l, err := chaos.DialRaw(r.addr, 2, replyLimit, &open)
	if err != nil {
		return nil, err
	}
	err = l.Exchange([][]any{{"SET", "deaf", d.value}}, func(_ int, v any) {
		if e, ok := v.(error); ok {
			err = e
		}
	})
	if err = errors.Join(err, l.Close()); err != nil {
		return nil, err
	}
	if d.nc, err = net.Dial("tcp", r.addr); err != nil {
		return nil, err
	}
	_ = d.nc.(*net.TCPConn).SetReadBuffer(16 << 10) // a larger one is filled as well
	d.conn = testredis.NewConn(d.nc)
	if _, err = d.nc.Write(bytes.Repeat([]byte("*2\r\n$3\r\nGET\r\n$4\r\ndeaf\r\n"), deafValues)); err != nil {
		return nil, err
	}
	return d, eventually(ctx, startLimit, func() error {
		held, err := r.stat(ctx, "service."+serviceName+".downstream.rq_held_output")
		if err == nil && held == 0 {
			err = errors.New("restart: the deaf client holds nothing up")
		}
		return err
	})
}

// hear reads all that is due, and does one more command.
func (d *deaf) hear() error {
	want := bulk(d.value)
	buf := make([]byte, len(want))
	for i := range deafValues {
		if err := expect(d.nc, want, buf); err != nil {
			return fmt.Errorf("restart: value %d of the deaf client: %w", i, err)
		}
	}
	v, err := d.conn.Do("ECHO", "heard")
	if err == nil && v != "heard" {
		err = fmt.Errorf("restart: the deaf client got %v", v)
	}
	return err
}

// isClosed tells whether the connection ends.
func (d *deaf) isClosed() error {
	for range deafValues + 1 {
		if _, err := d.conn.Receive(); isCut(err) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return errors.New("restart: the deaf client has got everything")
}
