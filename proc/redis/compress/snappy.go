package compress

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"

	"github.com/klauspost/compress/s2"
)

// The framing format of Snappy: a stream is a row of chunks, and a chunk is
//
//	type (1 byte) | length of the body (3 bytes, little endian) | body
//
// with the body of data chunks being
//
//	masked CRC-32C of the decoded bytes (4 bytes, little endian) | data
const (
	chunkCompressed   = 0x00 // data is a Snappy block
	chunkUncompressed = 0x01 // data is as it is
	chunkSkippable    = 0x80 // this and all above are skipped, but for the identifier
	chunkIdentifier   = 0xff // body is identifierBody

	chunkHeaderLen = 4
	chunkSumLen    = 4
	maxChunkData   = 65536 // decoded bytes of a data chunk

	identifierBody  = "sNaPpY"
	identifierChunk = "\xff\x06\x00\x00" + identifierBody
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// chunkSum is the checksum of section 3 of the format: masked, because a CRC of data that
// holds CRCs is a bad one.
func chunkSum(data []byte) uint32 {
	return bits.RotateLeft32(crc32.Checksum(data, castagnoli), 17) + 0xa282ead8
}

// snappyBound is what the stream of n bytes takes while it is made: every chunk uncompressed,
// and what the block encoder wants to have beyond the length of its block.
func snappyBound(n int) int {
	chunks := (n + maxChunkData - 1) / maxChunkData
	overhead := chunkHeaderLen + chunkSumLen
	return len(identifierChunk) + n + chunks*overhead + s2.MaxEncodedLen(maxChunkData) - maxChunkData
}

// appendSnappy appends the stream of v. dst has room for snappyBound.
func appendSnappy(dst, v []byte) []byte {
	dst = append(dst, identifierChunk...)
	for len(v) > 0 {
		data := v[:min(len(v), maxChunkData)]
		dst = appendChunk(dst, data)
		v = v[len(data):]
	}
	return dst
}

// appendPlain appends the stream of v with all chunks uncompressed. dst has room for snappyBound.
func appendPlain(dst, v []byte) []byte {
	dst = append(dst, identifierChunk...)
	for len(v) > 0 {
		data := v[:min(len(v), maxChunkData)]
		dst = append(appendChunkHeader(dst, chunkUncompressed, len(data), data), data...)
		v = v[len(data):]
	}
	return dst
}

// appendChunkHeader appends what stands in front of the n bytes of data of a chunk that decodes to data.
func appendChunkHeader(dst []byte, kind byte, n int, data []byte) []byte {
	n += chunkSumLen
	dst = append(dst, kind, byte(n), byte(n>>8), byte(n>>16))
	return binary.LittleEndian.AppendUint32(dst, chunkSum(data))
}

// appendChunk appends one data chunk. It compresses into the place where the block will be and
// copies data over it if that saved less than an eighth. Of the block encoders of the library
// this one takes less than half the time of the next better one, which makes a tenth less of
// JSON; both write what every decoder reads.
func appendChunk(dst, data []byte) []byte {
	kind, at := byte(chunkCompressed), len(dst)+chunkHeaderLen+chunkSumLen
	body := s2.EncodeSnappy(dst[at:cap(dst)], data)
	if len(body) >= len(data)-len(data)/8 {
		kind, body = chunkUncompressed, data
	}
	dst = appendChunkHeader(dst, kind, len(body), data)
	if kind == chunkUncompressed {
		return append(dst, body...)
	}
	return dst[:at+len(body)] // the block is there already
}

// snappyLen adds up what the data chunks of stream say they decode to.
func snappyLen(stream []byte, most int) (int, error) {
	total, idle := 0, mostIdle(stream)
	for first := true; first || len(stream) > 0; first = false {
		kind, body, rest, err := cutChunk(stream, first)
		if err != nil {
			return 0, err
		}
		n, err := chunkLen(kind, body)
		if err != nil {
			return 0, err
		}
		if total += n; total > most {
			return 0, tooLarge(uint64(total), most)
		}
		if n == 0 {
			if idle--; idle < 0 {
				return 0, corrupt("snappy: too many chunks without data")
			}
		}
		stream = rest
	}
	return total, nil
}

// cutChunk splits the first chunk off the stream, whose beginning has to be an identifier.
func cutChunk(stream []byte, first bool) (kind byte, body, rest []byte, err error) {
	if len(stream) < chunkHeaderLen {
		return 0, nil, nil, corrupt("snappy: a chunk ends in its header")
	}
	header := binary.LittleEndian.Uint32(stream)
	kind, n := byte(header), int(header>>8)
	body = stream[chunkHeaderLen:]
	switch {
	case first && kind != chunkIdentifier:
		return 0, nil, nil, corrupt("snappy: the stream begins with a chunk of type %#02x", int(kind))
	case n > len(body):
		return 0, nil, nil, corrupt("snappy: a chunk of %d bytes has %d", n, len(body))
	}
	return kind, body[:n], body[n:], nil
}

// chunkLen returns how many bytes a chunk decodes to, and checks that it is one that may be.
func chunkLen(kind byte, body []byte) (int, error) {
	switch {
	case kind == chunkIdentifier:
		if string(body) != identifierBody {
			return 0, corrupt("snappy: a stream identifier of other bytes")
		}
		return 0, nil
	case kind >= chunkSkippable:
		return 0, nil
	case kind > chunkUncompressed:
		return 0, corrupt("snappy: a chunk of the reserved type %#02x", int(kind))
	case len(body) < chunkSumLen:
		return 0, corrupt("snappy: a chunk of %d bytes has no checksum", len(body))
	}
	n, err := len(body)-chunkSumLen, error(nil)
	if kind == chunkCompressed {
		if n, err = s2.DecodedLen(body[chunkSumLen:]); err != nil {
			return 0, corrupt("snappy: a block without its length")
		}
	}
	if n > maxChunkData {
		return 0, corrupt("snappy: a chunk of %d decoded bytes", n)
	}
	return n, nil
}

// decodeSnappy decodes stream into room, which it fills.
func decodeSnappy(room, stream []byte) error {
	for first := true; first || len(stream) > 0; first = false {
		kind, body, rest, err := cutChunk(stream, first)
		if err != nil {
			return err
		}
		n, err := chunkLen(kind, body)
		if err != nil {
			return err
		}
		if n > len(room) {
			return corrupt("snappy: more bytes than expected")
		}
		if kind < chunkSkippable {
			err = decodeChunk(room[:n:n], kind, body)
		}
		if err != nil {
			return err
		}
		room, stream = room[n:], rest
	}
	if len(room) > 0 {
		return corrupt("snappy: %d bytes less than expected", len(room))
	}
	return nil
}

// decodeChunk decodes a data chunk, of which chunkLen said that it has len(room) bytes.
func decodeChunk(room []byte, kind byte, body []byte) error {
	sum, data := binary.LittleEndian.Uint32(body), body[chunkSumLen:]
	if kind == chunkUncompressed {
		copy(room, data)
	} else if _, err := s2.Decode(room, data); err != nil {
		return corrupt("snappy: a block that cannot be decoded")
	}
	if got := chunkSum(room); got != sum {
		return corrupt("snappy: checksum %08x of a chunk, its bytes have %08x", int(sum), int(got))
	}
	return nil
}
