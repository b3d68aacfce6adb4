package resp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// viaParser answers input as a proxy would that has a Parser in front of Redis: the frames found
// go to Redis as arrays, one after the other, and an error ends the stream.
func (r redisServer) viaParser(t *testing.T, input []byte) string {
	t.Helper()
	var p Parser
	var frames, end []byte
	for len(input) > 0 {
		n, err := p.Parse(input)
		if err != nil {
			end = AppendError(nil, "ERR "+err.Error())
			break
		}
		if n == 0 {
			break
		}
		if len(p.Args) > 0 {
			frames = AppendCommand(frames, argsOf(&p, input)...)
		}
		input = input[n:]
	}
	return r.exchange(t, frames) + string(end)
}

// argsOf returns the arguments of the frame that p found last in b.
func argsOf(p *Parser, b []byte) [][]byte {
	frame := p.Frame(b)
	args := make([][]byte, 0, len(p.Args))
	for _, a := range p.Args {
		args = append(args, frame[a.Off:a.Off+a.Len])
	}
	return args
}

// same is a text that stands for "whatever Redis says".
const same = "(same)"

var redisCases = []struct{ input, reply string }{
	// counts
	{"*3000000000\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"*99999999999999\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"*2147483648\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"*2147483647\r\n", ""},
	{"*1048577\r\n", ""},
	{"*1000000000\r\n$4\r\nPING\r\n", ""},
	{"*9223372036854775808\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"*-9223372036854775808\r\nPING\r\n", "+PONG\r\n"},
	{"*-9223372036854775809\r\nPING\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"*\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"*a\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"*1a\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"*01\r\n$4\r\nPING\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"*+1\r\n$4\r\nPING\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"* 1\r\n$4\r\nPING\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"*1 \r\n$4\r\nPING\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"*-0\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"*-\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"*1", ""},
	{"*a", ""},
	{"*a\r", ""},
	{"*a\n", ""},
	{"*1\n$4\r\nPING\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
	{"*1\x00\r\n$4\r\nPING\r\n", ""},
	// frames without a command
	{"*0\r\nPING\r\n", "+PONG\r\n"},
	{"*-1\r\nPING\r\n", "+PONG\r\n"},
	{"*-10\r\nPING\r\n", "+PONG\r\n"},
	{"*0\r\r\nPING\r\n", same},
	{"*0\rXPING\r\n", "+PONG\r\n"},
	{"\r\nPING\r\n", "+PONG\r\n"},
	{"\n\n\nPING\n", "+PONG\r\n"},
	{"   \t \r\nPING\r\n", "+PONG\r\n"},
	{"\rPING\r\n", same},
	// lengths
	{"*1\r\n$-10\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"*1\r\n$-1\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"*1\r\n$536870912\r\n", ""},
	{"*1\r\n$536870913\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"*1\r\n$629145600\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"*1\r\n$99999999999\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"*1\r\n$99999999999999999999999\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"*1\r\n$abc\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"*1\r\n$\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"*1\r\n$04\r\nPING\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"*1\r\n$00\r\n\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"*1\r\n$+4\r\nPING\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"*1\r\n$4 \r\nPING\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"*1\r\n$4\nPING\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
	{"*1\r\n$4\x00\r\nPING\r\n", ""},
	{"*1\r\n$abc", ""},
	{"*1\r\n$abc\r", ""},
	{"*1\r\n$0\r\n\r\n", same},
	{"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", "$0\r\n\r\n"},
	// an argument without $
	{"*1\r\nPING\r\n", "-ERR Protocol error: expected '$', got 'P'\r\n"},
	{"*2\r\n$4\r\nECHO\r\n:1\r\n", "-ERR Protocol error: expected '$', got ':'\r\n"},
	{"*1\r\n\r\n", "-ERR Protocol error: expected '$', got ' '\r\n"},
	{"*1\r\n\n\r\n", "-ERR Protocol error: expected '$', got ' '\r\n"},
	{"*1\r\nP", ""},
	{"*1\r\nP\r", ""},
	{"*1\r\n*1\r\n", "-ERR Protocol error: expected '$', got '*'\r\n"},
	{"*1\r\n\x00\r\n", ""},
	// bytes that nobody looks at
	{"*1\rX$4\rYPINGZZ", "+PONG\r\n"},
	{"*2\r\n$4\r\nECHO\r\n$2\r\n\r\n\r\n", "$2\r\n\r\n\r\n"},
	// pipelines
	{"PING\r\n*1\r\n$4\r\nPING\r\n\r\nECHO a\n*2\r\n$4\r\nECHO\r\n$1\r\nb\r\n", "+PONG\r\n+PONG\r\n$1\r\na\r\n$1\r\nb\r\n"},
	{"PING\r\n*x\r\nPING\r\n", "+PONG\r\n-ERR Protocol error: invalid multibulk length\r\n"},
	// inline commands
	{"PING\n", "+PONG\r\n"},
	{"PING", ""},
	{"PING\r", ""},
	{"PING\x00\r\nPING\r\n", ""},
	{"  ECHO   hello  \r\n", "$5\r\nhello\r\n"},
	{"\vECHO\t\f\va\r\n", same},
	{"ECHO a\vb\r\n", same},
	{"ECHO a\fb\r\n", same},
	{"ECHO a\rb\r\n", same},
	{"ECHO \"a b\"\r\n", "$3\r\na b\r\n"},
	{"ECHO 'a b'\r\n", "$3\r\na b\r\n"},
	{"ECHO \"\"\r\n", "$0\r\n\r\n"},
	{"ECHO ''\r\n", "$0\r\n\r\n"},
	{"\"\"\r\n", same},
	{`ECHO "\x41\x0a\xFf\x4"` + "\r\n", "$5\r\nA\n\xffx4\r\n"},
	{`ECHO "\n\r\t\b\a\"\\\q"` + "\r\n", "$8\r\n\n\r\t\b\a\"\\q\r\n"},
	{`ECHO '\n\'\"\x41'` + "\r\n", "$9\r\n\\n'\\\"\\x41\r\n"},
	{`ECHO a"b c"` + "\r\n", "$4\r\nab c\r\n"},
	{`ECHO a'b c'` + "\r\n", "$4\r\nab c\r\n"},
	{`ECHO \x41\n` + "\r\n", "$6\r\n\\x41\\n\r\n"},
	{`ECHO "a` + "\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
	{`ECHO 'a` + "\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
	{`ECHO "a"b` + "\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
	{`ECHO 'a'"b"` + "\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
	{`ECHO "a\` + "\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
	{`ECHO 'a\'` + "\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
	{`"` + "\nPING\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
	{"ECHO \"a\"\v\r\n", "$1\r\na\r\n"},
	{"$4\r\nPING\r\n", same},
	// sizes
	{strings.Repeat("A", MaxLine), ""},
	{strings.Repeat("A", MaxLine+1), "-ERR Protocol error: too big inline request\r\n"},
	{"ECHO " + strings.Repeat("A", MaxLine-5) + "\n", "$65531\r\n" + strings.Repeat("A", MaxLine-5) + "\r\n"},
	{"PING\x00\r\n" + strings.Repeat("A", MaxLine), "-ERR Protocol error: too big inline request\r\n"},
	{"*" + strings.Repeat("1", MaxLine-1), ""},
	{"*" + strings.Repeat("1", MaxLine), "-ERR Protocol error: too big mbulk count string\r\n"},
	{"*1\x00\r\n" + strings.Repeat("1", MaxLine), "-ERR Protocol error: too big mbulk count string\r\n"},
	{"*1\r\n$" + strings.Repeat("1", MaxLine-1), ""},
	{"*1\r\n$" + strings.Repeat("1", MaxLine), "-ERR Protocol error: too big bulk count string\r\n"},
	{"*1\r\n" + strings.Repeat("1", MaxLine+1), "-ERR Protocol error: too big bulk count string\r\n"},
}

func TestRequestsAreTakenAsRedisTakesThem(t *testing.T) {
	redis := startRedis(t)
	for _, tt := range redisCases {
		t.Run(fmt.Sprintf("%.40q", tt.input), func(t *testing.T) {
			want := redis.exchange(t, []byte(tt.input))
			if tt.reply != same {
				require.Equal(t, tt.reply, want, "what Redis says")
			}
			assert.Equal(t, want, redis.viaParser(t, []byte(tt.input)))
		})
	}
}

func TestEveryByteInPlaceOfDollarGivesRedisError(t *testing.T) {
	redis := startRedis(t)
	for c := range 256 {
		input := []byte("*1\r\n" + string([]byte{byte(c)}) + "4\r\nPING\r\n")
		assert.Equal(t, redis.exchange(t, input), redis.viaParser(t, input), "byte %q", c)
	}
}

// Random lines behind a script that returns its arguments: all of splitting becomes visible.
func TestInlineCommandsAreSplitAsRedisSplitsThem(t *testing.T) {
	redis := startRedis(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	const alphabet = "ab \"'\\\\xX4fFnrtbag09\t\v\f\r\xff"
	for range 2000 {
		line := []byte("EVAL 'return ARGV' 0 ")
		for range rnd.IntN(16) {
			line = append(line, alphabet[rnd.IntN(len(alphabet))])
		}
		line = append(line, '\n')
		require.Equal(t, redis.exchange(t, line), redis.viaParser(t, line), "line %q", line)
	}
}

// Good streams with some bytes changed, removed or doubled.
func TestDamagedStreamsAreTakenAsRedisTakesThem(t *testing.T) {
	redis := startRedis(t)
	rnd := rand.New(rand.NewPCG(3, 4))
	good := AppendCommand(nil, "ECHO", "value")
	good = append(good, "ECHO \"a b\" \r\n*0\r\n"...)
	good = AppendCommand(good, "EVAL", "return ARGV", "0", "", "\r\n", strings.Repeat("x", 120))
	const junk = "\x00\r\n$*-0123456789 \"'a"
	for range 2000 {
		b := bytes.Clone(good)
		for range 1 + rnd.IntN(3) {
			i, c := rnd.IntN(len(b)), junk[rnd.IntN(len(junk))]
			switch rnd.IntN(3) {
			case 0:
				b[i] = c
			case 1:
				b = append(b[:i], b[i+1:]...)
			case 2:
				b = append(b[:i], append([]byte{c}, b[i:]...)...)
			}
		}
		require.Equal(t, redis.exchange(t, b), redis.viaParser(t, b), "stream %q", b)
	}
}

// What a real server sends for each type, and what the encoders make of the same values.
func TestEncodersSpeakAsRedisDoes(t *testing.T) {
	redis := startRedis(t)
	for _, resp3 := range []bool{false, true} {
		for _, tt := range []struct {
			kind string
			want []byte
		}{
			{"string", AppendBulkString(nil, "Hello World")},
			{"integer", AppendInt(nil, 12345)},
			{"double", AppendDouble(nil, 3.141, resp3)},
			{"null", AppendNull(nil, resp3)},
			{"array", numbers(AppendArrayHeader(nil, 3))},
			{"set", numbers(AppendSetHeader(nil, 3, resp3))},
			{"true", AppendBool(nil, true, resp3)},
			{"false", AppendBool(nil, false, resp3)},
			{"verbatim", AppendVerbatim(nil, "txt", "This is a verbatim\nstring", resp3)},
			{"map", func() []byte {
				b := AppendMapHeader(nil, 3, resp3)
				for i := range 3 {
					b = AppendBool(AppendInt(b, int64(i)), i == 1, resp3)
				}
				return b
			}()},
			{"bignum", nil},
			{"attrib", nil},
			{"push", nil},
		} {
			got := redis.debugProtocol(t, tt.kind, resp3)
			if tt.want != nil {
				assert.Equal(t, string(tt.want), got, "%s, RESP3 %v", tt.kind, resp3)
			}
			assertReplies(t, []byte(got))
		}
	}
}

// assertReplies checks that b is whole replies; a push message may come in front of one.
func assertReplies(t *testing.T, b []byte) {
	t.Helper()
	for len(b) > 0 {
		var s Scanner
		n, err := s.Scan(b)
		require.NoError(t, err)
		require.Positive(t, n)
		assertWhole(t, b[:n])
		b = b[n:]
	}
}

func numbers(b []byte) []byte {
	for i := range 3 {
		b = AppendInt(b, int64(i))
	}
	return b
}

// debugProtocol returns the reply to DEBUG PROTOCOL kind.
func (r redisServer) debugProtocol(t *testing.T, kind string, resp3 bool) string {
	t.Helper()
	request := AppendCommand(nil, "HELLO", map[bool]string{false: "2", true: "3"}[resp3])
	request = AppendCommand(request, "DEBUG", "PROTOCOL", kind)
	replies := []byte(r.exchange(t, request))
	hello, rest, err := Next(replies)
	require.NoError(t, err)
	assertWhole(t, hello)
	return string(rest)
}
