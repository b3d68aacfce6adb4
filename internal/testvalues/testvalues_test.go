package testvalues

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/rand/v2"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/protowire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func source(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// sizes are the smallest ones all, and some around what matters.
func sizes() []int {
	var all []int
	for n := range 260 {
		all = append(all, n)
	}
	return append(all, 511, 700, 1023, 1024, 1025, 4096, 16384, 65535, 65536, 65537, 200_000)
}

func TestValuesHaveExactlyTheirSize(t *testing.T) {
	for _, k := range Kinds {
		t.Run(k.Name, func(t *testing.T) {
			r := source(1)
			for _, size := range sizes() {
				require.Len(t, k.Make(r, size), size)
			}
		})
	}
}

func TestSeedStandsForAValue(t *testing.T) {
	for _, k := range Kinds {
		t.Run(k.Name, func(t *testing.T) {
			first := k.Make(source(7), 16<<10)
			assert.True(t, bytes.Equal(first, k.Make(source(7), 16<<10)))
			assert.False(t, bytes.Equal(first, k.Make(source(8), 16<<10)))
		})
	}
}

func TestJSONIsValidAtEverySize(t *testing.T) {
	r := source(2)
	for _, size := range sizes()[1:] {
		v := JSON(r, size)
		require.Truef(t, json.Valid(v), "%d bytes: %s", size, v)
	}
}

func TestProtobufIsWellFormedAtEverySize(t *testing.T) {
	r := source(3)
	for _, size := range sizes() {
		if size == 1 {
			continue
		}
		for v := Protobuf(r, size); len(v) > 0; {
			_, _, n := protowire.ConsumeField(v)
			require.Positivef(t, n, "%d bytes: %v", size, protowire.ParseError(n))
			v = v[n:]
		}
	}
}

func TestGzipBeginsAStreamOfJSON(t *testing.T) {
	r, err := gzip.NewReader(bytes.NewReader(Gzip(source(4), 4096)))
	require.NoError(t, err)
	plain, err := io.ReadAll(r)
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.Contains(t, string(plain), `"object":"list"`)
}

func TestBase64Decodes(t *testing.T) {
	plain, err := base64.RawStdEncoding.DecodeString(string(Base64(source(5), 4096)))
	require.NoError(t, err)
	assert.Len(t, plain, 3072)
}

func TestTextsAreUTF8(t *testing.T) {
	for _, k := range Kinds {
		switch k.Name {
		case "html", "json", "text", "session", "base64":
			assert.True(t, utf8.Valid(k.Make(source(6), 16<<10)), k.Name)
		}
	}
}

func TestKindsHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Kinds {
		assert.Regexp(t, "^[a-z0-9]+$", k.Name)
		assert.False(t, seen[k.Name], k.Name)
		seen[k.Name] = true
	}
}

// TestValuesAreAsRedundantAsReal keeps each kind within what such values have in real
// applications: neither random nor one pattern over and over.
func TestValuesAreAsRedundantAsReal(t *testing.T) {
	for _, c := range []struct {
		name      string
		low, high float64
	}{
		{"html", 4.5, 7},
		{"json", 3.5, 5},
		{"protobuf", 1.6, 2.5},
		{"text", 2, 3},
		{"session", 1.6, 2.5},
		{"base64", 1.25, 1.36},
		{"gzip", 0.98, 1.02},
		{"random", 0.98, 1.01},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.InDelta(t, (c.low+c.high)/2, ratio(t, kind(t, c.name), 16<<10), (c.high-c.low)/2)
		})
	}
}

func kind(t *testing.T, name string) Kind {
	t.Helper()
	for _, k := range Kinds {
		if k.Name == name {
			return k
		}
	}
	require.Fail(t, "no kind "+name)
	return Kind{}
}

// ratio is plain bytes per byte of DEFLATE, over some values.
func ratio(t *testing.T, k Kind, size int) float64 {
	t.Helper()
	r, stored := source(9), 0
	const values = 8
	for range values {
		var b bytes.Buffer
		w, err := flate.NewWriter(&b, flate.DefaultCompression)
		require.NoError(t, err)
		_, err = w.Write(k.Make(r, size))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		stored += b.Len()
	}
	t.Logf("%s: %.2f", k.Name, float64(values*size)/float64(stored))
	return float64(values*size) / float64(stored)
}

func BenchmarkMake(b *testing.B) {
	for _, k := range Kinds {
		b.Run(k.Name, func(b *testing.B) {
			r := source(1)
			b.SetBytes(16 << 10)
			for b.Loop() {
				k.Make(r, 16<<10)
			}
		})
	}
}
