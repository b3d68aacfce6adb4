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

// requests reads data with one parser, as a connection would: bytes come in the pieces that cuts
// makes, into a buffer that moves each time. It returns what was found, as text.
func requests(t testing.TB, data []byte, cuts ...int) string {
	t.Helper()
	var p Parser
	var found strings.Builder
	var buf []byte
	for _, piece := range pieces(data, cuts) {
		buf = append(bytes.Clone(buf), piece...)
		for len(buf) > 0 {
			n, err := p.Parse(buf)
			if err != nil {
				require.Zero(t, n)
				_, again := p.Parse(buf)
				require.Equal(t, err, again, "errors stay")
				fmt.Fprintf(&found, "error %s", err)
				return found.String()
			}
			if n == 0 {
				require.Positive(t, p.Need())
				break
			}
			fmt.Fprintf(&found, "%d %q\n", n, argsOf(&p, buf))
			if len(p.Args) > 0 {
				var q Parser
				m, err := q.Parse(p.Frame(buf))
				require.NoError(t, err)
				require.Equal(t, len(p.Frame(buf)), m, "Frame is one array")
				require.Equal(t, p.Args, q.Args, "Args are offsets into Frame")
			}
			buf = buf[n:]
		}
	}
	fmt.Fprintf(&found, "rest %d", len(buf))
	return found.String()
}

// pieces cuts data at offsets.
func pieces(data []byte, cuts []int) [][]byte {
	var out [][]byte
	start := 0
	for _, c := range cuts {
		out = append(out, data[start:c])
		start = c
	}
	return append(out, data[start:])
}

// everyByte are the cuts for one byte a piece.
func everyByte(n int) []int {
	cuts := make([]int, 0, n)
	for i := range n {
		cuts = append(cuts, i)
	}
	return cuts
}

func TestRequestsSplitAtEveryByte(t *testing.T) {
	inputs := map[string][]byte{
		"GET":      reqGet,
		"SET64":    reqSet,
		"MGET10":   reqMGet10,
		"inline":   reqInline,
		"pipeline": bytes.Join([][]byte{reqGet, reqInline, []byte("*0\r\n\r\n"), reqSet, []byte("PING\n")}, nil),
	}
	for _, tt := range redisCases {
		if len(tt.input) < 1000 {
			inputs[tt.input] = []byte(tt.input)
		}
	}
	for name, input := range inputs {
		want := requests(t, input)
		for i := range input {
			require.Equal(t, want, requests(t, input, i), "%.100q cut at %d", name, i)
		}
		require.Equal(t, want, requests(t, input, everyByte(len(input))...), "%.100q byte by byte", name)
	}
}

func TestLongRequestsSplitAtRandom(t *testing.T) {
	long := AppendCommand(nil, "SET", "k", strings.Repeat("v", 70000), strings.Repeat("x", 1234), "")
	many := AppendCommand(nil, strings.Split(strings.Repeat("a,", 1500), ",")...)
	rnd := rand.New(rand.NewPCG(5, 6))
	for _, input := range [][]byte{long, many, append(bytes.Clone(long), many...)} {
		want := requests(t, input)
		for range 200 {
			a, b := rnd.IntN(len(input)), rnd.IntN(len(input))
			require.Equal(t, want, requests(t, input, min(a, b), max(a, b)))
		}
	}
}

func TestNeed(t *testing.T) {
	for _, tt := range []struct {
		input string
		need  int
	}{
		{"", 1},
		{"*", 1},
		{"*2\r", 1},
		{"*2\r\n", 1},
		{"*2\r\n$3", 1},
		{"*2\r\n$3\r\n", 5},
		{"*2\r\n$3\r\nGE", 3},
		{"*2\r\n$3\r\nGET\r", 1},
		{"*2\r\n$3\r\nGET\r\n", 1},
		{"*2\r\n$3\r\nGET\r\n$100000\r\nab", 100000},
		{"PIN", 1},
		{"PING\r", 1},
	} {
		var p Parser
		n, err := p.Parse([]byte(tt.input))
		assert.NoError(t, err)
		assert.Zero(t, n)
		assert.Equal(t, tt.need, p.Need(), "%q", tt.input)
	}
}

func TestResetForgetsHalfAFrame(t *testing.T) {
	for _, half := range []string{"*2\r\n$3\r\nGET\r\n$5\r\nab", "*", "*2\r\n$", "PIN", "*x\r\n", `"` + "\n"} {
		var p Parser
		n, _ := p.Parse([]byte(half))
		require.Zero(t, n)
		p.Reset()
		n, err := p.Parse(reqGet)
		require.NoError(t, err)
		require.Equal(t, len(reqGet), n)
		require.Len(t, p.Args, 2)
	}
}

func TestMemoryDoesNotRunAheadOfTheBytes(t *testing.T) {
	var p Parser
	n, err := p.Parse([]byte("*1000000000\r\n$1000000\r\n"))
	require.NoError(t, err)
	require.Zero(t, n)
	assert.LessOrEqual(t, cap(p.Args), 16)
}

func TestResetGivesMuchMemoryBack(t *testing.T) {
	var p Parser
	many := AppendCommand(nil, strings.Split(strings.Repeat("a,", 2*keepArgs), ",")...)
	n, err := p.Parse(many)
	require.NoError(t, err)
	require.Equal(t, len(many), n)
	p.Reset()
	assert.LessOrEqual(t, cap(p.Args), keepArgs)

	n, err = p.Parse([]byte(strings.Repeat("abc ", 10000) + "\n"))
	require.NoError(t, err)
	require.Equal(t, 40001, n)
	p.Reset()
	assert.LessOrEqual(t, cap(p.Args), keepArgs)
	assert.LessOrEqual(t, cap(p.line), keepLine)

	_, err = p.Parse(reqGet)
	require.NoError(t, err)
	kept := cap(p.Args)
	p.Reset()
	assert.Equal(t, kept, cap(p.Args), "little memory is kept")
}

func TestRequestSizeIsBounded(t *testing.T) {
	b := addressSpace(t, MaxBulk+64)
	head := copy(b, "*3\r\n$536870912\r\n")
	copy(b[head+MaxBulk:], "\r\n$536870912\r\n")
	var p Parser
	n, err := p.Parse(b)
	assert.Zero(t, n)
	assert.EqualError(t, err, "Protocol error: too big request")

	// A frame that reaches the bound in the middle of a line.
	b = addressSpace(t, MaxFrame+8)
	copy(b[MaxFrame-3:], "$1000\r\n")
	p = Parser{mode: inArgs, left: 1, pos: MaxFrame - 3}
	n, err = p.Parse(b)
	assert.Zero(t, n)
	assert.EqualError(t, err, "Protocol error: too big request")

	// One that just fits.
	copy(b[MaxFrame-7:], "$1\r\na\r\n")
	p = Parser{mode: inArgs, left: 1, pos: MaxFrame - 7}
	n, err = p.Parse(b)
	assert.NoError(t, err)
	assert.Equal(t, MaxFrame, n)
}

func TestMaxBulkPasses(t *testing.T) {
	b := addressSpace(t, MaxBulk+64)
	head := copy(b, "*1\r\n$536870912\r\n")
	var p Parser
	n, err := p.Parse(b)
	assert.NoError(t, err)
	assert.Equal(t, head+MaxBulk+2, n)
	assert.Equal(t, []Arg{{Off: uint32(head), Len: MaxBulk}}, p.Args)
}

// Were anything scanned twice, this would take hours.
func TestManyArgumentsByteByByte(t *testing.T) {
	frame := AppendCommand(nil, strings.Split(strings.Repeat("a,", 100000), ",")...)
	var p Parser
	for i := range frame {
		n, err := p.Parse(frame[:i])
		require.NoError(t, err)
		require.Zero(t, n)
	}
	n, err := p.Parse(frame)
	require.NoError(t, err)
	require.Equal(t, len(frame), n)
	require.Len(t, p.Args, 100001)

	p.Reset()
	line := []byte(strings.Repeat("a", MaxLine))
	for i := range line {
		_, err := p.Parse(line[:i])
		require.NoError(t, err)
	}
}

func TestParserDoesNotAllocate(t *testing.T) {
	for _, tt := range requestFrames {
		var p Parser
		allocs := testing.AllocsPerRun(100, func() {
			if n, err := p.Parse(tt.frame); n != len(tt.frame) || err != nil {
				panic(tt.name)
			}
			_ = p.Frame(tt.frame)
			p.Reset()
		})
		assert.Zero(t, allocs, tt.name)

		allocs = testing.AllocsPerRun(100, func() {
			half, _ := p.Parse(tt.frame[:len(tt.frame)/2])
			if n, _ := p.Parse(tt.frame); half != 0 || n != len(tt.frame) {
				panic(tt.name)
			}
		})
		assert.Zero(t, allocs, "%s in two parts", tt.name)
	}
}

func FuzzParser(f *testing.F) {
	for _, tt := range redisCases {
		if len(tt.input) < 1000 {
			f.Add([]byte(tt.input), uint16(3), uint16(9))
		}
	}
	f.Add(bytes.Join([][]byte{reqMGet10, reqInline, reqSet}, nil), uint16(40), uint16(300))
	f.Fuzz(func(t *testing.T, data []byte, a, b uint16) {
		i, j := int(a)%(len(data)+1), int(b)%(len(data)+1)
		want := requests(t, data)
		require.Equal(t, want, requests(t, data, min(i, j), max(i, j)))
		if len(data) < 512 {
			require.Equal(t, want, requests(t, data, everyByte(len(data))...))
		}
	})
}

func FuzzCommandRoundTrip(f *testing.F) {
	f.Add([]byte("SET,key,value"), byte(','))
	f.Add([]byte("\r\n,$1\r\n"), byte(','))
	f.Fuzz(func(t *testing.T, data []byte, sep byte) {
		want := bytes.Split(data, []byte{sep})
		frame := AppendCommand(nil, want...)
		var p Parser
		n, err := p.Parse(frame)
		require.NoError(t, err)
		require.Equal(t, len(frame), n)
		require.Equal(t, frame, p.Frame(frame))
		require.Equal(t, want, argsOf(&p, frame))
		assertWhole(t, frame)
	})
}

// Arguments that are quoted for an inline command come back as they were.
func FuzzInline(f *testing.F) {
	f.Add([]byte("SET,key,a value"), byte(','))
	f.Add([]byte{0, '"', ',', '\'', '\\', 'x', '4', '1', '\n'}, byte(','))
	f.Fuzz(func(t *testing.T, data []byte, sep byte) {
		if len(data) > 10000 {
			return
		}
		want := bytes.Split(data, []byte{sep})
		var line []byte
		for _, arg := range want {
			line = append(line, ` "`...)
			for i, c := range arg {
				if isSpace(c) || c == 0 || c == '"' || c == '\\' || i%2 == 0 {
					line = fmt.Appendf(line, `\x%02x`, c)
				} else {
					line = append(line, c)
				}
			}
			line = append(line, '"')
		}
		line = append(line, '\n')
		var p Parser
		n, err := p.Parse(line)
		require.NoError(t, err)
		require.Equal(t, len(line), n)
		require.Equal(t, want, argsOf(&p, line))
		require.Equal(t, AppendCommand(nil, want...), p.Frame(line))
	})
}
