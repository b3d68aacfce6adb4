package testvalues

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
)

// Wire types of Protocol Buffers: https://protobuf.dev/programming-guides/encoding/
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
)

// Protobuf makes a serialized message of Protocol Buffers: a repeated field of records with varints, small strings,
// doubles and messages inside. It is well formed at every size but 1: what is left behind the last record
// is a string.
func Protobuf(r *rand.Rand, size int) []byte {
	s, dst := newSpeaker(r), make([]byte, 0, size+1024)
	var record []byte
	for {
		record = appendRecord(record[:0], r)
		next := appendField(dst, 1, record)
		if len(next) > size-2 {
			break
		}
		dst = next
	}
	return s.appendRest(dst, size)
}

// appendRest fills up to size with one string field. Its length may take more bytes than it has to, which the
// format allows.
func (s *speaker) appendRest(dst []byte, size int) []byte {
	rest := size - len(dst)
	if rest < 2 {
		return append(dst, make([]byte, rest)...)
	}
	width, reach := 1, 1<<7 // bytes of the length, and what they can say
	for rest-1-width >= reach {
		width, reach = width+1, reach<<7
	}
	n := rest - 1 - width
	dst = append(dst, 15<<3|wireBytes)
	for i := range width {
		b := byte(n>>(7*i)) & 0x7f
		if i < width-1 {
			b |= 0x80
		}
		dst = append(dst, b)
	}
	return s.appendWords(dst, n)
}

func appendRecord(dst []byte, r *rand.Rand) []byte {
	dst = appendVarint(dst, 1, 1_000_000_000+r.Uint64N(10_000_000))
	dst = appendField(dst, 2, []byte(pick(r, adjectives)+" "+pick(r, nouns)))
	dst = appendVarint(dst, 3, uint64(moment(r).UnixMilli()))
	dst = appendDouble(dst, 4, math.Round(r.ExpFloat64()*4000)/100)
	dst = appendVarint(dst, 5, r.Uint64N(8))
	dst = appendField(dst, 6, []byte(pick(r, statuses)))
	var inner [96]byte
	owner := appendVarint(inner[:0], 1, r.Uint64N(10_000_000))
	owner = appendField(owner, 2, []byte(pick(r, firstNames)+" "+pick(r, lastNames)))
	owner = appendField(owner, 3, []byte(pick(r, countries)))
	owner = appendVarint(owner, 4, r.Uint64N(2))
	dst = appendField(dst, 7, owner)
	for range r.IntN(3) {
		dst = appendField(dst, 8, []byte(pick(r, tags)))
	}
	if chance(r, 0.3) {
		dst = appendField(dst, 9, appendRandom(inner[:0], r, 16))
	}
	return appendVarint(dst, 10, 1)
}

func appendVarint(dst []byte, field int, v uint64) []byte {
	return binary.AppendUvarint(append(dst, byte(field<<3|wireVarint)), v)
}

func appendDouble(dst []byte, field int, v float64) []byte {
	return binary.LittleEndian.AppendUint64(append(dst, byte(field<<3|wireFixed64)), math.Float64bits(v))
}

func appendField(dst []byte, field int, v []byte) []byte {
	dst = binary.AppendUvarint(append(dst, byte(field<<3|wireBytes)), uint64(len(v)))
	return append(dst, v...)
}
