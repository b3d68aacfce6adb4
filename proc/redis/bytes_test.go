package redis

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sameBytes are inputs on which the proxy has to do as a real server: reply the same
// and close, or not, the same.
var sameBytes = map[string][]string{
	"protocol error": {
		"*3000000000\r\n",
		"*2147483648\r\n",
		"*99999999999999\r\n",
		"*99999999999999999999999\r\n",
		"*abc\r\n",
		"*1 \r\n",
		"*\r\n",
		"*+1\r\n$4\r\nPING\r\n",
		"*01\r\n$4\r\nPING\r\n",
		"*1\r\n$-10\r\n",
		"*1\r\n$-1\r\n",
		"*1\r\n$629145600\r\n",
		"*1\r\n$536870913\r\n",
		"*1\r\n$99999999999\r\n",
		"*1\r\n$99999999999999999999999\r\n",
		"*1\r\n$abc\r\n",
		"*1\r\n$\r\n",
		"*1\r\n$4x\r\nPING\r\n",
		"*1\r\nPING\r\n",
		"*1\r\n:4\r\nPING\r\n",
		"*1\r\n\r\nPING\r\n",
		"*1\r\n*1\r\n$4\r\nPING\r\n",
		"*2\r\n$3\r\nGET\r\nkey\r\n",
		"*2\r\n$3\r\nGET\r\n$-1\r\n",
		"$4\r\nPING\r\n",
	},
	"protocol error behind requests": {
		commands("PING a", "GET missing", "SET x 1", "GET x") + "*1\r\n$-10\r\n" + commands("SET x 2"),
		commands("MSET a 1 b 2", "MGET a b") + "*3000000000\r\n",
	},
	"nothing asked": {
		"*0\r\n", "*-1\r\n", "*-10\r\n", "\r\n", "\n", "*0\r\n*-1\r\n*-10\r\n\r\n\r\n\n",
		"*-9223372036854775808\r\n", "*-2147483649\r\n", "*-0\r\n", "*00\r\n", "*0 \r\n", "   \r\n", "\t\r\n",
		strings.Repeat("*0\r\n", 10_000), strings.Repeat("\r\n", 10_000),
	},
	"inline": {
		"PING\r\n", "PING\n", "ping hello\r\n", "  PING  \r\n", "\tPING\t x\r\n", "PING\r\r\n",
		"SET k v\r\nGET k\r\n", "SET \"a b\" 'c d'\r\nGET 'a b'\r\n",
		`SET esc "\x41\n\r\t\b\a\\\"\q"` + "\r\nGET esc\r\n",
		`SET esc 'it\'s \x41 \n'` + "\r\nGET esc\r\n",
		`SET "" ""` + "\r\nGET ''\r\n", `PING "\x0"` + "\r\n", `PING "\xzz"` + "\r\n",
		"PING \"a\r\n", "PING 'a\r\n", "PING a\"b\r\n", "PING \"a\"b\r\n", "PING 'a'b\r\n", "PING \"\\\r\n",
		"PING \xff\xfe\r\n", "PING a\vb\fc\r\n",
		"\"\"\r\n", "nothing such\r\n",
		"PING\r\n" + commands("PING a") + "PING b\r\n*0\r\n\r\n" + commands("PING c"),
	},
	"cross-protocol": {
		"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n",
		"post\r\n", "Host: localhost:6379\r\n", "HOST: x\r\n",
		"*1\r\n$4\r\nPOST\r\n", "*2\r\n$5\r\nHost:\r\n$1\r\nx\r\n", "POST / HTTP/1.1\r\n\r\n" + commands("PING"),
		"Host:localhost\r\n", "Host : x\r\n", "POSTX\r\n",
		"GET / HTTP/1.1\r\nX: y\r\n\r\n", "PUT / HTTP/1.1\r\nHost: x\r\n\r\n",
	},
	"arguments": {
		commands("MSET a"), commands("MSET a 1 b"), commands("MSET"), commands("MSETNX {a} 1 {a}b"), commands("MGET"),
		commands("DEL"), commands("UNLINK"), commands("EXISTS"), commands("TOUCH"),
		commands("EVAL"), commands("EVAL return"), commands("EVAL return x"), commands("EVAL return -1"),
		commands("EVAL return 1"), commands("EVAL return 5 a b"), commands("EVAL return 99999999999999999999 a"),
		commands("EVALSHA abc"), commands("EVALSHA abc x"), commands("EVALSHA abc 2 a"), commands("EVAL_RO return 2 a"),
		commands("FCALL f x"), commands("FCALL f -1"), commands("FCALL f 3 a"),
		commands("GET"), commands("GET a b"), commands("get"), commands("SET"), commands("SET a"),
		commands("SET a b c"), commands("SET a b EX"), commands("SET a b EX 0"), commands("INCRBY a x"),
		"*1\r\n$0\r\n\r\n", "*2\r\n$0\r\n\r\n$1\r\na\r\n",
		"*2\r\n$3\r\nGET\r\n$0\r\n\r\n", "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$0\r\n\r\n",
		commands("nothing"), commands("nothing a b c"), "*2\r\n$3\r\na\r\nb"[:11] + "\r\n$1\r\nx\r\n",
		commands("nothing " + strings.Repeat("x", 300)), commands("nothing" + strings.Repeat(" arg", 100)),
		"*1\r\n$3\r\na\r\n\r\n", "*2\r\n$1\r\n\n\r\n$2\r\n\r\n\r\n",
		commands("OBJECT"), commands("OBJECT nothing a"), commands("ZUNIONSTORE d 0"), commands("ZUNIONSTORE d x a"),
		commands("ZUNION 3 a"), commands("LMPOP 0 a LEFT"), commands("XREAD STREAMS a"), commands("XREAD COUNT 1"),
		commands("SORT"), commands("BITOP"), commands("GEORADIUS a"), commands("MIGRATE a"),
	},
}

func TestProxyTakesBytesAsARealServer(t *testing.T) {
	p, server := startPair(t, proxyOptions{})
	for name, inputs := range sameBytes {
		t.Run(name, func(t *testing.T) {
			for _, in := range inputs {
				want, got := converse(t, server, in), converse(t, p.Addr, in)
				assert.Equal(t, want, got, "%.120q", in)
			}
		})
	}
	assert.Positive(t, p.counter("downstream.cx_protocol_error"))
}

// TestNULHidesTheEndOfALine: a server waits for the rest of the line for ever.
func TestNULHidesTheEndOfALine(t *testing.T) {
	p, server := startPair(t, proxyOptions{})
	for _, in := range []string{"PING a\x00b\r\n", "\x00\r\n", "PING\x00\r\nPING\r\n", "PING\r\n\x00\r\nPING\r\n"} {
		assert.Equal(t, exchange(t, server, in), exchange(t, p.Addr, in), "%q", in)
	}
	long := "\x00" + strings.Repeat("PING\r\n", 11_000)
	assert.Equal(t, untilClosed(t, server, long), untilClosed(t, p.Addr, long))
}

func TestInlineCommandsHaveALimit(t *testing.T) {
	p, server := startPair(t, proxyOptions{})
	for _, in := range []string{
		"PING " + strings.Repeat("a", 60<<10) + "\r\n",
		"SET k \"" + strings.Repeat(`\x41`, 15<<10) + "\"\r\nGET k\r\n",
		strings.Repeat("PING\r\n", 20_000),
	} {
		assert.Equal(t, converse(t, server, in), converse(t, p.Addr, in), "%.40q", in)
	}
	const tooBig = "-ERR Protocol error: too big inline request\r\n"
	for _, addr := range []string{server, p.Addr} {
		for _, n := range []int{64<<10 + 1, 1 << 20} {
			assert.Equal(t, tooBig, untilClosed(t, addr, strings.Repeat("a", n)), "%s: %d bytes", addr, n)
		}
	}
}

// untilClosed sends input and returns what comes until the server closes. A server
// may close, and reset, before it has read everything.
func untilClosed(t *testing.T, addr, input string) string {
	t.Helper()
	conn := dialWire(t, addr)
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, input) }()
	out, err := io.ReadAll(conn)
	require.True(t, err == nil || isReset(err), "%v", err)
	return string(out)
}

func TestNothingRunsBehindACrossProtocolAttack(t *testing.T) {
	p := startBefore(t, proxyOptions{})
	for i, line := range []string{"POST / HTTP/1.1\r\n", "Host: x\r\n", "*1\r\n$4\r\nPOST\r\n"} {
		key := fmt.Sprint("attacked:", i)
		got := converse(t, p.Addr, line+commands("SET "+key+" 1", "MSET "+key+" 1 other:"+key+" 2")+"SET "+key+" 1\r\n")
		assert.Equal(t, outcome{}, got)
		assert.Equal(t, outcome{":0\r\n", true}, converse(t, p.Addr, commands("EXISTS "+key+" other:"+key)))
	}
	assert.Equal(t, 3, p.counter("downstream.cx_protocol_error"))
}

func TestNothingRunsBehindAProtocolError(t *testing.T) {
	p := startBefore(t, proxyOptions{})
	got := converse(t, p.Addr, commands("SET before 1")+"*1\r\n$-1\r\n"+commands("SET behind 1"))
	assert.Equal(t, outcome{"+OK\r\n-ERR Protocol error: invalid bulk length\r\n", false}, got)
	assert.Equal(t, outcome{":1\r\n", true}, converse(t, p.Addr, commands("EXISTS before behind")))
}

// TestAnnouncementsTakeNoMemory has clients that announce much and send little.
func TestAnnouncementsTakeNoMemory(t *testing.T) {
	p := startBefore(t, proxyOptions{})
	before := heapInUse()
	const clients = 200
	for i := range clients {
		conn := dialWire(t, p.Addr)
		in := "*2147483647\r\n$536870912\r\nabc"
		if i%2 == 1 {
			in = "*1000000\r\n$3\r\nSET\r\n$536870912\r\nabc"
		}
		_, err := io.WriteString(conn, in)
		require.NoError(t, err)
	}
	p.waitCounter(t, "downstream.cx_active", clients)
	assert.Less(t, heapInUse()-before, 8<<20)
}
