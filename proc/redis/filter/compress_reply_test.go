package filter

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/proc/redis/command"
	"samaritan/proc/redis/compress"
	"samaritan/proc/redis/resp"
)

// bulk is a bulk string on the wire.
func bulk[T string | []byte](s T) string { return string(resp.AppendBulk(nil, []byte(s))) }

// checkReply has a filter see a reply and compares what comes out. It returns the verdict.
func checkReply(t testing.TB, c *compression, name string, reply, want []byte) Verdict {
	t.Helper()
	original := bytes.Clone(reply)
	r := replyTo(name, reply)
	wants := c.wantsReply(r.Info, r.Note, r.Bytes)
	verdict := c.reply(r)
	if verdict == Later {
		r.Work.Begin()
		r.Work.Do(reply)
		r.Finish()
		if r.found == nil {
			verdict = r.verdict()
			require.Equal(t, Changed, verdict)
		} else if verdict = c.reply(r); verdict == Later {
			r.Work.Begin()
			r.Work.Do(reply)
			r.Finish()
			require.Nil(t, r.found)
			verdict = r.verdict()
		}
	}
	require.Equal(t, original, reply, "what came is not touched")
	require.True(t, bytes.Equal(want, r.Bytes), "got  %.300q\nwant %.300q", r.Bytes, want)
	if verdict == Pass {
		require.Nil(t, r.Memory)
		require.Same(t, &reply[0], &r.Bytes[0])
		return Pass
	}
	require.Equal(t, Changed, verdict)
	require.True(t, wants, "it was not asked for")
	require.True(t, r.Memory.Sole())
	require.Same(t, &r.Memory.B[0], &r.Bytes[0])
	r.Memory.Release()
	return Changed
}

func TestStoredValuesInRepliesAreDecompressed(t *testing.T) {
	plain := jsonValue(2000, 1)
	for name := range bothAlgorithms {
		a := bothAlgorithms[name].Algorithm
		v, s := bulk(plain), bulk(storedForm(a, plain))
		empty := bulk(storedForm(a, nil))
		for _, tt := range []struct{ name, reply, want string }{
			{"GET", s, v},
			{"GET", empty, "$0\r\n\r\n"},
			{"GETSET", s, v},
			{"MGET", "*3\r\n" + s + "$-1\r\n" + s, "*3\r\n" + v + "$-1\r\n" + v},
			{"MGET", "*2\r\n" + bulk("plain") + s, "*2\r\n" + bulk("plain") + v},
			{"HGETALL", "*4\r\n" + bulk("f") + s + bulk("g") + bulk("x"), "*4\r\n" + bulk("f") + v + bulk("g") + bulk("x")},
			{"HGETALL", "%1\r\n" + bulk("f") + s, "%1\r\n" + bulk("f") + v},
			{"HSCAN", "*2\r\n" + bulk("0") + "*2\r\n" + bulk("f") + s, "*2\r\n" + bulk("0") + "*2\r\n" + bulk("f") + v},
			{"HRANDFIELD", "*1\r\n*2\r\n" + bulk("f") + s, "*1\r\n*2\r\n" + bulk("f") + v},
			{"EVAL", "~2\r\n:1\r\n" + s, "~2\r\n:1\r\n" + v},
			{"EVAL", "|1\r\n+ttl\r\n:3\r\n" + s, "|1\r\n+ttl\r\n:3\r\n" + v},
			{"EVAL", "|1\r\n" + s + s + "+OK\r\n", "|1\r\n" + v + v + "+OK\r\n"},
			{"EXEC", "*2\r\n+OK\r\n" + s, "*2\r\n+OK\r\n" + v},
			{"SORT", "*2\r\n$-1\r\n" + s, "*2\r\n$-1\r\n" + v},
		} {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				for _, enable := range []bool{true, false} {
					c := newCompression(t, Compression{Enable: enable, Threshold: 1, Limits: wide})
					assert.Equal(t, Changed, checkReply(t, c, tt.name, []byte(tt.reply), []byte(tt.want)))
					assert.EqualValues(t, strings.Count(tt.reply, "(P$"), c.stats.Decompressed[a].Values)
					assert.Zero(t, c.stats.Corrupt+c.stats.TooLarge)
					assert.Empty(t, c.broken)
				}
			})
		}
	}
}

func TestRepliesThatAreLeftAlone(t *testing.T) {
	stored := string(storedForm(compress.Snappy, jsonValue(2000, 1)))
	s := bulk(stored)
	for _, tt := range []struct{ what, name, reply string }{
		{"a command that reads no values", "LRANGE", "*1\r\n" + s},
		{"a command that reads what is stored", "DUMP", s},
		{"names of fields", "HKEYS", "*1\r\n" + s},
		{"a status", "GET", "+(P$\r\n"},
		{"an error", "GET", "-(P$\r\n"},
		{"a long error", "GET", "!" + s[1:]},
		{"a long error in an array", "EVAL", "*1\r\n!" + s[1:]},
		{"a verbatim string", "GET", fmt.Sprintf("=%d\r\ntxt:%s\r\n", len(stored)+4, stored)},
		{"a verbatim string in an array", "EVAL", fmt.Sprintf("*1\r\n=%d\r\ntxt:%s\r\n", len(stored)+4, stored)},
		{"a verbatim string that begins so", "EVAL", fmt.Sprintf("*1\r\n=%d\r\n(P$:%s\r\n", len(stored)+4, stored)},
		{"a large number", "EVAL", "*1\r\n(12\r\n"},
		{"null", "GET", "$-1\r\n"},
		{"nothing", "GET", "$0\r\n\r\n"},
		{"an empty array", "MGET", "*0\r\n"},
		{"a null array", "EXEC", "*-1\r\n"},
		{"the header cut short", "GET", bulk("(P$\x00")},
		{"the header cut short in an array", "MGET", "*2\r\n" + bulk("(P$\x00") + bulk("(P$")},
		{"another algorithm", "GET", bulk("(P$\x02\r\n" + stored[6:])},
		{"the header behind something", "MGET", "*1\r\n" + bulk("x"+stored)},
		{"the header behind a line end", "MGET", "*1\r\n" + bulk("x\r\n"+stored)},
		{"a reply within a value", "MGET", "*1\r\n" + bulk("\r\n"+s)},
	} {
		t.Run(tt.what, func(t *testing.T) {
			c := newCompression(t, bothAlgorithms["snappy"])
			assert.Equal(t, Pass, checkReply(t, c, tt.name, []byte(tt.reply), []byte(tt.reply)))
			assert.Zero(t, c.stats)
			assert.Empty(t, c.broken)
		})
	}
}

// A name is what the field is asked for with.
func TestNamesOfFieldsAreLeftAlone(t *testing.T) {
	plain := jsonValue(2000, 1)
	v, s := bulk(plain), bulk(storedForm(compress.Snappy, plain))
	for _, tt := range []struct{ what, name, reply, want string }{
		{"array", "HGETALL", "*6\r\n" + s + s + bulk("f") + s + s + bulk("x"), "*6\r\n" + s + v + bulk("f") + v + s + bulk("x")},
		{"map", "HGETALL", "%2\r\n" + s + s + s + bulk(""), "%2\r\n" + s + v + s + bulk("")},
		{"scan", "HSCAN", "*2\r\n" + bulk("0") + "*4\r\n" + s + s + bulk("f") + s, "*2\r\n" + bulk("0") + "*4\r\n" + s + v + bulk("f") + v},
		{"random pairs", "HRANDFIELD", "*4\r\n" + s + s + s + s, "*4\r\n" + s + v + s + v},
		{"random pairs of RESP3", "HRANDFIELD", "*2\r\n*2\r\n" + s + s + "*2\r\n" + s + s, "*2\r\n*2\r\n" + s + v + "*2\r\n" + s + v},
		{"one name", "HRANDFIELD", s, s},
		{"only values", "HVALS", "*2\r\n" + s + s, "*2\r\n" + v + v},
	} {
		t.Run(tt.what, func(t *testing.T) {
			c := newCompression(t, Compression{Limits: wide})
			checkReply(t, c, tt.name, []byte(tt.reply), []byte(tt.want))
			assert.EqualValues(t, strings.Count(tt.want, v), c.stats.Decompressed[compress.Snappy].Values)
		})
	}
}

func TestRepliesThatNobodyReadsAreLeftAlone(t *testing.T) {
	c := newCompression(t, bothAlgorithms["snappy"])
	r := replyTo("GET", bulk(storedForm(compress.Snappy, jsonValue(2000, 1))))
	r.Unread = true
	assert.Equal(t, Pass, c.reply(r))
	assert.Zero(t, c.stats)
}

// brokenValues are stored values that cannot be decompressed, with the fault.
func brokenValues() map[string][]byte {
	broken := map[string][]byte{"(P$\\x00 alone": []byte(likeStored), "text": []byte(likeStored + "some text")}
	for name, set := range bothAlgorithms {
		good := storedForm(set.Algorithm, jsonValue(2000, 1))
		flipped := bytes.Clone(good)
		flipped[len(flipped)-3] ^= 0x10 // what its headers say stays right
		broken["flipped "+name], broken["short "+name] = flipped, good[:len(good)-1]
		broken["long "+name] = append(bytes.Clone(good), 'x')
	}
	return broken
}

func TestBrokenValuesAreLeftAloneAndCounted(t *testing.T) {
	plain := jsonValue(1000, 2)
	good := bulk(storedForm(compress.Snappy, plain))
	for fault, value := range brokenValues() {
		t.Run(fault, func(t *testing.T) {
			c := newCompression(t, bothAlgorithms["snappy"])
			b := bulk(value)
			checkReply(t, c, "GET", []byte(b), []byte(b))
			assert.EqualValues(t, 1, c.stats.Corrupt)
			require.Len(t, c.broken, 1)
			assert.ErrorIs(t, c.broken[0], compress.ErrCorrupt)
			assert.Zero(t, c.stats.Decompressed)

			reply, want := "*4\r\n"+good+b+b+good, "*4\r\n"+bulk(plain)+b+b+bulk(plain)
			assert.Equal(t, Changed, checkReply(t, c, "MGET", []byte(reply), []byte(want)))
			assert.EqualValues(t, 3, c.stats.Corrupt, "each one")
			assert.Len(t, c.broken, 2, "told once for each reply")
			assert.EqualValues(t, 2, c.stats.Decompressed[compress.Snappy].Values)
			assert.Zero(t, c.stats.TooLarge)
		})
	}
}

// Few brackets are looked at one by one, and many are not.
func TestBracketsDoNotHideStoredValues(t *testing.T) {
	plain := jsonValue(500, 1)
	stored := bulk(storedForm(compress.Snappy, plain))
	for _, n := range []int{0, 1, maxFalseMarks - 1, maxFalseMarks, maxFalseMarks + 1, 10 * maxFalseMarks} {
		for _, text := range []string{"(", "x(y", "\n(", "\n(P", "\n(P(P$", "\n\n(", "\n(P%"} {
			brackets := bulk(strings.Repeat(text, n))
			t.Run(fmt.Sprintf("%d%q", n, text), func(t *testing.T) {
				c := newCompression(t, bothAlgorithms["snappy"])
				for _, order := range []string{brackets + "%s", "%s" + brackets} {
					reply := "*2\r\n" + strings.Replace(order, "%s", stored, 1)
					want := "*2\r\n" + strings.Replace(order, "%s", bulk(plain), 1)
					assert.True(t, mayHaveStored([]byte(reply)))
					assert.Equal(t, Changed, checkReply(t, c, "MGET", []byte(reply), []byte(want)))
				}
				alone := "*1\r\n" + brackets
				assert.Equal(t, Pass, checkReply(t, c, "MGET", []byte(alone), []byte(alone)))
			})
		}
	}
}

func TestQuickLookIsQuick(t *testing.T) {
	for reply, want := range map[string]bool{
		"*1\r\n" + bulk("text (of some kind)"):                            false,
		"*1\r\n" + bulk("(P$"):                                            true,
		"*1\r\n" + bulk("\n(P%"):                                          false,
		"*1\r\n" + bulk(strings.Repeat("(", 63)):                          false,
		"*1\r\n" + bulk(strings.Repeat("(", 64)):                          false,
		"*1\r\n" + bulk(strings.Repeat("\n(P", 1000)):                     false,
		"*2\r\n" + bulk(strings.Repeat("(", 1000)) + bulk("(P$"):          true,
		"*1\r\n" + bulk(strings.Repeat("(", maxFalseMarks+maxSearched-4)): false,
		"*1\r\n" + bulk(strings.Repeat("(", maxFalseMarks+maxSearched)):   true,
		bulk("(P$"):      false,
		bulk(likeStored): true,
		"+OK\r\n":        false,
		":1\r\n":         false,
		"(1\r\n":         false,
		"*0\r\n":         false,
		"*1\r\n(1\r\n":   false,
		"*1\r\n" + bulk("ends with a bracket and CRLF\n("): false,
	} {
		assert.Equal(t, want, mayHaveStored([]byte(reply)), "%.100q", reply)
	}
}

// Without a stored value, or to a command that reads none, a reply need not be shown to the filter.
func TestOnlyRepliesThatMayHaveStoredValuesAreWanted(t *testing.T) {
	c := newCompression(t, Compression{Limits: wide})
	stored, plain := []byte(bulk(storedForm(0, jsonValue(100, 1)))), []byte(bulk("plain"))
	for id := range command.Count() {
		info := command.ByID(uint16(id))
		assert.Equal(t, rules[id].reads, c.wantsReply(info, nil, stored), info.Name)
		assert.False(t, c.wantsReply(info, nil, plain), info.Name)
	}
}
