package redis

import (
	"bytes"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/proc/redis/resp"
)

// fakeNode is a node that says it owns all slots, and answers every other command
// with the same bytes.
type fakeNode struct {
	ln     net.Listener
	answer []byte
	pace   time.Duration // between the bytes of an answer, 0: all at once
	conns  sync.WaitGroup
}

// startFakeNode starts one that ends with the test.
func startFakeNode(t testing.TB, answer string) *fakeNode {
	t.Helper()
	return startSlowNode(t, answer, 0)
}

func startSlowNode(t testing.TB, answer string, pace time.Duration) *fakeNode {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	n := &fakeNode{ln: ln, answer: []byte(answer), pace: pace}
	n.conns.Go(n.serve)
	t.Cleanup(func() { _ = ln.Close(); n.conns.Wait() })
	return n
}

func (n *fakeNode) addr() string { return n.ln.Addr().String() }

func (n *fakeNode) serve() {
	for {
		conn, err := n.ln.Accept()
		if err != nil {
			return
		}
		n.conns.Go(func() { defer conn.Close(); n.talk(conn) })
	}
}

// talk answers until the proxy hangs up, which it does at its end at the latest.
func (n *fakeNode) talk(conn net.Conn) {
	var p resp.Parser
	var in []byte
	b := make([]byte, 4096)
	for {
		m, err := conn.Read(b)
		if err != nil {
			return
		}
		in = append(in, b[:m]...)
		for {
			used, err := p.Parse(in)
			if err != nil {
				return
			}
			if used == 0 {
				break
			}
			if bytes.Contains(p.Frame(in), []byte("SLOTS")) {
				_, err = conn.Write(n.slots())
			} else {
				err = n.reply(conn)
			}
			if err != nil {
				return
			}
			in = in[used:]
		}
	}
}

func (n *fakeNode) reply(conn net.Conn) error {
	if n.pace == 0 {
		_, err := conn.Write(n.answer)
		return err
	}
	tick := time.NewTicker(n.pace)
	defer tick.Stop()
	for i := range n.answer {
		<-tick.C
		if _, err := conn.Write(n.answer[i : i+1]); err != nil {
			return err
		}
	}
	return nil
}

// slots is the reply to CLUSTER SLOTS.
func (n *fakeNode) slots() []byte {
	port := n.ln.Addr().(*net.TCPAddr).Port
	return []byte("*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:" + strconv.Itoa(port) + "\r\n$40\r\n" + strings.Repeat("f", 40) + "\r\n")
}

const million = 1_000_000

func TestDeepNestingFromAClientEndsAtOnce(t *testing.T) {
	p, server := startPair(t, proxyOptions{})
	in := strings.Repeat("*1\r\n", million)
	want := untilClosed(t, server, in)
	before := heapInUse()
	for range 20 {
		got := untilClosed(t, p.Addr, in)
		if got != "" { // a reset may have thrown it away, as with the server
			assert.Equal(t, "-ERR Protocol error: expected '$', got '*'\r\n", got)
		}
	}
	assert.Contains(t, "-ERR Protocol error: expected '$', got '*'\r\n", want)
	assert.Less(t, heapInUse()-before, 4<<20)
	p.waitCounter(t, "downstream.cx_protocol_error", 20)
}

// TestNonsenseFromANodeEndsItsConnection: the client hears of it, the proxy lives.
func TestNonsenseFromANodeEndsItsConnection(t *testing.T) {
	for name, answer := range map[string]string{
		"a million levels":        strings.Repeat("*1\r\n", million),
		"a million RESP3 levels":  strings.Repeat("~1\r\n", million/2) + strings.Repeat("%1\r\n+k\r\n", million/2),
		"a million attributes":    strings.Repeat("|1\r\n+k\r\n", million),
		"text":                    "hello world\r\n",
		"HTTP":                    "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
		"zeros":                   strings.Repeat("\x00", 100) + "\r\n",
		"negative bulk":           "$-5\r\n",
		"huge bulk":               "$99999999999\r\n",
		"negative array":          "*-7\r\n",
		"huge array":              "*99999999999\r\n",
		"length without a number": "$abc\r\n",
		"bulk without an end":     "$3\r\nabcdef",
		"bare line feed":          "+OK\n+OK\r\n",
		"endless line":            "+" + strings.Repeat("x", 1<<20),
		"streamed":                "$?\r\n;4\r\nabcd\r\n;0\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			node := startFakeNode(t, answer)
			p := startProxy(t, proxyOptions{}, node.addr()).ready(t)
			before := heapInUse()
			got := converse(t, p.Addr, commands("GET key", "SET key 1"))
			assert.True(t, got.Open)
			assert.Equal(t, 2, strings.Count(got.Replies, "-ERR samaritan: connection to node "+node.addr()+" lost before the reply: "), "%q", got.Replies)
			assert.Equal(t, 2, strings.Count(got.Replies, "\r\n"))
			assert.Less(t, heapInUse()-before, 4<<20)
			assert.Positive(t, p.counter("upstream.cx_protocol_error"))
		})
	}
}

// TestRepliesNobodyAskedForReachNobody: a second reply must not become that to the
// next request.
func TestRepliesNobodyAskedForReachNobody(t *testing.T) {
	node := startFakeNode(t, "$5\r\nfirst\r\n$6\r\nsecond\r\n")
	p := startProxy(t, proxyOptions{}, node.addr()).ready(t)
	for range 5 {
		conn := dialWire(t, p.Addr)
		_, err := io.WriteString(conn, commands("SET key 1"))
		require.NoError(t, err)
		got, err := readUntil(conn, "\r\nfirst\r\n")
		require.NoError(t, err)
		assert.Equal(t, "$5\r\nfirst\r\n", got)
		_ = conn.Close()
	}
	p.waitCounter(t, "upstream.cx_protocol_error", 5)
}

// TestNodeThatStopsInTheMiddleIsHung: the timeout ends a reply that does not go on.
func TestNodeThatStopsInTheMiddleIsHung(t *testing.T) {
	node := startFakeNode(t, "$10\r\n01234")
	p := startProxy(t, proxyOptions{requestTimeout: 200 * time.Millisecond}, node.addr()).ready(t)
	got := converse(t, p.Addr, commands("GET a"))
	assert.Equal(t, outcome{"-ERR samaritan: node " + node.addr() + " timed out: no reply within 200ms\r\n", true}, got)
}
