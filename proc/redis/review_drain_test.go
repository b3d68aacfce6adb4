package redis

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDrainAnswersWhatIsHeldBack: a command that has arrived, but waits for an earlier one
// of its session, is answered too when the service ends.
func TestDrainAnswersWhatIsHeldBack(t *testing.T) {
	for _, test := range []struct {
		name          string
		first, second []any
		held          string
	}{
		{"shares keys", cmd("MGET", "{t}a", "{t}b"), cmd("SET", "{t}a", 1), "upstream.order_held"},
		{"needs all else done", cmd("MGET", "{t}a", "{t}b"), cmd("FLUSHALL"), ""},
		{"other protocol", cmd("MGET", "{t}a", "{t}b"), cmd("HELLO", 2), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := startStub(t)
			asked := make(chan *stubConn, 1)
			n.does(func(c *stubConn, args []string) bool {
				if args[0] == "MGET" {
					asked <- c
				}
				return args[0] == "MGET"
			})
			p := startProxy(t, proxyOptions{drain: overdue * 3}, n.Addr).ready(t)
			conn := connect(t, p.Addr)
			require.NoError(t, conn.Send(test.first, test.second))
			c := <-asked
			eventually(t, func() bool {
				held := false
				p.onWorkers(func(w *worker) { held = len(w.sessions) == 1 && w.sessions[0].stop != 0 })
				return held
			}, "the second is held back")
			p.stop()
			eventually(t, func() bool {
				draining := false
				p.onWorkers(func(w *worker) { draining = w.draining })
				return draining
			}, "it drains")
			c.say("*2\r\n$1\r\na\r\n$1\r\nb\r\n")
			assert.Equal(t, []any{"a", "b"}, receiveWithin(t, conn, overdue))
			second := fmt.Sprint(receiveWithin(t, conn, overdue))
			assert.NotContains(t, second, "EOF")
			if test.held != "" {
				assert.Equal(t, "OK", second)
			}
			<-p.ended
		})
	}
}
