package restart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"samaritan/internal/testredis"
)

// newcomerPause is how long a newcomer waits before it comes again.
const newcomerPause = 4 * time.Millisecond

// newcomers are clients that connect, do one command and leave, all the time. None may be
// refused, be cut off or wait for ever.
type newcomers struct {
	addr     func() string
	problems *problems
	watch    *stopwatch
	visits   atomic.Int64  // that went well, each of them one command
	cut      *atomic.Int64 // counts those whose connection ended; nil: that is a problem
}

// run is one newcomer, until the context ends.
func (n *newcomers) run(ctx context.Context, id int) {
	for visit := 0; pause(ctx, newcomerPause) == nil; visit++ {
		start := time.Now()
		err := call(n.addr(), fmt.Sprintf("newcomer %d-%d", id, visit))
		switch {
		case err == nil:
			n.visits.Add(1)
			n.watch.took(start)
		case n.cut != nil && isCut(err):
			n.cut.Add(1)
		default:
			n.problems.add("newcomer %d, after %v: %v", id, time.Since(start).Round(time.Microsecond), err)
		}
	}
}

// isCut tells whether a connection that was there has ended.
func isCut(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || ok && op.Op != "dial" && errors.Is(err, syscall.ECONNRESET)
}

// call connects, has the token said back by the daemon, and leaves.
func call(addr, token string) error {
	conn, err := testredis.Dial(addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	v, err := conn.Do("ECHO", token)
	if err == nil && v != token {
		err = fmt.Errorf("the reply is %v, not %s", v, token)
	}
	return err
}
