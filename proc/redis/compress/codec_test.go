package compress

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var wide = Limits{Size: maxDecoded, Ratio: math.MaxInt}

// decoded returns what stored decodes to, in room of exactly that size.
func decoded(t testing.TB, c *Codec, stored []byte) []byte {
	t.Helper()
	n, err := DecodedLen(stored, wide)
	require.NoError(t, err)
	got, err := c.AppendDecoded(make([]byte, 0, n), stored, n)
	require.NoError(t, err)
	return got
}

// sizes are those around every boundary of the formats.
var sizes = []int{
	0, 1, 15, 16, 17, 31, 100, 255, 256, 257, 300, 1023, 1024, 1025, 4096, 16 << 10,
	65535, 65536, 65537, 65536 + 255, 65536 + 256, 131071, 131072, 131073, 300_000, 1<<20 + 1, 3 << 20,
}

func TestRoundTrip(t *testing.T) {
	var c Codec
	for _, kind := range append(classes, class{name: "zeros", make: func(n int, _ uint64) []byte { return make([]byte, n) }}) {
		for _, n := range sizes {
			if n > 16<<10 && kind.name != "json" && kind.name != "random" && kind.name != "zeros" {
				continue // nothing new, and slow to make
			}
			plain := kind.make(n, uint64(n))
			for a := range Algorithm(Algorithms) {
				stored := c.Append([]byte("before"), a, 0, plain)
				require.True(t, bytes.HasPrefix(stored, []byte("before(P$")))
				stored = stored[len("before"):]
				require.LessOrEqual(t, len(stored), Bound(a, n))
				if !bytes.Equal(plain, decoded(t, &c, stored)) {
					t.Fatalf("%d bytes of %s by %s", n, kind.name, a)
				}
			}
		}
	}
}

func TestEveryLevelOfZstd(t *testing.T) {
	var c Codec
	plain := jsonValue(200_000, 1)
	last := len(plain)
	for _, level := range []int{0, 1, 2, 3, 5, 6, 9, 10, 22, 1} {
		stored := c.Append(nil, Zstd, level, plain)
		require.Equal(t, plain, decoded(t, &c, stored))
		if level > 1 {
			assert.LessOrEqual(t, len(stored), last, "level %d", level)
		}
		last = len(stored)
	}
}

// The library's own reader and writer of the framed format, for all that chunks can be.
func TestSnappyAgreesWithTheLibrary(t *testing.T) {
	var c Codec
	for _, kind := range classes {
		for _, n := range []int{1, 100, 4096, 65536, 65537, 140_000} {
			plain := kind.make(n, 3)
			stored := c.Append(nil, Snappy, 0, plain)
			got, err := io.ReadAll(snappy.NewReader(bytes.NewReader(stored[HeaderLen:])))
			require.NoError(t, err)
			require.True(t, bytes.Equal(plain, got))

			theirs := bytes.NewBuffer(appendHeader(nil, Snappy))
			w := snappy.NewBufferedWriter(theirs)
			_, err = w.Write(plain)
			require.NoError(t, err)
			require.NoError(t, w.Close())
			require.True(t, bytes.Equal(plain, decoded(t, &c, theirs.Bytes())))
		}
	}
}

func TestAppendDecodedKeepsWhatIsThere(t *testing.T) {
	var c Codec
	plain := jsonValue(5000, 1)
	for a := range Algorithm(Algorithms) {
		stored := c.Append(nil, a, 0, plain)
		for _, room := range []int{0, 4999, 5000, 9000} { // it may have to grow
			dst := append(make([]byte, 0, 6+room), "before"...)
			got, err := c.AppendDecoded(dst, stored, len(plain))
			require.NoError(t, err)
			assert.Equal(t, "before"+string(plain), string(got))
		}
		broken := bytes.Clone(stored)
		broken[len(broken)-1] ^= 1
		got, err := c.AppendDecoded([]byte("before"), broken, len(plain))
		require.ErrorIs(t, err, ErrCorrupt)
		assert.Equal(t, "before", string(got))
		assert.Equal(t, plain, decoded(t, &c, stored), "an error does not last")
	}
}

func TestExpectedLengthHasToHold(t *testing.T) {
	var c Codec
	plain := jsonValue(5000, 1)
	for a := range Algorithm(Algorithms) {
		stored := c.Append(nil, a, 0, plain)
		for _, n := range []int{-1, 0, 1, 4999, 5001, 1 << 20} {
			_, err := c.AppendDecoded(nil, stored, n)
			require.ErrorIs(t, err, ErrCorrupt, "%s, %d", a, n)
		}
	}
}

func TestLimits(t *testing.T) {
	var c Codec
	plain := bytes.Repeat([]byte("x"), 100_000)
	for a := range Algorithm(Algorithms) {
		stored := c.Append(nil, a, 0, plain)
		ratio := (len(plain) + len(stored) - 1) / len(stored)
		for _, l := range []struct {
			lim Limits
			ok  bool
		}{
			{Limits{Size: len(plain), Ratio: ratio}, true},
			{Limits{Size: len(plain) - 1, Ratio: ratio}, false},
			{Limits{Size: len(plain), Ratio: ratio - 1}, false},
			{Limits{Size: math.MaxInt, Ratio: math.MaxInt}, true},
			{Limits{Size: math.MaxInt, Ratio: 1}, false},
			{Limits{Size: 1, Ratio: math.MaxInt}, false},
			{Limits{Size: 65536, Ratio: 1000_000}, false},
		} {
			n, err := DecodedLen(stored, l.lim)
			if l.ok {
				require.NoError(t, err, "%s %+v", a, l.lim)
				assert.Equal(t, len(plain), n)
				continue
			}
			require.ErrorIs(t, err, ErrTooLarge, "%s %+v", a, l.lim)
			require.NotErrorIs(t, err, ErrCorrupt)
		}
	}
}

// Nothing decodes to more than Redis stores, whatever the limits say.
func TestHardLimit(t *testing.T) {
	const claims = maxDecoded + 1
	blocks := claims/maxBlock + 1
	frame := []byte("(P$\x01\r\n" + frameMagic + "\xa0\x01\x00\x00\x20") // 4 bytes of content size
	for i := range blocks {
		last := byte(0)
		if i == blocks-1 {
			last = 1
		}
		frame = append(frame, last|blockRLE<<1, 0, 0x10, 'x')
	}
	_, err := DecodedLen(frame, Limits{Size: math.MaxInt, Ratio: math.MaxInt})
	require.ErrorIs(t, err, ErrTooLarge)
	assert.Contains(t, err.Error(), fmt.Sprint(claims))
}
