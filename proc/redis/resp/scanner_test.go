package resp

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// assertWhole checks that b is one reply for all that reads replies.
func assertWhole(t testing.TB, b []byte) {
	t.Helper()
	var s Scanner
	n, err := s.Scan(b)
	require.NoError(t, err, "%.200q", b)
	require.Equal(t, len(b), n, "%.200q", b)
	elem, rest, err := Next(b)
	require.NoError(t, err)
	require.Equal(t, b, elem)
	require.Empty(t, rest)
	_, rest, err = ParseValue(b)
	require.NoError(t, err)
	require.Empty(t, rest)
}

// replies scans data as it comes in pieces, into a buffer that moves each time, and returns what was
// found as text.
func replies(t testing.TB, data []byte, cuts ...int) string {
	t.Helper()
	var s Scanner
	var found strings.Builder
	var buf []byte
	for _, piece := range pieces(data, cuts) {
		buf = append(bytes.Clone(buf), piece...)
		for len(buf) > 0 {
			n, err := s.Scan(buf)
			if err != nil {
				require.Zero(t, n)
				_, again := s.Scan(buf)
				require.Equal(t, err, again, "errors stay")
				fmt.Fprintf(&found, "error %s", err)
				return found.String()
			}
			if n == 0 {
				require.Positive(t, s.Need())
				break
			}
			fmt.Fprintf(&found, "%d ", n)
			buf = buf[n:]
		}
	}
	fmt.Fprintf(&found, "rest %d", len(buf))
	return found.String()
}

// goodReplies are one reply each.
var goodReplies = []string{
	"+OK\r\n", "+\r\n", "+PONG\r\n", "+OKAY\r\n", "-ERR x\r\n", "-\r\n",
	":0\r\n", ":1\r\n", ":-1\r\n", ":12345\r\n", ":123456\r\n", ":9223372036854775807\r\n", ":-9223372036854775808\r\n",
	"$0\r\n\r\n", "$1\r\na\r\n", "$-1\r\n", "$10\r\n0123456789\r\n", "$2\r\n\r\n\r\n",
	"*0\r\n", "*-1\r\n", "*1\r\n:1\r\n", "*2\r\n*0\r\n*-1\r\n", "*2\r\n$1\r\na\r\n$-1\r\n",
	"*2\r\n*2\r\n:1\r\n*1\r\n+a\r\n-b\r\n",
	"_\r\n", "#t\r\n", "#f\r\n",
	",1\r\n", ",1.5\r\n", ",-1.5e10\r\n", ",1E-7\r\n", ",+3\r\n", ",inf\r\n", ",-inf\r\n", ",nan\r\n", ",-nan\r\n", ",1e+21\r\n",
	"(3492890328409238509324850943850943825024385\r\n", "(-1\r\n", "(+1\r\n",
	"!5\r\nERR x\r\n", "!0\r\n\r\n", "=5\r\ntxt:a\r\n", "=4\r\nmkd:\r\n",
	"~0\r\n", "~2\r\n:1\r\n:2\r\n", ">2\r\n+message\r\n+x\r\n",
	"%0\r\n", "%1\r\n+a\r\n:1\r\n", "%2\r\n+a\r\n*1\r\n:1\r\n+b\r\n%1\r\n_\r\n_\r\n",
	"|1\r\n+ttl\r\n:3600\r\n+OK\r\n",
	"|0\r\n+OK\r\n",
	"|1\r\n+a\r\n:1\r\n|1\r\n+b\r\n:2\r\n*2\r\n:1\r\n|1\r\n+c\r\n%1\r\n+x\r\n+y\r\n$1\r\na\r\n",
	"*1\r\n|1\r\n+a\r\n:1\r\n*0\r\n",
	"*1\r\n>1\r\n+in an EXEC\r\n",
	string(replyMGet), string(replySlots),
	strings.Repeat("*1\r\n", MaxDepth) + ":1\r\n",
	strings.Repeat("*1\r\n", MaxDepth) + "*0\r\n",
	"+" + strings.Repeat("x", MaxLine-1) + "\r\n",
	"$100000\r\n" + strings.Repeat("x", 100000) + "\r\n",
}

var badReplies = []struct{ input, err string }{
	{"x\r\n", "unknown type in reply"},
	{"\r\n", "unknown type in reply"},
	{"HTTP/1.1 200 OK\r\n", "unknown type in reply"},
	{"*1\r\n\r\n", "unknown type in reply"},
	{"+OK\rX", "missing CRLF in reply"},
	{"+OK\n", "missing CRLF in reply"},
	{"-a\nb\r\n", "missing CRLF in reply"},
	{"$1\r\nabc", "missing CRLF in reply"},
	{"$1\r\na\rb", "missing CRLF in reply"},
	{":\r\n", "invalid integer in reply"},
	{":a\r\n", "invalid integer in reply"},
	{":01\r\n", "invalid integer in reply"},
	{":+1\r\n", "invalid integer in reply"},
	{":9223372036854775808\r\n", "invalid integer in reply"},
	{"$-2\r\n", "invalid length in reply"},
	{"$01\r\na\r\n", "invalid length in reply"},
	{"$a\r\n", "invalid length in reply"},
	{"*-2\r\n", "invalid length in reply"},
	{"*\r\n", "invalid length in reply"},
	{"~-1\r\n", "invalid length in reply"},
	{"%-1\r\n", "invalid length in reply"},
	{"=-1\r\n", "invalid length in reply"},
	{"=3\r\ntxt\r\n", "invalid length in reply"},
	{"=5\r\ntext:\r\n", "invalid value in reply"},
	{"_x\r\n", "invalid value in reply"},
	{"#\r\n", "invalid value in reply"},
	{"#x\r\n", "invalid value in reply"},
	{",\r\n", "invalid value in reply"},
	{",.5\r\n", "invalid value in reply"},
	{",1e\r\n", "invalid value in reply"},
	{",1.5x\r\n", "invalid value in reply"},
	{",infinity\r\n", "invalid value in reply"},
	{"(\r\n", "invalid value in reply"},
	{"(1.5\r\n", "invalid value in reply"},
	{"$?\r\n", "streamed type in reply"},
	{"*?\r\n", "streamed type in reply"},
	{";4\r\n", "streamed type in reply"},
	{".\r\n", "streamed type in reply"},
	{"$1073741824\r\n", "too big reply"},
	{"$1073741825\r\n", "too big reply"},
	{"$9223372036854775807\r\n", "too big reply"},
	{"*400000000\r\n", "too big reply"},
	{"*9223372036854775807\r\n", "too big reply"},
	{"%200000000\r\n", "too big reply"},
	{"+" + strings.Repeat("x", MaxLine) + "\r\n", "too long line in reply"},
	{"$" + strings.Repeat("1", MaxLine+1), "too long line in reply"},
	{strings.Repeat("*1\r\n", 1000000), "too deep nesting in reply"},
	{strings.Repeat("|1\r\n", MaxDepth+1), "too deep nesting in reply"},
}

func TestGoodReplies(t *testing.T) {
	for _, reply := range goodReplies {
		t.Run(fmt.Sprintf("%.40q", reply), func(t *testing.T) {
			assertWhole(t, []byte(reply))
			twice := []byte(reply + reply)
			assert.Equal(t, fmt.Sprintf("%d %d rest 0", len(reply), len(reply)), replies(t, twice))
			assertSplit(t, twice)
		})
	}
}

func TestBadReplies(t *testing.T) {
	for _, tt := range badReplies {
		t.Run(fmt.Sprintf("%.40q", tt.input), func(t *testing.T) {
			var s Scanner
			n, err := s.Scan([]byte(tt.input))
			assert.Zero(t, n)
			var protocol *ProtocolError
			require.ErrorAs(t, err, &protocol)
			assert.EqualError(t, err, "Protocol error: "+tt.err)
			assertSplit(t, []byte(tt.input))
		})
	}
}

// assertSplit checks that it does not matter in which pieces b comes.
func assertSplit(t *testing.T, b []byte) {
	t.Helper()
	want := replies(t, b)
	step := 1 + len(b)/1000
	for i := 0; i < len(b) && len(b) < 1<<20; i += step {
		require.Equal(t, want, replies(t, b, i), "%.100q cut at %d", b, i)
	}
	if len(b) < 2000 {
		require.Equal(t, want, replies(t, b, everyByte(len(b))...), "%.100q byte by byte", b)
	}
}

func TestNestingTakesNoMemory(t *testing.T) {
	var s Scanner
	_, err := s.Scan(bytes.Repeat([]byte("*1\r\n"), 1000000))
	require.Error(t, err)
	assert.LessOrEqual(t, cap(s.stack), 2*MaxDepth)
	s.Reset()
	n, err := s.Scan(replySlots)
	require.NoError(t, err)
	assert.Equal(t, len(replySlots), n)
}

func TestReplyFromTheMiddleOfAnotherAfterReset(t *testing.T) {
	var s Scanner
	for _, half := range []string{"*2\r\n*3\r\n:1\r\n$5\r\nab", "+O", "|1\r\n", "x\r\n"} {
		n, _ := s.Scan([]byte(half))
		require.Zero(t, n)
		s.Reset()
		n, err := s.Scan([]byte("+OK\r\n"))
		require.NoError(t, err)
		require.Equal(t, 5, n)
	}
}

func TestScannerNeed(t *testing.T) {
	for _, tt := range []struct {
		input string
		need  int
	}{
		{"", 1},
		{"$", 1},
		{"$3\r\n", 5},
		{"$3\r\na", 4},
		{"$3\r\nabc\r", 1},
		{"*2\r\n$3\r\nabc\r\n", 1},
		{"*2\r\n$3\r\nabc\r\n$100000\r\nab", 100000},
	} {
		var s Scanner
		n, err := s.Scan([]byte(tt.input))
		assert.NoError(t, err)
		assert.Zero(t, n)
		assert.Equal(t, tt.need, s.Need(), "%q", tt.input)
	}
}

func TestReplySizeIsBounded(t *testing.T) {
	b := addressSpace(t, MaxFrame+8)
	copy(b[MaxFrame-3:], "$1000\r\n")
	s := Scanner{left: 1, pos: MaxFrame - 3}
	_, err := s.Scan(b)
	assert.EqualError(t, err, "Protocol error: too big reply")
	s = Scanner{left: 1, pos: MaxFrame - 10, body: 11, typ: '$'}
	_, err = s.Scan(b)
	assert.EqualError(t, err, "Protocol error: too big reply")
	copy(b[MaxFrame-5:], "+OK\r\n")
	s = Scanner{left: 1, pos: MaxFrame - 5}
	n, err := s.Scan(b)
	assert.NoError(t, err)
	assert.Equal(t, MaxFrame, n)
}

// Were anything scanned twice, this would take hours.
func TestManyElementsByteByByte(t *testing.T) {
	reply := AppendArrayHeader(nil, 100000)
	for range 100000 {
		reply = AppendBulkString(reply, "a")
	}
	var s Scanner
	for i := range reply {
		n, err := s.Scan(reply[:i])
		require.NoError(t, err)
		require.Zero(t, n)
	}
	n, err := s.Scan(reply)
	require.NoError(t, err)
	require.Equal(t, len(reply), n)
}

func TestScannerDoesNotAllocate(t *testing.T) {
	for _, tt := range replyFrames {
		var s Scanner
		allocs := testing.AllocsPerRun(100, func() {
			half, _ := s.Scan(tt.frame[:len(tt.frame)/2])
			if n, _ := s.Scan(tt.frame); half != 0 || n != len(tt.frame) {
				panic(tt.name)
			}
			if n, _ := s.Scan(tt.frame); n != len(tt.frame) {
				panic(tt.name)
			}
			s.Reset()
		})
		assert.Zero(t, allocs, tt.name)
	}
}

func FuzzScanner(f *testing.F) {
	for _, reply := range goodReplies {
		if len(reply) < 1000 {
			f.Add([]byte(reply), uint16(3), uint16(9))
		}
	}
	for _, tt := range badReplies {
		if len(tt.input) < 1000 {
			f.Add([]byte(tt.input), uint16(3), uint16(9))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, a, b uint16) {
		i, j := int(a)%(len(data)+1), int(b)%(len(data)+1)
		want := replies(t, data)
		require.Equal(t, want, replies(t, data, min(i, j), max(i, j)))
		if len(data) < 512 {
			require.Equal(t, want, replies(t, data, everyByte(len(data))...))
		}
		var s Scanner
		n, err := s.Scan(data)
		if n > 0 {
			assertWhole(t, data[:n])
		}
		if elem, _, nextErr := Next(data); nextErr == nil && err != errReplyDepth {
			require.Len(t, elem, n, "Next and Scan agree")
		}
	})
}
