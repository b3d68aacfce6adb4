package redis

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// TestHeldSessionGoesOnWhenTheRequestsBeforeItTimeOut: the window of a node fills while
// the connection is being made, and is empty again before it is made. Who waits for room
// must not wait for a reply that lets it go on: none is due.
func TestHeldSessionGoesOnWhenTheRequestsBeforeItTimeOut(t *testing.T) {
	t.Parallel()
	n := startStub(t)
	var open atomic.Bool
	greet := make(chan bool)
	n.does(func(_ *stubConn, args []string) bool {
		if args[0] == "HELLO" && !open.Load() {
			<-greet
		}
		return false
	})
	release := sync.OnceFunc(func() { open.Store(true); close(greet) })
	defer release()
	p := startProxy(t, proxyOptions{requestTimeout: overdue, connectTimeout: 10 * overdue}, n.Addr).ready(t)
	value := strings.Repeat("v", nodeWindow/4+1) // four of them fill the window
	conns := make([]*testredis.Conn, 5)
	var sending sync.WaitGroup
	defer sending.Wait()
	for i := range conns {
		conns[i] = connect(t, p.Addr)
		must(t, conns[i], "HELLO", 3)
		sending.Go(func() { assert.NoError(t, conns[i].Send(cmd("SET", "k", value))) })
	}
	p.waitCounter(t, "upstream.rq_window_full", 1)
	p.waitCounter(t, "upstream.rq_timeout", 4)
	release()
	ok := 0
	for _, c := range conns {
		switch v := receiveWithin(t, c, overdue).(type) {
		case testredis.Error:
			require.Contains(t, string(v), "timed out")
		default:
			require.Equal(t, "OK", v)
			ok++
		}
	}
	assert.LessOrEqual(t, ok, 1)
}
