package testredis

import (
	"bufio"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// parse reads one reply from text.
func parse(text string) (any, error) {
	return readReply(bufio.NewReader(strings.NewReader(text)), maxDepth)
}

func TestReplyTypes(t *testing.T) {
	for text, want := range map[string]any{
		"+OK\r\n":                     "OK",
		"-ERR no\r\n":                 Error("ERR no"),
		":-12\r\n":                    int64(-12),
		"$5\r\na\r\nbc\r\n":           "a\r\nbc",
		"$0\r\n\r\n":                  "",
		"$-1\r\n":                     nil,
		"*-1\r\n":                     nil,
		"*0\r\n":                      []any{},
		"*3\r\n:1\r\n$-1\r\n-E\r\n":   []any{int64(1), nil, Error("E")},
		"_\r\n":                       nil,
		"#t\r\n":                      true,
		",1.5\r\n":                    1.5,
		"(123456789012345678901\r\n":  "123456789012345678901",
		"=6\r\ntxt:ab\r\n":            "ab",
		"!3\r\nE x\r\n":               Error("E x"),
		"%1\r\n+a\r\n:1\r\n":          []any{"a", int64(1)},
		"~1\r\n+a\r\n":                []any{"a"},
		">1\r\n+a\r\n":                []any{"a"},
		"|1\r\n+ttl\r\n:1\r\n+v\r\n":  "v",
		"*1\r\n*1\r\n*1\r\n+deep\r\n": []any{[]any{[]any{"deep"}}},
		strings.Repeat("*1\r\n", 32) + "+" + "x\r\n": nest("x", 32),
	} {
		v, err := parse(text)
		require.NoError(t, err, "%q", text)
		assert.Equal(t, want, v, "%q", text)
	}
}

// nest puts v into depth arrays.
func nest(v any, depth int) any {
	for range depth {
		v = []any{v}
	}
	return v
}

func TestMalformedRepliesAreErrors(t *testing.T) {
	for _, text := range []string{
		"", "\r\n", "+OK\n", "+OK", "?\r\n", ":x\r\n", ",x\r\n", "$x\r\n", "$-2\r\n", "$999999999999\r\n", "$3\r\nab\r\n",
		"$1\r\nab\r\n", "*99999999\r\n", "*1\r\n", strings.Repeat("*1\r\n", 33) + "+x\r\n", strings.Repeat("|0\r\n", 40),
	} {
		_, err := parse(text)
		assert.Error(t, err, "%q", text)
	}
}

func TestCommandIsBulkStrings(t *testing.T) {
	got := appendCommand(nil, []any{"SET", []byte("k\r\n"), 12, uint16(3)})
	require.Equal(t, "*4\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$2\r\n12\r\n$1\r\n3\r\n", string(got))
}

func FuzzReply(f *testing.F) {
	f.Add("*2\r\n$1\r\na\r\n%1\r\n+b\r\n:1\r\n")
	f.Add("|1\r\n+a\r\n=5\r\ntxt:x\r\n!1\r\nE\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		_, err := parse(text)
		var e Error
		require.False(t, errors.As(err, &e), "an error reply is a value")
	})
}

func FuzzClusterNodes(f *testing.F) {
	f.Add("a 127.0.0.1:1@2 myself,master - 0 0 1 connected 0-5 7 [93-<-b]\nb :0@0 slave,noaddr a 0 0 1 disconnected\n")
	f.Fuzz(func(t *testing.T, text string) {
		v, err := parseView(text)
		if err != nil {
			return
		}
		for _, m := range v {
			again, err := parseView(m.line)
			require.NoError(t, err)
			require.Equal(t, m, again[m.id])
		}
	})
}
