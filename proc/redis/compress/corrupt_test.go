package compress

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	headSnappy = "(P$\x00\r\n"
	headZstd   = "(P$\x01\r\n"
)

// chunk makes a chunk of a stream.
func chunk(kind byte, body string) string {
	return string([]byte{kind, byte(len(body)), byte(len(body) >> 8), byte(len(body) >> 16)}) + body
}

// sum is the checksum of a data chunk that decodes to data.
func sum(data string) string {
	return string(binary.LittleEndian.AppendUint32(nil, chunkSum([]byte(data))))
}

func block(data string) string { return string(s2.EncodeSnappy(nil, []byte(data))) }

// frame makes the frame of one last raw block.
func frame(flags byte, fields, data string) string {
	n := len(data)<<3 | 1
	return frameMagic + string([]byte{flags}) + fields + string([]byte{byte(n), byte(n >> 8), byte(n >> 16)}) + data
}

func TestSnappyStreams(t *testing.T) {
	big := string(bytes.Repeat([]byte("0123456789abcdef"), maxChunkData/16))
	data := chunk(chunkUncompressed, sum("abc")+"abc")
	for _, c := range []struct{ name, stream, want, fault string }{
		{"identifier only", identifierChunk, "", ""},
		{"uncompressed", identifierChunk + data, "abc", ""},
		{"compressed", identifierChunk + chunk(chunkCompressed, sum("abc")+block("abc")), "abc", ""},
		{"two", identifierChunk + data + data, "abcabc", ""},
		{"no bytes", identifierChunk + chunk(chunkUncompressed, sum("")) + chunk(chunkCompressed, sum("")+"\x00"), "", ""},
		{"identifier repeated", identifierChunk + data + identifierChunk + data, "abcabc", ""},
		{"padding", identifierChunk + chunk(0xfe, "") + data + chunk(0xfe, "\x00\x00"), "abc", ""},
		{"skippable", identifierChunk + chunk(0x80, "xyz") + data + chunk(0xfd, string(make([]byte, 100_000))), "abc", ""},
		{"full chunk", identifierChunk + chunk(chunkUncompressed, sum(big)+big), big, ""},
		{"full block", identifierChunk + chunk(chunkCompressed, sum(big)+block(big)), big, ""},

		{"no identifier", data, "", "begins with a chunk of type 0x01"},
		{"padding first", chunk(0xfe, "") + identifierChunk, "", "begins with a chunk of type 0xfe"},
		{"other identifier", chunk(0xff, "sNaPpy"), "", "identifier"},
		{"S2 identifier", chunk(0xff, "S2sTwO"), "", "identifier"},
		{"longer identifier", chunk(0xff, identifierBody+"\x00"), "", "identifier"},
		{"other identifier later", identifierChunk + data + chunk(0xff, ""), "", "identifier"},
		{"reserved 0x02", identifierChunk + chunk(0x02, "xyz"), "", "reserved type 0x02"},
		{"reserved 0x7f", identifierChunk + chunk(0x7f, ""), "", "reserved type 0x7f"},
		{"nothing", "", "", "ends in its header"}, // nobody writes it: it is a value that happens to be the header
		{"half a header", identifierChunk + "\x01\x07\x00", "", "ends in its header"},
		{"half a chunk", identifierChunk + data[:len(data)-1], "", "a chunk of 7 bytes has 6"},
		{"half a padding", identifierChunk + "\xfe\x02\x00\x00\x00", "", "a chunk of 2 bytes has 1"},
		{"no checksum", identifierChunk + chunk(chunkUncompressed, "abc"), "", "has no checksum"},
		{"no block", identifierChunk + chunk(chunkCompressed, sum("abc")), "", "without its length"},
		{"endless length", identifierChunk + chunk(chunkCompressed, sum("abc")+"\xff\xff\xff\xff\xff\xff"), "", "without its length"},
		{"too long", identifierChunk + chunk(chunkUncompressed, sum(big+"x")+big+"x"), "", "65537 decoded bytes"},
		{"too long a block", identifierChunk + chunk(chunkCompressed, sum(big+"x")+block(big+"x")), "", "65537 decoded bytes"},
		{"checksum", identifierChunk + chunk(chunkUncompressed, sum("abd")+"abc"), "", "checksum"},
		{"checksum of a block", identifierChunk + chunk(chunkCompressed, sum("abd")+block("abc")), "", "checksum"},
		{"block says more", identifierChunk + chunk(chunkCompressed, sum("abc")+"\x04\x08abc"), "", "cannot be decoded"},
		{"block says less", identifierChunk + chunk(chunkCompressed, sum("abc")+"\x02\x08abc"), "", "cannot be decoded"},
		{"block copies from before", identifierChunk + chunk(chunkCompressed, sum("abc")+"\x08\x00a\x01\x05"), "", "cannot be decoded"},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, headSnappy+c.stream, c.want, c.fault) })
	}
}

func TestZstdFrames(t *testing.T) {
	ok := frame(frameSingle, "\x03", "abc")
	skippable := "\x50\x2a\x4d\x18\x02\x00\x00\x00xx"
	for _, c := range []struct{ name, stream, want, fault string }{
		{"single segment", ok, "abc", ""},
		{"empty", frame(frameSingle, "\x00", ""), "", ""},
		{"window and 4 bytes of size", frame(0x80, "\x00\x03\x00\x00\x00", "abc"), "abc", ""},
		{"8 bytes of size", frame(0xc0|frameSingle, "\x03\x00\x00\x00\x00\x00\x00\x00", "abc"), "abc", ""},
		{"two blocks", frameMagic + "\x20\x04" + "\x10\x00\x00ab" + "\x13\x00\x00c", "abcc", ""},

		{"nothing", "", "", "not a frame"},
		{"magic only", frameMagic, "", "not a frame"},
		{"other magic", "\x27" + ok[1:], "", "not a frame"},
		{"skippable frame", skippable, "", "not a frame"},
		{"skippable frame first", skippable + ok, "", "not a frame"},
		{"skippable frame behind", ok + skippable, "", "10 bytes behind"},
		{"two frames", ok + ok, "", "12 bytes behind"},
		{"a byte behind", ok + "x", "", "1 bytes behind"},
		{"reserved bit", frame(frameSingle|frameReserved, "\x03", "abc"), "", "reserved"},
		{"dictionary", frame(frameSingle|1, "\x01\x03", "abc"), "", "dictionary"},
		{"long dictionary id", frame(frameSingle|3, "\x01\x01\x01\x01\x03", "abc"), "", "dictionary"},
		{"no content size", frame(0, "\x00", "abc"), "", "does not declare"},
		{"half a header", frameMagic + "\xc0\x00\x00\x00", "", "ends in its header"},
		{"no block", frameMagic + "\x20\x00", "", "before its last block"},
		{"no last block", frameMagic + "\x20\x03\x18\x00\x00abc", "", "before its last block"},
		{"half a block", ok[:len(ok)-1], "", "ends in a block"},
		{"reserved block", frameMagic + "\x20\x03\x1f\x00\x00abc", "", "a block of type 3"},
		{"huge block", frameMagic + "\xa0\xff\xff\x0f\x00" + "\xfb\xff\xffx", "", "a block of type 1 and 2097151"},
		{"no checksum", frame(frameSingle|frameChecksum, "\x03", "abc"), "", "ends in its checksum"},
		{"checksum", frame(frameSingle|frameChecksum, "\x03", "abc") + "abcd", "", "zstd"},
		{"says less", frame(frameSingle, "\x02", "abc"), "", "blocks of 3 to 3 bytes in a frame of 2"},
		{"says more", frame(frameSingle, "\x04", "abc"), "", "blocks of 3 to 3 bytes in a frame of 4"},
		{"says much more", frame(0xa0, "\x00\x00\x00\x10", "abc"), "", "in a frame of 268435456"},
		{"says more than there is", frame(0xe0, "\xff\xff\xff\xff\xff\xff\xff\xff", "abc"), "", "too many bytes"},
		{"block of nothing", frameMagic + "\x20\x03\x05\x00\x00", "", "zstd"},
		{"block that is none", frameMagic + "\x20\x03\x25\x00\x00abcd", "", "zstd"},
	} {
		t.Run(c.name, func(t *testing.T) { expect(t, headZstd+c.stream, c.want, c.fault) })
	}
}

// expect decodes stored to want, or finds the fault on the way.
func expect(t *testing.T, stored, want, fault string) {
	t.Helper()
	var c Codec
	n, err := DecodedLen([]byte(stored), wide)
	var got []byte
	if err == nil {
		got, err = c.AppendDecoded(nil, []byte(stored), n)
	}
	if fault != "" {
		require.ErrorContains(t, err, fault)
		return
	}
	require.NoError(t, err)
	assert.Equal(t, want, string(got))
}

// Cut anywhere, or with any bit flipped, a stored value is refused or decodes as it was. The
// framing format of Snappy leaves two holes: a stream may be cut between chunks, and one bit
// makes a data chunk one that is skipped.
func TestDamageIsNoticed(t *testing.T) {
	var c Codec
	plain := jsonValue(300, 1)
	for a := range Algorithm(Algorithms) {
		stored := c.Append(nil, a, 0, plain)
		firstChunk := HeaderLen + len(identifierChunk)
		for i := range len(stored) {
			if a == Snappy && (i == HeaderLen || i == firstChunk) {
				continue
			}
			refuseOr(t, &c, stored[:i], nil)
		}
		for i := HeaderLen; i < len(stored); i++ {
			for bit := range 8 {
				if a == Snappy && i == firstChunk && bit == 7 {
					continue
				}
				broken := bytes.Clone(stored)
				broken[i] ^= 1 << bit
				refuseOr(t, &c, broken, plain)
			}
		}
	}
}

func refuseOr(t *testing.T, c *Codec, stored, plain []byte) {
	t.Helper()
	n, err := DecodedLen(stored, Limits{Size: 1 << 20, Ratio: 1 << 20})
	if err != nil {
		return
	}
	got, err := c.AppendDecoded(nil, stored, n)
	if err == nil && (plain == nil || !bytes.Equal(plain, got)) {
		t.Fatalf("%q decodes to %q", stored, got)
	}
}
