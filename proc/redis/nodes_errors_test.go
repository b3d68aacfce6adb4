package redis

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
	"samaritan/proc/redis/resp"
)

func TestWhatAMasterSaysOfItselfIsPassedOn(t *testing.T) {
	for _, tt := range []struct {
		says    string
		refresh bool   // the slot map is asked for
		stat    string // counts it
	}{
		{saysLoading, true, "upstream.loading"},
		{saysClusterDown, true, "upstream.clusterdown"},
		{"CLUSTERDOWN Hash slot not served", true, "upstream.clusterdown"},
		{saysReadOnly, true, "upstream.readonly"},
		{saysMasterDown, true, "upstream.masterdown"},
		{"NOAUTH Authentication required.", true, ""},
		{"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", false, ""},
	} {
		t.Run(fmt.Sprintf("%.16s", tt.says), func(t *testing.T) {
			t.Parallel()
			nodes := startStubs(t, 2)
			bad := nodes[1]
			bad.does(refuses(tt.says))
			p, lines := startLogged(t, proxyOptions{}, addrs(nodes)...)
			conn := connect(t, p.Addr)
			must(t, conn, "GET", here)
			asked := func() int { return nodes[0].count("CLUSTER") + bad.count("CLUSTER") }
			from := asked()
			require.NoError(t, conn.Send(cmd("GET", here), cmd("SET", there, 1), cmd("GET", there), cmd("MGET", here, there),
				cmd("MSET", here, 1, there, 2), cmd("EXISTS", here), cmd("GET", here)))
			e := testredis.Error(tt.says)
			assert.Equal(t, []any{here, e, e, e, e, "OK", here}, receive(t, conn, 7), "verbatim, for a part too")
			assert.Equal(t, 4, bad.userRequests(), "nothing is sent twice")
			if tt.refresh {
				require.Eventually(t, func() bool { return asked() > from }, overdue, 2*time.Millisecond, "the slot map is not asked for")
			}
			if tt.stat != "" {
				p.moves(t, tt.stat, 4)
				word, _, _ := strings.Cut(tt.says, " ")
				lines.names(t, bad.Addr, word)
			}
			// A hundred more do not make a hundred questions.
			from = asked()
			for range 100 {
				assert.Equal(t, tt.says, errorOf(t, conn, "GET", there))
			}
			assert.Less(t, asked()-from, 20)
			bad.does(nil)
			assert.Equal(t, there, must(t, conn, "GET", there), "the node is not left out for it")
		})
	}
}

// TestNonsenseOfANodeReachesNobody: many sessions have requests in flight when the node
// begins to talk nonsense. Each gets its own replies or errors.
func TestNonsenseOfANodeReachesNobody(t *testing.T) {
	const sessions, requests, nonsenseAt = 12, 15, 100
	for name, nonsense := range map[string]string{
		"text":                 "hello\r\n",
		"bytes":                "\x00\x01\xff\xfe",
		"bulk too long":        "$1\r\nabc\r\n",
		"bulk without its end": "$3\r\nabcde\r\n",
		"huge array":           "*9999999999999999\r\n",
		"nested without end":   strings.Repeat("*1\r\n", 100_000),
		"array of nonsense":    "*2\r\n$1\r\na\r\n?\r\n",
		"HTTP":                 "HTTP/1.1 400 Bad Request\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes := startStubs(t, 2)
			bad := nodes[1]
			var left atomic.Int64
			left.Store(nonsenseAt)
			bad.does(func(c *stubConn, args []string) bool {
				if ownCommands[args[0]] || left.Add(-1) != 0 {
					return false
				}
				c.say(nonsense)
				c.mu.Lock()
				defer c.mu.Unlock()
				c.mute = true
				return true
			})
			p, lines := startLogged(t, proxyOptions{}, addrs(nodes)...)
			var conns []*testredis.Conn
			for range sessions {
				conns = append(conns, connect(t, p.Addr))
			}
			own := func(i, j int) string { return key(9000, fmt.Sprint(i, "-", j)) }
			for i, c := range conns {
				var all [][]any
				for j := range requests {
					all = append(all, cmd("GET", own(i, j)), cmd("SET", own(i, j), 1), cmd("MGET", own(i, j), here))
				}
				require.NoError(t, c.Send(all...))
			}
			errors := 0
			for i, c := range conns {
				got := receive(t, c, 3*requests)
				for j := range requests {
					for n, want := range []any{own(i, j), "OK", []any{own(i, j), here}} {
						if !assertOwn(t, want, got[3*j+n], bad.Addr) {
							errors++
						}
					}
				}
			}
			assert.Positive(t, errors)
			assert.LessOrEqual(t, int(left.Load()), 0)
			eventually(t, func() bool { v, _ := conns[0].Do("GET", there); return v == there }, "the node is used again")
			for i, c := range conns {
				assert.Equal(t, own(i, 0), must(t, c, "GET", own(i, 0)))
			}
			p.moves(t, "upstream.cx_protocol_error", 1)
			lines.names(t, bad.Addr, "protocol")
		})
	}
}

// TestReplyToNobodyEndsTheConnection: the replies after it could not be told apart.
func TestReplyToNobodyEndsTheConnection(t *testing.T) {
	t.Parallel()
	n := startStub(t)
	n.does(func(c *stubConn, args []string) bool {
		return args[0] == "SET" && c.say("+OK\r\n+stray\r\n")
	})
	p, lines := startLogged(t, proxyOptions{}, n.Addr)
	conn := connect(t, p.Addr)
	assert.Equal(t, "OK", must(t, conn, "SET", "k", 1))
	p.moves(t, "upstream.cx_protocol_error", 1)
	for range 5 {
		assert.Equal(t, "k", must(t, conn, "GET", "k"))
	}
	lines.names(t, n.Addr, "nobody asked|protocol|lost")
}

// TestHungNodeTakesABoundedShareOfMemory: many sessions send it large values; what
// waits for it is bounded, and the others go on.
func TestHungNodeTakesABoundedShareOfMemory(t *testing.T) {
	const sessions, values, size = 24, 4, 512 << 10
	nodes := startStubs(t, 2)
	hung := nodes[1]
	release := make(chan struct{})
	hung.does(func(_ *stubConn, args []string) bool {
		if args[0] == "SET" {
			select { // nothing more is read either
			case <-release:
			case <-hung.ended:
			}
		}
		return false
	})
	p := startProxy(t, proxyOptions{}, addrs(nodes)...).ready(t)
	other := connect(t, p.Addr)
	must(t, other, "GET", here)
	before := residentMemory(t)
	payload := bytes.Repeat(resp.AppendCommand(nil, "SET", there, strings.Repeat("v", size)), values)
	var conns []*net.TCPConn
	sent := make(chan error, sessions)
	for range sessions {
		c := dialWire(t, p.Addr)
		conns = append(conns, c)
		go func() { _, err := c.Write(payload); sent <- err }()
	}
	// Bytes at the node's client, and those that sessions have read and not taken up.
	held := func() (outstanding, unhandled int) {
		p.onWorkers(func(w *worker) {
			for _, n := range w.nodes {
				for _, c := range n.clients {
					if c != nil {
						outstanding += c.bytes
					}
				}
			}
			for _, s := range w.sessions {
				unhandled += s.conn.Buffered()
			}
		})
		return outstanding, unhandled
	}
	p.waitCounter(t, "upstream.rq_window_full", 1)
	window, input := 0, 0
	for range 100 {
		assert.Equal(t, here, must(t, other, "GET", here))
		outstanding, unhandled := held()
		window, input = max(window, outstanding), max(input, unhandled)
	}
	t.Logf("of %d MiB: %d MiB outstanding, %d MiB read, %d MiB more resident",
		sessions*values*size>>20, window>>20, input>>20, (residentMemory(t)-before)>>20)
	assert.Greater(t, window, nodeWindow/2)
	assert.LessOrEqual(t, window, nodeWindow+2*size)
	assert.LessOrEqual(t, input, sessions*2*size)

	close(release)
	for range sessions {
		require.NoError(t, <-sent)
	}
	want := strings.Repeat("+OK\r\n", values)
	for _, c := range conns {
		got := make([]byte, len(want))
		_, err := io.ReadFull(c, got)
		require.NoError(t, err)
		assert.Equal(t, want, string(got))
	}
	assert.Equal(t, sessions*values, hung.userRequests())
	eventually(t, func() bool { outstanding, unhandled := held(); return outstanding+unhandled == 0 }, "nothing is left")
}
