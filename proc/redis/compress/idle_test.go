package compress

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Parts that decode to nothing cost time and say nothing: a stored value may have a few, and more when it is long.
func TestPartsWithoutDataAreBounded(t *testing.T) {
	data := chunk(chunkUncompressed, sum("abc")+"abc")
	for _, c := range []struct{ name, head, part, tail string }{
		{"padding", headSnappy + identifierChunk, chunk(0xfe, ""), data},
		{"chunk of no bytes", headSnappy + identifierChunk, chunk(chunkUncompressed, sum("")), data},
		{"identifier", headSnappy + identifierChunk, identifierChunk, data},
		{"raw block", headZstd + frameMagic + "\x20\x03", "\x00\x00\x00", "\x19\x00\x00abc"},
		{"repeated byte", headZstd + frameMagic + "\x20\x03", "\x02\x00\x00x", "\x19\x00\x00abc"},
	} {
		t.Run(c.name, func(t *testing.T) {
			expect(t, c.head+strings.Repeat(c.part, maxIdle-1)+c.tail, "abc", "")
			expect(t, c.head+strings.Repeat(c.part, 1000)+c.tail, "", "without data")
		})
	}
}

func TestLongValuesMayHaveMorePartsWithoutData(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", maxChunkData/16)
	stream := identifierChunk + strings.Repeat(chunk(chunkUncompressed, sum(big)+big), 10)
	expect(t, headSnappy+stream+strings.Repeat(chunk(0xfe, ""), 500), strings.Repeat(big, 10), "")
	expect(t, headSnappy+stream+strings.Repeat(chunk(0xfe, ""), 1000), "", "without data")
}

// A reply may have a million broken values.
func TestABrokenValueAllocatesItsErrorAlone(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	for _, stored := range []string{
		headSnappy,
		headZstd,
		headSnappy + identifierChunk + chunk(0x02, "xyz"),
		headZstd + frameMagic + "\x20\x03" + "\x21\x00\x00abcd",
		headZstd + frame(0xe0, "\xff\xff\xff\xff\xff\xff\xff\xff", "abc"),
	} {
		v := []byte(stored)
		_, err := DecodedLen(v, wide)
		require.Error(t, err)
		assert.LessOrEqual(t, testing.AllocsPerRun(100, func() { _, _ = DecodedLen(v, wide) }), 1.0, "%v", err)
	}
}
