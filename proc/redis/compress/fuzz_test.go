package compress

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// fuzzLimits keep a fuzzer from running out of memory, as they keep the proxy from it.
var fuzzLimits = Limits{Size: 1 << 20, Ratio: 1 << 16}

func FuzzDecode(f *testing.F) {
	for _, name := range goldens {
		for a := range Algorithm(Algorithms) {
			f.Add(a == Zstd, readGolden(f, name+"."+a.String()+".ours")[HeaderLen:])
		}
	}
	var c Codec
	for _, kind := range classes {
		for a := range Algorithm(Algorithms) {
			f.Add(a == Zstd, c.Append(nil, a, 3, kind.make(1000, 1))[HeaderLen:])
		}
	}
	lying := c.Append(nil, Zstd, 1, jsonValue(700, 1))[HeaderLen:]
	lying[5], lying[6] = 0xff, 0xff // of the content size
	f.Add(true, lying)
	f.Add(true, []byte(frame(0xc0, "\x00\xff\xff\x0f\x00\x00\x00\x00\x00", "abc")))
	f.Fuzz(func(t *testing.T, isZstd bool, stream []byte) {
		a := Snappy
		if isZstd {
			a = Zstd
		}
		checkDecode(t, &c, append(appendHeader(nil, a), stream...))
	})
}

// checkDecode decodes between two guards, with the right and with wrong lengths.
func checkDecode(t *testing.T, c *Codec, stored []byte) {
	n, err := DecodedLen(stored, fuzzLimits)
	if err != nil {
		require.True(t, errors.Is(err, ErrCorrupt) != errors.Is(err, ErrTooLarge))
		n = 100
	}
	require.LessOrEqual(t, n, fuzzLimits.Size)
	guard := []byte("0123456789abcdef0123456789abcdef")
	for _, n := range []int{n, n - 1, n + 1} {
		if n < 0 {
			continue
		}
		memory := append(append(bytes.Clone(guard), make([]byte, n)...), guard...)
		got, gotErr := c.AppendDecoded(memory[:len(guard)], stored, n)
		require.Equal(t, guard, memory[:len(guard)])
		require.Equal(t, guard, memory[len(guard)+n:])
		if gotErr != nil {
			require.ErrorIs(t, gotErr, ErrCorrupt)
			require.Len(t, got, len(guard))
			continue
		}
		require.NoError(t, err, "the headers are refused, the value decodes")
		require.Len(t, got, len(guard)+n)
		require.Same(t, &memory[0], &got[0])
		want, err := DecodedLen(stored, fuzzLimits)
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte(nil), 1, uint16(0))
	for i, kind := range classes {
		f.Add(kind.make(2000, 1), i, uint16(i*7))
	}
	var c Codec
	f.Fuzz(func(t *testing.T, unit []byte, level int, times uint16) {
		plain := bytes.Repeat(unit, 1+min(int(times), 200_000/max(len(unit), 1)))
		level = max(0, level%10) // the best class takes too much memory for every worker
		for a := range Algorithm(Algorithms) {
			dst := make([]byte, 0, Bound(a, len(plain)))
			stored := c.Append(dst, a, level, plain)
			require.Same(t, &dst[:1][0], &stored[0], "more than Bound")
			n, err := DecodedLen(stored, wide)
			require.NoError(t, err)
			require.Equal(t, len(plain), n)
			got, err := c.AppendDecoded(nil, stored, n)
			require.NoError(t, err)
			require.True(t, bytes.Equal(plain, got))
		}
		Compressible(plain)
	})
}
