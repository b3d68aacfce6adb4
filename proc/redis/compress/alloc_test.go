package compress

import (
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSteadyStateAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	for _, kind := range classes {
		for _, n := range []int{100, 1 << 10, 16 << 10, 100_000, 1 << 20} {
			if n > 16<<10 && kind.name != "json" && kind.name != "random" {
				continue
			}
			plain := kind.make(n, 1)
			t.Run(fmt.Sprint(kind.name, n), func(t *testing.T) {
				allocatesNothing(t, Snappy, 0, plain)
				allocatesNothing(t, Zstd, 1, plain)
				allocatesNothing(t, Zstd, 3, plain)
				allocatesNothing(t, Zstd, 6, plain)
			})
		}
	}
}

// allocatesNothing runs without the garbage collector: the libraries keep scratch memory in
// pools, and a collection empties those.
func allocatesNothing(t *testing.T, a Algorithm, level int, plain []byte) {
	t.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var c Codec
	dst := make([]byte, 0, Bound(a, len(plain)))
	room := make([]byte, 0, len(plain))
	var stored []byte
	encode := func() { stored = c.Append(dst, a, level, plain) }
	decode := func() {
		n, err := DecodedLen(stored, wide)
		require.NoError(t, err)
		_, err = c.AppendDecoded(room, stored, n)
		require.NoError(t, err)
	}
	runs := 10
	if len(plain) >= 1<<20 {
		runs = 3
	}
	encode()
	decode()
	assert.Zero(t, testing.AllocsPerRun(runs, encode), "encoding, %s at level %d", a, level)
	assert.Zero(t, testing.AllocsPerRun(runs, decode), "decoding, %s at level %d", a, level)
	assert.Same(t, &dst[:1][0], &stored[0], "in the memory of the caller")
}

func TestGuessingAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	v := randomValue(64<<10, 1)
	assert.Zero(t, testing.AllocsPerRun(100, func() { Compressible(v); Detect(v) }))
}

// Frames that lie about their content size are refused without taking much more memory than
// they may decode to.
func TestLyingFramesAllocateLittle(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	var c Codec
	for _, n := range []int{300_000, 3 << 20} { // both declared in four bytes
		stored := c.Append(nil, Zstd, 1, jsonValue(n, 1))
		decoded(t, &c, stored)
		for _, claim := range []int{0, 1, 1000, n / 2, n - 1, n + 1, n + 100_000, 2 * n, maxDecoded, math.MaxUint32} {
			binary.LittleEndian.PutUint32(stored[HeaderLen+len(frameMagic)+1:], uint32(claim))
			room := make([]byte, 0, min(claim, 2*n))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _ = DecodedLen(stored, wide)
			_, err := c.AppendDecoded(room, stored, cap(room))
			runtime.ReadMemStats(&after)
			require.ErrorIs(t, err, ErrCorrupt, "%d instead of %d", claim, n)
			assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(cap(room))*3/2+512<<10, "%d instead of %d", claim, n)
		}
	}
}
