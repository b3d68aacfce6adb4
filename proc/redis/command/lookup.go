package command

import (
	"encoding/binary"

	"samaritan/proc/redis/resp"
)

const (
	shortName = 8  // bytes of a name that is one word; most names are
	longName  = 24 // bytes of a name that is three words: none is longer
	slotBits  = 10
	slotCount = 1 << slotBits      // about a fourth is taken, so most names sit in their first slot
	caseBits  = 0x2020202020202020 // the bit that tells a lower case ASCII letter from its upper case
	mixer     = 0x9e3779b97f4a7c15 // 2^64 divided by the golden ratio (Knuth, TAOCP 3, 6.4)
)

// hashTable is two tables with open addressing and linear probing: for names of one word, which
// have to be fast, and for longer ones.
type hashTable struct {
	short [slotCount]shortSlot
	long  [slotCount]longSlot
}

// A slot's fold has the bit of caseBits for each letter of the name, and only for those: or'ed to
// what a client sent it folds the case of letters, and does not take '@' for '`'.
type shortSlot struct {
	name, fold uint64
	length     int
	info       *Info // nil: the slot is free
}

type longSlot struct {
	name, fold [3]uint64
	length     int
	info       *Info
}

// Lookup returns the command of that name, or nil. The case of ASCII letters does not matter.
// A subcommand's full name ("config|get") is not found here; see Sub.
func Lookup(name []byte) *Info {
	if n := len(name); n > shortName || n == 0 {
		return std.hash.lookupLong(name)
	}
	w := shortWord(name)
	for h := shortHash(w, len(name)); ; h++ {
		s := &std.hash.short[h%slotCount]
		if s.name == w|s.fold && s.length == len(name) {
			return s.info
		}
		if s.info == nil {
			return nil
		}
	}
}

// Resolve returns the command or subcommand that a request names, as Redis does: a container with
// at least one argument is resolved to its subcommand. It returns nil when there is no such command
// or subcommand; AppendUnknown has the error for that. args must not be empty.
func Resolve(frame []byte, args []resp.Arg) *Info {
	i := Lookup(argument(frame, args[0]))
	if i == nil || len(args) == 1 || len(i.Subcommands) == 0 {
		return i
	}
	return i.Sub(argument(frame, args[1]))
}

// Sub returns the subcommand of that name (without the container's), or nil. The case of ASCII
// letters does not matter.
func (i *Info) Sub(name []byte) *Info {
	for _, s := range i.Subcommands {
		if equalFold(name, s.Name[len(i.Name)+1:]) {
			return s
		}
	}
	return nil
}

func (t *hashTable) lookupLong(name []byte) *Info {
	if n := len(name); n <= shortName || n > longName {
		return nil
	}
	a, b, c := longWords(name)
	for h := longHash(a, b, len(name)); ; h++ {
		s := &t.long[h%slotCount]
		if s.info == nil {
			return nil
		}
		if s.length == len(name) && a|s.fold[0] == s.name[0] && b|s.fold[1] == s.name[1] && c|s.fold[2] == s.name[2] {
			return s.info
		}
	}
}

// fill adds commands; who comes first gets the better slot. It panics on a name that does not fit.
func (t *hashTable) fill(infos []*Info) {
	for _, i := range infos {
		name, fold := []byte(i.Name), letterBits(i.Name)
		switch n := len(name); {
		case n == 0 || n > longName:
			panic("command: bad length of name: " + i.Name)
		case n <= shortName:
			w := shortWord(name)
			h := shortHash(w, n)
			for t.short[h%slotCount].info != nil {
				h++
			}
			t.short[h%slotCount] = shortSlot{name: w, fold: shortWord(fold), length: n, info: i}
		default:
			s := longSlot{length: n, info: i}
			s.name[0], s.name[1], s.name[2] = longWords(name)
			s.fold[0], s.fold[1], s.fold[2] = longWords(fold)
			h := longHash(s.name[0], s.name[1], n)
			for t.long[h%slotCount].info != nil {
				h++
			}
			t.long[h%slotCount] = s
		}
	}
}

// letterBits returns as many bytes as the name has, with the case bit where it has a letter.
func letterBits(name string) []byte {
	b := make([]byte, len(name))
	for i := range b {
		if name[i] >= 'a' && name[i] <= 'z' {
			b[i] = 0x20
		}
	}
	return b
}

// shortWord packs one to eight bytes into a word without reading past their end. From four bytes on
// the halves overlap; two bytes are b[0] b[1] b[1]. So the length is needed to tell names apart.
func shortWord(b []byte) uint64 {
	if n := len(b); n >= 4 {
		return uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint32(b[n-4:]))<<32
	}
	return uint64(b[0]) | uint64(b[len(b)>>1])<<8 | uint64(b[len(b)-1])<<16
}

// longWords packs 9 to 24 bytes: the first eight, the last eight, and what they may leave in the middle.
func longWords(b []byte) (first, last, middle uint64) {
	n := len(b)
	if n > 16 {
		middle = binary.LittleEndian.Uint64(b[8:])
	}
	return binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[n-8:]), middle
}

// The hashes fold roughly; the comparison behind them is exact.

func shortHash(w uint64, n int) uint64 {
	return ((w | caseBits) + uint64(n)) * mixer >> (64 - slotBits)
}

func longHash(first, last uint64, n int) uint64 {
	h := (first|caseBits)*mixer ^ (last | caseBits)
	return (h + uint64(n)) * mixer >> (64 - slotBits)
}

// equalFold compares without regard to the case of ASCII letters, and of these only.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if fold(c) != fold(s[i]) {
			return false
		}
	}
	return true
}

func fold(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c |= 0x20
	}
	return c
}

func argument(frame []byte, a resp.Arg) []byte { return frame[a.Off : a.Off+a.Len] }
