package cluster

import (
	"bytes"
	"encoding/binary"
)

// Slots is the number of hash slots of every Redis Cluster.
const Slots = 16384

// Slot returns the hash slot of key, in 0..Slots-1: CRC16-XMODEM (polynomial 0x1021, start value 0)
// of the key, or of its hash tag, modulo Slots. The hash tag is what stands between the first '{'
// and the next '}', when that is not empty (Redis Cluster specification, "Hash tags").
//
// The checksum takes eight bytes a step and looks for '{' in the same words. As the start value is
// 0, leading zero bytes change nothing: the first word is padded in front to make the rest a
// multiple of eight, so there is no tail to walk byte by byte. The step is written out here because
// the compiler does not inline it.
func Slot(key []byte) uint16 {
	var x uint64
	var rest []byte
	if len(key) < 8 {
		x = short(key)
	} else {
		n := (len(key)-1)&7 + 1
		x = leading(key, n)
		rest = key[n:]
	}
	t := &crcTable
	var crc uint16
	for {
		if hasBrace(x) {
			return crc16(hashTag(key)) % Slots
		}
		ahead := t[5][byte(x>>40)] ^ t[4][byte(x>>32)] ^ t[3][byte(x>>24)] ^
			t[2][byte(x>>16)] ^ t[1][byte(x>>8)] ^ t[0][byte(x)]
		crc = ahead ^ t[7][byte(x>>56)^byte(crc>>8)] ^ t[6][byte(x>>48)^byte(crc)]
		if len(rest) < 8 {
			return crc % Slots
		}
		x = binary.BigEndian.Uint64(rest)
		rest = rest[8:]
	}
}

// hashTag returns the part of key that is hashed.
func hashTag(key []byte) []byte {
	open := bytes.IndexByte(key, '{')
	if open < 0 {
		return key
	}
	tag := key[open+1:]
	end := bytes.IndexByte(tag, '}')
	if end <= 0 {
		return key
	}
	return tag[:end]
}

// crc16 returns the CRC16-XMODEM of p.
func crc16(p []byte) uint16 {
	if len(p) < 8 {
		return step(0, short(p))
	}
	n := (len(p)-1)&7 + 1
	crc := step(0, leading(p, n))
	p = p[n:]
	for len(p) >= 8 {
		crc = step(crc, binary.BigEndian.Uint64(p))
		p = p[8:]
	}
	return crc
}

// crcTable[k][b] is the checksum of byte b followed by k zero bytes. With it the bytes of a word are
// looked up independently of each other (Kounavis and Berry, "A Systematic Approach to Building High
// Performance Software-based CRC Generators", 2005).
var crcTable = makeCRCTable()

func makeCRCTable() (t [8][256]uint16) {
	for b := range 256 {
		crc := uint16(b) << 8
		for range 8 {
			carry := crc&0x8000 != 0
			crc <<= 1
			if carry {
				crc ^= 0x1021
			}
		}
		t[0][b] = crc
	}
	for k := 1; k < len(t); k++ {
		for b := range 256 {
			prev := t[k-1][b]
			t[k][b] = prev<<8 ^ t[0][prev>>8]
		}
	}
	return t
}

// step carries crc over the eight bytes of x, the first one in its high bits. Only two of the eight
// look-ups wait for crc, the others may run ahead.
func step(crc uint16, x uint64) uint16 {
	t := &crcTable
	ahead := t[5][byte(x>>40)] ^ t[4][byte(x>>32)] ^ t[3][byte(x>>24)] ^
		t[2][byte(x>>16)] ^ t[1][byte(x>>8)] ^ t[0][byte(x)]
	return ahead ^ t[7][byte(x>>56)^byte(crc>>8)] ^ t[6][byte(x>>48)^byte(crc)]
}

// leading returns the first n bytes of p as a number. p has at least 8 bytes, n is in 1..8.
func leading(p []byte, n int) uint64 {
	return binary.BigEndian.Uint64(p) >> ((64 - 8*uint(n)) & 63)
}

// short returns all bytes of p, fewer than 8, as a number. Its reads overlap, so that it needs no
// loop: the same byte lands in the same place.
func short(p []byte) uint64 {
	n := uint(len(p))
	switch {
	case n >= 4:
		return uint64(binary.BigEndian.Uint32(p))<<(8*(n-4)&63) | uint64(binary.BigEndian.Uint32(p[n-4:]))
	case n > 0:
		mid := n / 2
		return uint64(p[0])<<(8*(n-1)&63) | uint64(p[mid])<<(8*(n-1-mid)&63) | uint64(p[n-1])
	default:
		return 0
	}
}

// hasBrace reports whether one of the eight bytes of x is '{'.
func hasBrace(x uint64) bool {
	const ones = 0x0101010101010101
	y := x ^ '{'*ones
	return (y-ones)&^y&(0x80*ones) != 0
}
