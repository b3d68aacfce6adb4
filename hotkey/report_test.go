package hotkey

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNamesAreShownAsTheyAreOrQuoted(t *testing.T) {
	for name, want := range map[string]string{
		"user:1":                    `user:1`,
		"with blank":                `with blank`,
		"a'b":                       `a'b`,
		"ключ":                      `ключ`,
		"键":                         `键`,
		"":                          `""`,
		"\x00":                      `"\x00"`,
		"a\n\r\t\a\b":               `"a\n\r\t\a\b"`,
		"\xff\xfe":                  `"\xff\xfe"`,
		"\x7f":                      `"\x7f"`,
		"q\"\\\n":                   `"q\"\\\n"`,
		"键\n":                       `"\xe9\x94\xae\n"`,
		"a\u200bb":                  `"a\xe2\x80\x8bb"`, // would not be seen
		"a\u202eb":                  `"a\xe2\x80\xaeb"`, // would turn the line around
		"\u2028":                    `"\xe2\x80\xa8"`,
		strings.Repeat("x", KeyMax): strings.Repeat("x", KeyMax),
	} {
		assert.Equal(t, want, Name(name).String(), "%q", name)
		text, err := json.Marshal(Name(name))
		require.NoError(t, err)
		var back string
		require.NoError(t, json.Unmarshal(text, &back))
		assert.Equal(t, want, back)
	}
	assert.Equal(t, `""`, Name(nil).String())
}

// Two keys must not look alike.
func TestNamesThatLookQuotedAreTold(t *testing.T) {
	for _, name := range []string{"\x00", "", "a\n"} {
		shown := Name(name).String()
		assert.NotEqual(t, shown, Name(shown).String(), "the key %q is shown as the key %s is", name, shown)
	}
}

// A long name that is cut within a character is still readable.
func TestNamesThatAreCutWithinACharacter(t *testing.T) {
	long := strings.Repeat("键", 100)[:KeyMax]
	assert.Equal(t, strings.Repeat("键", KeyMax/3), nameOf([]byte(long), 300).String())
	assert.Contains(t, nameOf([]byte(long), KeyMax).String(), "x", "it is whole, and no text")
}

// FuzzName: what is shown is one line that can be printed, and unquoting gives the name.
func FuzzName(f *testing.F) {
	for _, s := range []string{"", "a", "\x00\xff", "键", "a\"b\\", "\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		shown := Name(s).String()
		assert.False(t, containsUnprintable(shown), "%q", shown)
		back, err := strconv.Unquote(Name(s).quoted())
		require.NoError(t, err)
		assert.Equal(t, s, back)
	})
}

func TestReportAsJSON(t *testing.T) {
	r := newRig(Options{Interval: time.Second}, "a")
	r.use(0, Hit{Key: []byte("\x00k"), Client: 3, Bytes: 4})
	rep := r.end(time.Second)
	text, err := json.Marshal(rep.Keys[0])
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal(text, &got))
	assert.Equal(t, `"\x00k"`, got["key"])
	assert.EqualValues(t, 1, got["count"])
	assert.EqualValues(t, 2, got["key_length"])
	assert.Len(t, got["key_hash"], 16)
	assert.Equal(t, []any{map[string]any{"name": "client3", "hits": 1.0}}, got["clients"])
	for _, field := range []string{
		"slot", "node", "counter", "qps", "peak_qps", "error", "sampling_error", "node_share", "share", "reads", "writes",
		"commands", "bytes_in", "bytes_out", "first_seen", "last_seen",
	} {
		assert.Contains(t, got, field)
	}
}

func ExampleCollector() {
	now := int64(0)
	sampler, counter := NewSampler(now), NewCounter(now)
	collector := NewCollector(Options{Interval: time.Second})
	for range 1000 {
		key := []byte("user:1")
		if weight := sampler.Take(1); weight > 0 {
			counter.Hit(&Hit{Key: key, Hash: Hash(key), Weight: weight, Now: now})
		}
	}
	now += int64(time.Second)
	counts := counter.Cut(nil, now)
	collector.Add("127.0.0.1:7000", counts, now, time.Unix(1, 0))
	for _, k := range collector.Merge(time.Unix(1, 0)).Keys {
		fmt.Println(k.Name, k.Count, k.Error, k.QPS, k.Node)
	}
	// Output: user:1 1000 0 1000 127.0.0.1:7000
}
