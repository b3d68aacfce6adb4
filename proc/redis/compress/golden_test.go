package compress

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files of our own encoders (testdata/*.ours)")

// goldens are the names of the golden files in testdata. For each there are
//
//	NAME.plain        the value; long is made from json
//	NAME.snappy       stored by github.com/golang/snappy v1.0.0, NewBufferedWriter
//	NAME.zstd         stored by zstd 1.5, zstd -3 --check --content-size
//	NAME.snappy.ours  stored by us, for a change of the bytes to be noticed
//	NAME.zstd.ours
var goldens = []string{"empty", "short", "json", "random", "long"}

func readGolden(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return b
}

// plainGolden returns the value of a golden file. That of long spans two chunks of Snappy.
func plainGolden(t testing.TB, name string) []byte {
	t.Helper()
	if name == "long" {
		return bytes.Repeat(readGolden(t, "json.plain"), 70)[:70_000]
	}
	return readGolden(t, name+".plain")
}

func TestWhatOthersWroteIsRead(t *testing.T) {
	var c Codec
	for _, name := range goldens {
		for a := range Algorithm(Algorithms) {
			if name == "empty" && a == Snappy {
				continue // nobody compresses it
			}
			stored := readGolden(t, name+"."+a.String())
			got, ok := Detect(stored)
			assert.True(t, ok)
			assert.Equal(t, a, got)
			assert.Equal(t, plainGolden(t, name), decoded(t, &c, stored), "%s.%s", name, a)
		}
	}
}

func TestStoredBytesDoNotChange(t *testing.T) {
	var c Codec
	for _, name := range goldens {
		for a := range Algorithm(Algorithms) {
			file := name + "." + a.String() + ".ours"
			plain := plainGolden(t, name)
			stored := c.Append(nil, a, 0, plain)
			if *update {
				require.NoError(t, os.WriteFile(filepath.Join("testdata", file), stored, 0o644))
			}
			golden := readGolden(t, file)
			assert.Equal(t, plain, decoded(t, &c, golden), file)
			// The block encoder of Snappy is another one on other processors.
			if a == Zstd || runtime.GOARCH == "amd64" {
				assert.Equal(t, golden, stored, file)
			}
		}
	}
}

// The headers to the byte, and the layout of a chunk that saves nothing.
func TestHeaders(t *testing.T) {
	var c Codec
	identifier := "\xff\x06\x00\x00sNaPpY"
	assert.Equal(t, "(P$\x00\r\n"+identifier, string(c.Append(nil, Snappy, 0, nil)))
	assert.Equal(t, "(P$\x00\r\n"+identifier+"\x01\x07\x00\x00\x6e\x57\xf1\x21abc", string(c.Append(nil, Snappy, 0, []byte("abc"))))
	assert.Equal(t, "(P$\x01\r\n\x28\xb5\x2f\xfd\x24\x03", string(c.Append(nil, Zstd, 0, []byte("abc"))[:12]),
		"a single segment, a checksum, a content size of one byte")
	assert.Equal(t, "snappy", Snappy.String())
	assert.Equal(t, "zstd", Zstd.String())
	assert.Equal(t, "algorithm 7", Algorithm(7).String())
}

func TestDetect(t *testing.T) {
	for _, c := range []struct {
		value string
		want  Algorithm
		ok    bool
	}{
		{"(P$\x00\r\n", Snappy, true},
		{"(P$\x01\r\n", Zstd, true},
		{"(P$\x01\r\nanything", Zstd, true},
		{"(P$\x02\r\n", 0, false},
		{"(P$0\r\n", 0, false},
		{"(P$\x00\n\r", 0, false},
		{"(P#\x00\r\n", 0, false},
		{"(P$\x00\r", 0, false},
		{"", 0, false},
		{" (P$\x00\r\n", 0, false},
	} {
		got, ok := Detect([]byte(c.value))
		assert.Equal(t, c.ok, ok, "%q", c.value)
		assert.Equal(t, c.want, got, "%q", c.value)
	}
}
