package resp

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bulkStrings are the payloads that NextString finds in b, one after the other.
func bulkStrings(t testing.TB, b []byte) (found []string) {
	t.Helper()
	for off := 0; ; {
		head, payload, end := NextString(b[off:], math.MaxInt)
		if end == 0 {
			require.LessOrEqual(t, off+head, len(b))
			require.Nil(t, payload)
			return found
		}
		require.Equal(t, string(AppendBulk(nil, payload)), string(b[off+head:off+end]), "from its header to behind its CRLF")
		found = append(found, string(payload))
		off += end
	}
}

func TestNextStringFindsBulkStrings(t *testing.T) {
	for _, tt := range []struct {
		input string
		want  []string
	}{
		{"", nil},
		{"$3\r\nabc\r\n", []string{"abc"}},
		{"$0\r\n\r\n", []string{""}},
		{"$5\r\na\r\nb$\r\n", []string{"a\r\nb$"}},
		{"$10\r\n0123456789\r\n$1\r\nx\r\n", []string{"0123456789", "x"}},
		{"$6\r\n$1\r\nx\r\r\n", []string{"$1\r\nx\r"}},
		{"*3\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n", []string{"a", "b"}},
		{"*2\r\n*1\r\n$1\r\na\r\n%1\r\n$1\r\nk\r\n~1\r\n$1\r\nv\r\n", []string{"a", "k", "v"}},
		{"|1\r\n$1\r\nk\r\n$1\r\nv\r\n$1\r\nx\r\n", []string{"k", "v", "x"}},
		{">2\r\n+a\r\n$1\r\nb\r\n", []string{"b"}},
		{"+OK\r\n-ERR $1\r\n:1\r\n_\r\n#t\r\n,1.5\r\n(12\r\n$1\r\nx\r\n", []string{"x"}},
		{"$-1\r\n*-1\r\n*0\r\n$1\r\nx\r\n", []string{"x"}},
		{"$-1\r\n", nil},
		{"+$1\r\n", nil},
		{"=9\r\ntxt:$1\r\nx\r\n$1\r\ny\r\n", []string{"y"}},
		{"!6\r\n$1\r\nx\r\r\n$1\r\ny\r\n", []string{"y"}},
	} {
		assert.Equal(t, tt.want, bulkStrings(t, []byte(tt.input)), "%q", tt.input)
	}
}

func TestNextStringStopsWhereTheInputIsCutShort(t *testing.T) {
	for _, b := range []string{
		"$", "$3", "$3\r", "$3\r\n", "$3\r\nab", "$3\r\nabc", "$3\r\nabc\r", "*1\r\n$3\r\nabc\r", "=5\r\ntxt:", "!5\r\nabc", "+OK",
		"$x\r\n", "$-2\r\n", "?\r\n", "$01\r\na\r\n", "\r\n", "$9223372036854775807\r\nabc\r\n", "=3\r\nabc\r\n",
		strings.Repeat("$", MaxLine+10),
	} {
		head, payload, end := NextString([]byte(b), math.MaxInt)
		assert.Less(t, head, len(b), "%.50q", b)
		assert.Nil(t, payload, "%.50q", b)
		assert.Zero(t, end, "%.50q", b)
	}
	for _, reply := range goodReplies {
		whole := bulkStrings(t, []byte(reply))
		for i := 0; i < len(reply); i += 1 + len(reply)/100 {
			part := bulkStrings(t, []byte(reply[:i]))
			require.LessOrEqual(t, len(part), len(whole))
			require.Equal(t, append([]string(nil), whole[:len(part)]...), part)
		}
	}
}

func TestNextStringStopsAtItsBound(t *testing.T) {
	const b = "*4\r\n:1\r\n_\r\n$3\r\nabc\r\n:2\r\n"
	for most, want := range map[int]int{0: 0, 1: 4, 4: 4, 5: 8, 8: 8, 9: 11, 11: 11} {
		head, payload, end := NextString([]byte(b), most)
		assert.Equal(t, want, head, "%d: at the element that begins there or behind", most)
		assert.Nil(t, payload)
		assert.Zero(t, end)
		_, payload, _ = NextString([]byte(b[head:]), math.MaxInt)
		assert.Equal(t, "abc", string(payload), "what is left can be looked at later")
	}
	head, payload, end := NextString([]byte(b), 12)
	assert.Equal(t, []any{11, "abc", 20}, []any{head, string(payload), end})
	head, _, end = NextString([]byte(b[20:]), math.MaxInt)
	assert.Equal(t, []int{4, 0}, []int{head, end}, "there is no more")
}

func TestNextStringDoesNotAllocate(t *testing.T) {
	b := append(AppendArrayHeader(nil, 3), "_\r\n+OK\r\n$200\r\n"+strings.Repeat("x", 200)+"\r\n"...)
	assert.Zero(t, testing.AllocsPerRun(100, func() { NextString(b, math.MaxInt) }))
}

// walk collects the payloads of the bulk strings in an element, with Header and Next.
func walk(t testing.TB, b []byte) (found []string) {
	t.Helper()
	for len(b) > 0 {
		typ, n, body, err := Header(b)
		require.NoError(t, err)
		skip := bytes.IndexByte(b, '\n') + 1
		switch {
		case body == nil:
		case typ == '$':
			found = append(found, string(body))
			skip += int(n) + 2
		case typ == '=' || typ == '!':
			skip += int(n) + 2
		}
		b = b[skip:]
	}
	return found
}

func FuzzNextString(f *testing.F) {
	for _, reply := range goodReplies {
		if len(reply) < 2000 {
			f.Add([]byte(reply))
		}
	}
	for _, bad := range badReplies {
		if len(bad.input) < 2000 {
			f.Add([]byte(bad.input))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for off := 0; off < len(b); { // whatever b is
			head, payload, end := NextString(b[off:], math.MaxInt)
			if end == 0 {
				break
			}
			require.Equal(t, byte('$'), b[off+head])
			require.Equal(t, off+end-2-len(payload), cap(b)-cap(payload), "the payload lies in what was given")
			off += end
		}
		var s Scanner
		if n, err := s.Scan(b); err == nil && n > 0 {
			require.Equal(t, walk(t, b[:n]), bulkStrings(t, b[:n]))
		}
	})
}
