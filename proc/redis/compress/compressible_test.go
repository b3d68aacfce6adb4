package compress

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// Every kind of value is told right, at several sizes.
func TestCompressible(t *testing.T) {
	rounds := 20
	if raceDetector {
		rounds = 3
	}
	for _, kind := range classes {
		for _, n := range []int{minSampled, 4 << 10, 16 << 10, 40_000} {
			right := 0
			for seed := range rounds {
				if Compressible(kind.make(n, uint64(seed))) == kind.compressible {
					right++
				}
			}
			assert.Equal(t, rounds, right, "%s of %d bytes", kind.name, n)
		}
	}
}

func TestCompressibleTriesShortValues(t *testing.T) {
	for _, n := range []int{0, 1, 100, minSampled - 1} {
		assert.True(t, Compressible(randomValue(n, 1)))
	}
}

func TestCompressibleKnowsFiles(t *testing.T) {
	text := string(textValue(minSampled, 1))
	for name, c := range map[string]struct {
		begin string
		want  bool
	}{
		"text":           {"", true},
		"gzip":           {"\x1f\x8b\x08\x00", false},
		"zstd":           {frameMagic, false},
		"xz":             {"\xfd7zXZ\x00", false},
		"bzip2":          {"BZh91AY&SY", false},
		"BZh in a text":  {"BZh92", true},
		"lz4":            {"\x04\x22\x4d\x18", false},
		"zip":            {"PK\x03\x04", false},
		"7z":             {"7z\xbc\xaf\x27\x1c", false},
		"png":            {"\x89PNG\r\n\x1a\n", false},
		"jpeg":           {"\xff\xd8\xff\xe0", false},
		"gif":            {"GIF89a", false},
		"webp":           {"RIFF\x01\x02\x03\x04WEBP", false},
		"wav":            {"RIFF\x01\x02\x03\x04WAVE", true},
		"mp4":            {"\x00\x00\x00\x20ftypisom", false},
		"snappy, framed": {identifierChunk, false},
	} {
		assert.Equal(t, c.want, Compressible([]byte(c.begin+text)), name)
	}
}
