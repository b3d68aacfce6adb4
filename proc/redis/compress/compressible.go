package compress

import "strings"

// How much of a value [Compressible] looks at.
const (
	minSampled = 2048 // bytes; shorter values are not looked at
	samples    = 4    // pieces, spread evenly from the first byte to the last
	sampleLen  = 128  // bytes of a piece
)

// maxFlat is the sum of squared byte counts up to which samples count as random. For n = 512
// bytes drawn evenly it is n + n*(n-1)/256 = 1534, with a deviation of 45; what compressors
// write stays below 1900. Base64 and vectors of floats, which Huffman codes shorten still,
// have about 4500, and text has 10000 and more.
const maxFlat = 2300

// Compressible guesses from samples whether v is worth compressing. It takes less than a
// microsecond, however long v is. It is false for what is compressed or encrypted already: for
// a known file header, and for bytes that are spread evenly.
//
// It is true for Base64, which only Zstd from level 6 on makes smaller, and for values below
// 2 KiB, where trying costs little more than guessing. It errs when random bytes repeat as a whole, and
// where the samples happen to miss what differs from the rest.
func Compressible(v []byte) bool {
	if len(v) < minSampled {
		return true
	}
	return !compressedFile(v) && !flat(v)
}

// flat tells whether the bytes of the samples are spread as evenly as random ones. When a count
// goes from c to c+1, its square grows by 2c+1.
func flat(v []byte) bool {
	var counts [256]uint16
	squares := 0
	step := (len(v) - sampleLen) / (samples - 1)
	for i := range samples {
		for _, c := range v[i*step:][:sampleLen] {
			squares += int(2*counts[c] + 1)
			counts[c]++
		}
	}
	return squares <= maxFlat
}

// fileHeaders are what files of compressed formats begin with, by their first byte.
var fileHeaders = [...]struct {
	header string
	more   string // at moreAt
	moreAt int
}{
	{header: "\x1f\x8b\x08"},                          // gzip, RFC 1952
	{header: "\x28\xb5\x2f\xfd"},                      // Zstandard, RFC 8878
	{header: "\xfd7zXZ\x00"},                          // xz
	{header: "BZh", more: "1AY&SY", moreAt: 4},        // bzip2, behind its level
	{header: "\x04\x22\x4d\x18"},                      // LZ4 frame
	{header: "PK\x03\x04"},                            // zip, and with it docx, jar, apk
	{header: "7z\xbc\xaf\x27\x1c"},                    // 7-Zip
	{header: "\x89PNG\r\n\x1a\n"},                     // PNG
	{header: "\xff\xd8\xff"},                          // JPEG
	{header: "GIF8"},                                  // GIF
	{header: "RIFF", more: "WEBP", moreAt: 8},         // WebP
	{header: "\x00\x00\x00", more: "ftyp", moreAt: 4}, // MP4, AVIF, HEIC
	{header: "\x1a\x45\xdf\xa3"},                      // Matroska, WebM
	{header: "OggS"},                                  // Ogg
	{header: "wOF2"},                                  // WOFF2
	{header: identifierChunk},                         // Snappy, framed
}

// compressedFile tells whether v begins like a file of a compressed format.
func compressedFile(v []byte) bool {
	head := string(v[:16]) // does not leave the stack
	for i := range fileHeaders {
		f := &fileHeaders[i]
		if strings.HasPrefix(head, f.header) && strings.HasPrefix(head[f.moreAt:], f.more) {
			return true
		}
	}
	return false
}
