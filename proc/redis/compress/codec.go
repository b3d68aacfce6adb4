package compress

import (
	"slices"

	"github.com/klauspost/compress/zstd"
)

// Codec compresses and decompresses with scratch memory of its own. The zero value is ready.
// It belongs to one goroutine at a time.
//
// Snappy takes no memory here. The coders for Zstd are made when they are first needed and
// stay; how large an encoder is depends on the level (see [Codec.Append]), a decoder takes
// about 200 KiB once it has seen a long value.
type Codec struct {
	encoder *zstd.Encoder
	level   zstd.EncoderLevel // of encoder
	decoder *zstd.Decoder
}

// Append appends the stored form of v to dst and returns it, also when it is larger than v: the
// caller compares. It does not allocate when dst has room for [Bound]. dst and v may not overlap.
//
// level is for Zstd only: 1 to 22 as the zstd command counts, 0 stands for 1. There are four
// classes of levels, and an encoder is made for one; the next value at a level of another class
// replaces it. For values of up to 128 KiB an encoder takes about 0.5 MiB at levels up to 2,
// 1.5 MiB up to 5, 5.5 MiB up to 9 and 36 MiB from 10 on; longer values add up to 1.4 MiB.
func (c *Codec) Append(dst []byte, a Algorithm, level int, v []byte) []byte {
	dst = slices.Grow(dst, Bound(a, len(v)))
	dst = appendHeader(dst, a)
	if a == Zstd {
		return c.appendZstd(dst, level, v)
	}
	return appendSnappy(dst, v)
}

// AppendPlain appends a stored form of v that is not smaller, for values that must not be stored as
// they are and for which the one of Append is no choice: a stream of Snappy with nothing compressed. dst
// should have room for Bound of Snappy.
func AppendPlain(dst, v []byte) []byte {
	return appendPlain(appendHeader(slices.Grow(dst, Bound(Snappy, len(v))), Snappy), v)
}

// AppendDecoded appends what the stored value v decodes to. n is what [DecodedLen] said of v;
// dst should have room for as many bytes, and no byte behind those is ever written. dst and v
// may not overlap.
//
// If v does not decode to n bytes, the error wraps [ErrCorrupt], and dst comes back as it was;
// the n bytes behind its length may have been written to.
func (c *Codec) AppendDecoded(dst, v []byte, n int) ([]byte, error) {
	a, ok := Detect(v)
	if !ok || n < 0 {
		return dst, corrupt("no header of a known algorithm, or %d bytes to expect", n)
	}
	grown := slices.Grow(dst, n)
	room := grown[len(dst) : len(dst)+n : len(dst)+n]
	var err error
	if a == Zstd {
		err = c.decodeZstd(room, v[HeaderLen:])
	} else {
		err = decodeSnappy(room, v[HeaderLen:])
	}
	if err != nil {
		return dst, err
	}
	return grown[:len(dst)+n], nil
}
