package cluster

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// slotByTheBook is CRC16-XMODEM bit by bit and the hash tag rule as the specification words it.
func slotByTheBook(key []byte) uint16 {
	for s := range key {
		if key[s] != '{' {
			continue
		}
		e := s + 1
		for e < len(key) && key[e] != '}' {
			e++
		}
		if e < len(key) && e > s+1 {
			key = key[s+1 : e]
		}
		break
	}
	var crc uint16
	for _, c := range key {
		crc ^= uint16(c) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return crc % Slots
}

func TestSlotOfKnownKeys(t *testing.T) {
	for key, want := range map[string]uint16{
		"":                 0,
		"123456789":        0x31c3, // the check value of CRC16-XMODEM
		"foo":              12182,
		"bar":              5061,
		"hello":            866,
		"{user1000}.x":     slotByTheBook([]byte("user1000")),
		"foo{}{bar}":       slotByTheBook([]byte("foo{}{bar}")),
		"foo{{bar}}zap":    slotByTheBook([]byte("{bar")),
		"foo{bar}{zap}":    5061,
		"{foo":             slotByTheBook([]byte("{foo")),
		"foo}{bar}":        5061,
		"a long key {bar}": 5061,
	} {
		assert.Equal(t, want, Slot([]byte(key)), "%q", key)
	}
}

func TestSlotIsTheSpecifiedOneForAllLengths(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 50_000 {
		key := randomKey(rnd, i%80)
		require.Equal(t, slotByTheBook(key), Slot(key), "%q", key)
	}
}

// randomKey is made of letters, zeros, high bytes and a good many braces.
func randomKey(rnd *rand.Rand, length int) []byte {
	const alphabet = "abcdefghijkl0123456789:\x00\xff\xfb{}"
	key := make([]byte, length)
	for i := range key {
		key[i] = alphabet[rnd.IntN(len(alphabet))]
	}
	return key
}

func TestSlotAllocatesNothing(t *testing.T) {
	keys := [][]byte{[]byte("k"), []byte("user:1000:name"), []byte("{user:1000}:name"), bytes.Repeat([]byte("x"), 300)}
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		for _, key := range keys {
			Slot(key)
		}
	}))
}

func FuzzSlot(f *testing.F) {
	f.Add([]byte("foo{bar}"))
	f.Add([]byte("{}{}{"))
	f.Fuzz(func(t *testing.T, key []byte) {
		if got, want := Slot(key), slotByTheBook(key); got != want {
			t.Fatalf("%q: slot %d, want %d", key, got, want)
		}
	})
}

func BenchmarkSlot(b *testing.B) {
	for _, length := range []int{8, 16, 22, 32, 64} {
		b.Run(fmt.Sprintf("%dB", length), func(b *testing.B) {
			benchmarkSlot(b, func(i int) []byte { return fmt.Appendf(nil, "%0*d", length, i) })
		})
	}
	b.Run("tag", func(b *testing.B) {
		benchmarkSlot(b, func(i int) []byte { return fmt.Appendf(nil, "{user:%05d}:name", i) })
	})
}

func benchmarkSlot(b *testing.B, key func(i int) []byte) {
	keys := make([][]byte, 256)
	for i := range keys {
		keys[i] = key(i)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		Slot(keys[i%256])
		i++
	}
}
