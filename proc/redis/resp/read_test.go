package resp

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHeader(t *testing.T) {
	for _, tt := range []struct {
		reply string
		n     int64
		body  string
	}{
		{"*2\r\n:1\r\n:2\r\n", 2, ":1\r\n:2\r\n"},
		{"*0\r\n", 0, ""},
		{"~1\r\n:1\r\n", 1, ":1\r\n"},
		{">1\r\n:1\r\n", 1, ":1\r\n"},
		{"%1\r\n:1\r\n:2\r\n", 1, ":1\r\n:2\r\n"},
		{"|1\r\n:1\r\n:2\r\n+OK\r\n", 1, ":1\r\n:2\r\n+OK\r\n"},
		{"$3\r\nabc\r\nrest", 3, "abc"},
		{"!3\r\nabc\r\n", 3, "abc"},
		{"=5\r\ntxt:a\r\n", 5, "txt:a"},
		{":-12\r\n", -12, "-12"},
		{":-1\r\n", -1, "-1"},
		{"#t\r\n", 1, "t"},
		{"#f\r\n", 0, "f"},
		{"+OK\r\n", 2, "OK"},
		{"-ERR x\r\n", 5, "ERR x"},
		{",1.5\r\n", 3, "1.5"},
		{"(123\r\n", 3, "123"},
	} {
		typ, n, body, err := Header([]byte(tt.reply))
		require.NoError(t, err, tt.reply)
		assert.Equal(t, tt.reply[0], typ)
		assert.Equal(t, tt.n, n, tt.reply)
		assert.Equal(t, tt.body, string(body), tt.reply)
		assert.NotNil(t, body)
	}
	for _, null := range []string{"$-1\r\n", "*-1\r\n", "_\r\n"} {
		typ, n, body, err := Header([]byte(null))
		require.NoError(t, err, null)
		assert.Equal(t, null[0], typ)
		assert.EqualValues(t, -1, n)
		assert.Nil(t, body)
	}
}

func TestReadersRefuseWhatIsCutShort(t *testing.T) {
	for _, reply := range goodReplies {
		for i := 0; i < len(reply); i += 1 + len(reply)/100 {
			b := []byte(reply[:i])
			_, rest, err := Next(b)
			assert.Error(t, err, "%.100q", b)
			assert.Equal(t, b, rest, "nothing is taken")
			_, _, err = ParseValue(b)
			assert.Error(t, err, "%.100q", b)
		}
	}
	_, _, _, err := Header([]byte("$3\r\nab"))
	assert.EqualError(t, err, "Protocol error: truncated reply")
}

func TestReadersRefuseBadReplies(t *testing.T) {
	for _, tt := range badReplies {
		_, _, err := ParseValue([]byte(tt.input))
		assert.Error(t, err, "%.100q", tt.input)
		_, _, err = Next([]byte(tt.input))
		assert.Error(t, err, "%.100q", tt.input)
	}
}

func TestNextCutsElementsOff(t *testing.T) {
	rest := []byte(strings.Join(goodReplies, ""))
	for _, want := range goodReplies {
		var elem []byte
		var err error
		elem, rest, err = Next(rest)
		require.NoError(t, err)
		require.Equal(t, want, string(elem))
	}
	require.Empty(t, rest)
}

func TestSkipAttributes(t *testing.T) {
	for input, want := range map[string]string{
		"+OK\r\n": "+OK\r\n",
		"|1\r\n+a\r\n*1\r\n:1\r\n|0\r\n>1\r\n+x\r\n": ">1\r\n+x\r\n",
		"": "",
	} {
		got, err := SkipAttributes([]byte(input))
		require.NoError(t, err)
		assert.Equal(t, want, string(got))
	}
	_, err := SkipAttributes([]byte("|1\r\n+a\r\n"))
	assert.Error(t, err)
}

func TestParseValue(t *testing.T) {
	v, rest, err := ParseValue([]byte("|1\r\n+x\r\n+y\r\n" +
		"*9\r\n$1\r\na\r\n:7\r\n$-1\r\n*-1\r\n_\r\n#t\r\n,1.5\r\n=5\r\ntxt:a\r\n%1\r\n+k\r\n-ERR no\r\n+next\r\n"))
	require.NoError(t, err)
	assert.Equal(t, "+next\r\n", string(rest))
	assert.Equal(t, Value{Type: '*', Elems: []Value{
		{Type: '$', Str: []byte("a")},
		{Type: ':', Str: []byte("7"), Int: 7},
		{Type: '$', Null: true},
		{Type: '*', Null: true},
		{Type: '_', Null: true},
		{Type: '#', Str: []byte("t"), Int: 1},
		{Type: ',', Str: []byte("1.5")},
		{Type: '=', Str: []byte("a")},
		{Type: '%', Elems: []Value{{Type: '+', Str: []byte("k")}, {Type: '-', Str: []byte("ERR no")}}},
	}}, v)
	assert.NoError(t, v.Err())
	assert.Equal(t, ErrorReply("ERR no"), v.Elems[8].Elems[1].Err())
	d, err := v.Elems[6].Double()
	require.NoError(t, err)
	assert.InDelta(t, 1.5, d, 0)
}

func TestParseValueTakesNoMemoryAhead(t *testing.T) {
	b := []byte("*300000000\r\n:1\r\n")
	bytes := testing.Benchmark(func(tb *testing.B) {
		tb.ReportAllocs()
		for tb.Loop() {
			if _, _, err := ParseValue(b); err == nil {
				tb.Fatal("truncated")
			}
		}
	}).AllocedBytesPerOp()
	assert.Less(t, bytes, int64(8192))
}

func TestReadersDoNotAllocate(t *testing.T) {
	nested := []byte(goodReplies[len(goodReplies)-4])
	allocs := testing.AllocsPerRun(100, func() {
		_, n, rest, err := Header(replySlots)
		for range n {
			_, rest, err = Next(rest)
		}
		if err != nil || len(rest) != 0 {
			panic(err)
		}
		if _, _, err := Next(nested); err != nil {
			panic(err)
		}
	})
	assert.Zero(t, allocs)
}

func TestAppend(t *testing.T) {
	for _, tt := range []struct {
		want string
		got  []byte
	}{
		{"*0\r\n", AppendArrayHeader(nil, 0)},
		{"*12\r\n", AppendArrayHeader(nil, 12)},
		{"*1234\r\n", AppendArrayHeader(nil, 1234)},
		{"*6\r\n", AppendMapHeader(nil, 3, false)},
		{"%3\r\n", AppendMapHeader(nil, 3, true)},
		{"*3\r\n", AppendSetHeader(nil, 3, false)},
		{"~3\r\n", AppendSetHeader(nil, 3, true)},
		{"*3\r\n", AppendPushHeader(nil, 3, false)},
		{">3\r\n", AppendPushHeader(nil, 3, true)},
		{"$3\r\na\r\n\r\n", AppendBulk(nil, []byte("a\r\n"))},
		{"$0\r\n\r\n", AppendBulk(nil, nil)},
		{"$1\r\na\r\n", AppendBulkString(nil, "a")},
		{"$0\r\n", AppendBulkHeader(nil, 0)},
		{"$9\r\n", AppendBulkHeader(nil, 9)},
		{"$10\r\n", AppendBulkHeader(nil, 10)},
		{"$99\r\n", AppendBulkHeader(nil, 99)},
		{"$100\r\n", AppendBulkHeader(nil, 100)},
		{"before$536870912\r\n", AppendBulkHeader([]byte("before"), MaxBulk)},
		{":0\r\n", AppendInt(nil, 0)},
		{":-1\r\n", AppendInt(nil, -1)},
		{":99\r\n", AppendInt(nil, 99)},
		{":100\r\n", AppendInt(nil, 100)},
		{":-9223372036854775808\r\n", AppendInt(nil, math.MinInt64)},
		{"+OK\r\n", AppendSimple(nil, "OK")},
		{"-ERR a  b\r\n", AppendError(nil, "ERR a\r\nb")},
		{"$-1\r\n", AppendNull(nil, false)},
		{"_\r\n", AppendNull(nil, true)},
		{"*-1\r\n", AppendNullArray(nil, false)},
		{"_\r\n", AppendNullArray(nil, true)},
		{"#t\r\n", AppendBool(nil, true, true)},
		{"#f\r\n", AppendBool(nil, false, true)},
		{":1\r\n", AppendBool(nil, true, false)},
		{":0\r\n", AppendBool(nil, false, false)},
		{",0.1\r\n", AppendDouble(nil, 0.1, true)},
		{",1e+21\r\n", AppendDouble(nil, 1e21, true)},
		{",1500000\r\n", AppendDouble(nil, 1.5e6, true)},
		{",-0.00012\r\n", AppendDouble(nil, -0.00012, true)},
		{",1.2e-05\r\n", AppendDouble(nil, 0.000012, true)},
		{",0\r\n", AppendDouble(nil, 0, true)},
		{",inf\r\n", AppendDouble(nil, math.Inf(1), true)},
		{",-inf\r\n", AppendDouble(nil, math.Inf(-1), true)},
		{",nan\r\n", AppendDouble(nil, math.NaN(), true)},
		{"$3\r\n1.5\r\n", AppendDouble(nil, 1.5, false)},
		{"=7\r\nmkd:abc\r\n", AppendVerbatim(nil, "mkd", "abc", true)},
		{"=7\r\ntxt:abc\r\n", AppendVerbatim(nil, "", "abc", true)},
		{"$3\r\nabc\r\n", AppendVerbatim(nil, "txt", "abc", false)},
		{"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", AppendCommand(nil, "GET", "k")},
		{"*1\r\n$1\r\nk\r\n", AppendCommand(nil, []byte("k"))},
		{"before:1\r\n", AppendInt([]byte("before"), 1)},
	} {
		assert.Equal(t, tt.want, string(tt.got))
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 4096)
	key := []byte("key")
	allocs := testing.AllocsPerRun(100, func() {
		b := AppendCommand(buf, "SET", "key", value64)
		b = AppendCommand(b, key, key)
		b = AppendDouble(b, 1.5, true)
		b = AppendDouble(b, 1.5, false)
		b = AppendError(b, "ERR a\nb")
		b = AppendVerbatim(b, "txt", value64, true)
		b = AppendInt(b, math.MinInt64)
		b = AppendBulkHeader(b, MaxBulk)
		_ = AppendMapHeader(b, 123456, false)
	})
	assert.Zero(t, allocs)
}

// tree appends a reply that the bytes of seed describe and returns the rest of seed, and the
// reply as text.
func tree(dst, seed []byte, depth int, resp3 bool) (reply, rest []byte, text string) {
	if len(seed) < 2 {
		return AppendNull(dst, resp3), nil, "null"
	}
	op, arg := seed[0]%12, seed[1]
	seed = seed[2:]
	if depth > 10 {
		op %= 8
	}
	n := 0
	switch op {
	case 0:
		return AppendInt(dst, int64(arg)-128), seed, fmt.Sprintf(":%d", int(arg)-128)
	case 1, 2:
		s := strings.Repeat("\r\nab"[:1+arg%4], int(arg))
		return AppendBulkString(dst, s), seed, strconv.Quote(s)
	case 3:
		return AppendError(dst, "ERR \n"+strconv.Itoa(int(arg))), seed, fmt.Sprintf("-ERR  %d", arg)
	case 4:
		return AppendNull(dst, resp3), seed, "null"
	case 5:
		return AppendNullArray(dst, resp3), seed, "null"
	case 6:
		s := strconv.Itoa(int(arg))
		return AppendVerbatim(dst, "txt", s, resp3), seed, strconv.Quote(s)
	case 7:
		return AppendSimple(dst, "OK"), seed, `"OK"`
	case 8:
		n, dst = int(arg%5), AppendArrayHeader(dst, int(arg%5))
	case 9:
		n, dst = 2*int(arg%3), AppendMapHeader(dst, int(arg%3), resp3)
	case 10:
		n, dst = int(arg%5), AppendSetHeader(dst, int(arg%5), resp3)
	case 11:
		n, dst = int(arg%5), AppendPushHeader(dst, int(arg%5), resp3)
	}
	texts := make([]string, n)
	for i := range texts {
		dst, seed, texts[i] = tree(dst, seed, depth+1, resp3)
	}
	return dst, seed, "[" + strings.Join(texts, " ") + "]"
}

// show prints a value as tree does.
func show(v Value) string {
	switch {
	case v.Null:
		return "null"
	case v.Type == ':':
		return fmt.Sprintf(":%d", v.Int)
	case v.Err() != nil:
		return "-" + v.Err().Error()
	case v.Elems == nil:
		return strconv.Quote(string(v.Str))
	}
	texts := make([]string, len(v.Elems))
	for i := range v.Elems {
		texts[i] = show(v.Elems[i])
	}
	return "[" + strings.Join(texts, " ") + "]"
}

func FuzzReplyRoundTrip(f *testing.F) {
	f.Add([]byte{8, 3, 0, 5, 9, 2, 1, 1, 4, 0, 3, 7, 10, 2, 6, 6}, true)
	f.Add([]byte{11, 4, 9, 1, 2, 200, 5, 5, 7, 7}, false)
	f.Fuzz(func(t *testing.T, seed []byte, resp3 bool) {
		reply, _, text := tree(nil, seed, 0, resp3)
		assertWhole(t, reply)
		v, _, err := ParseValue(reply)
		require.NoError(t, err)
		require.Equal(t, text, show(v))
		if len(reply) < 2000 {
			require.Equal(t, fmt.Sprintf("%d rest 0", len(reply)), replies(t, reply, everyByte(len(reply))...))
		}
	})
}
