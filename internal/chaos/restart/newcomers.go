package restart

import (
	"context"
	"fmt"
	"sync/atomic"
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
	visits   atomic.Int64 // that went well, each of them one command
}

// run is one newcomer, until the context ends.
func (n *newcomers) run(ctx context.Context, id int) {
	for visit := 0; pause(ctx, newcomerPause) == nil; visit++ {
		start := time.Now()
		if err := call(n.addr(), fmt.Sprintf("newcomer %d-%d", id, visit)); err != nil {
			n.problems.add("newcomer %d, after %v: %v", id, time.Since(start).Round(time.Microsecond), err)
			continue
		}
		n.visits.Add(1)
		n.watch.took(start)
	}
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
