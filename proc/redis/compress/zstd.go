package compress

import (
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// The parts of a Zstandard frame, RFC 8878 section 3.1.1:
//
//	magic (4 bytes) | descriptor (1) | window (0, 1) | dictionary id (0, 1, 2, 4) |
//	content size (0, 1, 2, 4, 8) | blocks, each with a header (3) | checksum (0, 4)
const (
	frameMagic = "\x28\xb5\x2f\xfd"

	// Bits of the descriptor. The two highest say how long the content size is.
	frameDictionary = 0x03
	frameChecksum   = 0x04
	frameReserved   = 0x08
	frameSingle     = 0x20 // the window is the content; there is no byte for it

	frameSumLen = 4

	blockHeaderLen = 3
	maxBlock       = 128 << 10 // bytes of a block, on either side

	blockRaw      = 0
	blockRLE      = 1 // one byte that stands for many
	blockReserved = 3
)

// zstdWindow is how far back an encoder looks, in bytes. Four times as much makes JSON of 4 MiB
// no smaller, and takes that much more memory for every encoder that sees a long value.
const zstdWindow = 1 << 20

// zstdBound is what the frame of n bytes takes while it is made. Every block may end up raw.
// A value of one block is compressed in place: the encoder notices only behind the end of a
// block that it has become no smaller, and wants some room ahead of itself.
func zstdBound(n int) int {
	const frame = len(frameMagic) + 1 + 8 + frameSumLen
	blocks := n/maxBlock + 1
	return frame + n + blocks*blockHeaderLen + min(n, maxBlock)/4 + 1024
}

// appendZstd appends the frame of v. dst has room for zstdBound.
func (c *Codec) appendZstd(dst []byte, level int, v []byte) []byte {
	class := zstd.EncoderLevelFromZstd(level)
	if c.encoder == nil || c.level != class {
		c.encoder, c.level = newEncoder(class), class
	}
	return c.encoder.EncodeAll(v, dst)
}

// newEncoder returns an encoder that starts no goroutine. Without the single segment the
// library leaves out a content size of less than 256 bytes. The window comes before the level
// on purpose: only so are blocks 128 KiB long at every level, and values of up to one block
// are compressed where they are, without a copy.
func newEncoder(level zstd.EncoderLevel) *zstd.Encoder {
	e, err := zstd.NewWriter(nil,
		zstd.WithWindowSize(zstdWindow),
		zstd.WithEncoderLevel(level),
		zstd.WithEncoderConcurrency(1),
		zstd.WithLowerEncoderMem(true),
		zstd.WithSingleSegment(true),
		zstd.WithEncoderCRC(true))
	if err != nil {
		panic("zstd encoder options: " + err.Error())
	}
	return e
}

func newDecoder() *zstd.Decoder {
	d, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true),
		zstd.WithDecodeAllCapLimit(true),
		zstd.WithDecoderMaxMemory(maxDecoded))
	if err != nil {
		panic("zstd decoder options: " + err.Error())
	}
	return d
}

// decodeZstd decodes stream into room, which it fills. The frame is looked over again, for the
// decoder would take more than one, and make room for blocks that hold too much.
func (c *Codec) decodeZstd(room, stream []byte) error {
	n, err := zstdLen(stream, len(room))
	if err != nil || n != len(room) {
		return corrupt("zstd: not a frame of %d bytes", len(room))
	}
	if c.decoder == nil {
		c.decoder = newDecoder()
	}
	out, err := c.decoder.DecodeAll(stream, room[:0])
	if err != nil {
		return fmt.Errorf("%w: zstd: %v", ErrCorrupt, err)
	}
	if len(out) != len(room) || len(out) > 0 && &out[0] != &room[0] {
		return corrupt("zstd: %d bytes instead of %d", len(out), len(room))
	}
	return nil
}

// zstdLen returns the content size that the frame declares, provided that the frame is the only
// one, ends where stream ends, and has blocks that can hold as much.
func zstdLen(stream []byte, most int) (int, error) {
	flags, content, rest, err := cutFrameHeader(stream)
	if err != nil {
		return 0, err
	}
	if content > uint64(most) {
		return 0, tooLarge(content, most)
	}
	least, room, rest, err := skipBlocks(rest)
	if err != nil {
		return 0, err
	}
	sum := 0
	if flags&frameChecksum != 0 {
		sum = frameSumLen
	}
	switch {
	case len(rest) < sum:
		return 0, corrupt("zstd: the frame ends in its checksum")
	case len(rest) > sum:
		return 0, corrupt("zstd: %d bytes behind the frame", len(rest)-sum)
	case content < least || content > room:
		return 0, corrupt("zstd: blocks of %d to %d bytes in a frame of %d", int(least), int(room), int(content))
	}
	return int(content), nil
}

// cutFrameHeader splits the header off the frame and reads the content size.
func cutFrameHeader(stream []byte) (flags byte, content uint64, rest []byte, err error) {
	if len(stream) <= len(frameMagic) || string(stream[:len(frameMagic)]) != frameMagic {
		return 0, 0, nil, corrupt("zstd: not a frame")
	}
	flags = stream[len(frameMagic)]
	rest = stream[len(frameMagic)+1:]
	size, window := 1<<(flags>>6), 1
	if flags&frameSingle != 0 {
		window = 0
	}
	switch {
	case flags&frameReserved != 0:
		return 0, 0, nil, corrupt("zstd: the reserved bit is set")
	case flags&frameDictionary != 0:
		return 0, 0, nil, corrupt("zstd: the frame names a dictionary")
	case size == 1 && window == 1: // then there is none
		return 0, 0, nil, corrupt("zstd: the frame does not declare its content size")
	case len(rest) < window+size:
		return 0, 0, nil, corrupt("zstd: the frame ends in its header")
	}
	return flags, contentSize(rest[window : window+size]), rest[window+size:], nil
}

// contentSize reads a field of 1, 2, 4 or 8 bytes. That of two begins where that of one ends.
func contentSize(field []byte) uint64 {
	switch len(field) {
	case 1:
		return uint64(field[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(field)) + 256
	case 4:
		return uint64(binary.LittleEndian.Uint32(field))
	}
	return binary.LittleEndian.Uint64(field)
}

// skipBlocks hops over the blocks to what is behind the last. They decode to at least least
// bytes, which is what blocks of the plain kinds say, and to at most room.
func skipBlocks(b []byte) (least, room uint64, rest []byte, err error) {
	idle := mostIdle(b)
	for last := false; !last; {
		if len(b) < blockHeaderLen {
			return 0, 0, nil, corrupt("zstd: the frame ends before its last block")
		}
		header := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
		last = header&1 != 0
		kind, size := header>>1&3, int(header>>3)
		if kind == blockReserved || size > maxBlock {
			return 0, 0, nil, corrupt("zstd: a block of type %d and %d bytes", int(kind), size)
		}
		stored, holds := size, size
		switch kind {
		case blockRaw:
			least += uint64(size)
		case blockRLE:
			least += uint64(size)
			stored = 1
		default:
			holds = maxBlock
		}
		if len(b)-blockHeaderLen < stored {
			return 0, 0, nil, corrupt("zstd: the frame ends in a block of %d bytes", stored)
		}
		if holds == 0 {
			if idle--; idle < 0 {
				return 0, 0, nil, corrupt("zstd: too many blocks without data")
			}
		}
		room += uint64(holds)
		b = b[blockHeaderLen+stored:]
	}
	return least, room, b, nil
}
