package testvalues

import (
	"encoding/base64"
	"math/rand/v2"
	"strconv"
	"time"
)

// Alphabets of tokens.
const (
	hexDigits = "0123456789abcdef"
	base62    = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// pick returns one of several, each as likely.
func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// chance is true so often.
func chance(r *rand.Rand, share float64) bool { return r.Float64() < share }

// appendToken appends n characters of an alphabet.
func appendToken(dst []byte, r *rand.Rand, alphabet string, n int) []byte {
	for range n {
		dst = append(dst, alphabet[r.IntN(len(alphabet))])
	}
	return dst
}

// epoch is before all times in values; they are within some months after it.
var epoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// moment returns a time, in full seconds.
func moment(r *rand.Rand) time.Time {
	return epoch.Add(time.Duration(r.IntN(15_000_000)) * time.Second)
}

func appendTime(dst []byte, t time.Time) []byte { return t.AppendFormat(dst, time.RFC3339) }

// appendPrice appends an amount from 0.99 on; small ones are more frequent.
func appendPrice(dst []byte, r *rand.Rand) []byte {
	units := int64(r.ExpFloat64() * 40)
	return strconv.AppendFloat(dst, float64(units)+pick(r, cents), 'f', 2, 64)
}

var cents = []float64{0.99, 0.99, 0.95, 0.5, 0, 0.49, 0.9, 0.25}

// appendRandom appends n random bytes.
func appendRandom(dst []byte, r *rand.Rand, n int) []byte {
	for ; n >= 8; n -= 8 {
		v := r.Uint64()
		dst = append(dst, byte(v), byte(v>>8), byte(v>>16), byte(v>>24), byte(v>>32), byte(v>>40), byte(v>>48), byte(v>>56))
	}
	for range n {
		dst = append(dst, byte(r.Uint32()))
	}
	return dst
}

// appendBase64 appends n characters of the encoding of random bytes.
func appendBase64(dst []byte, r *rand.Rand, e *base64.Encoding, n int) []byte {
	plain := appendRandom(nil, r, n/4*3+3)
	return append(dst, e.AppendEncode(nil, plain)[:n]...)
}

// Random makes random bytes, as of encrypted values.
func Random(r *rand.Rand, size int) []byte { return appendRandom(make([]byte, 0, size), r, size) }

// Base64 makes the base64 form of random bytes, without padding.
func Base64(r *rand.Rand, size int) []byte {
	return appendBase64(make([]byte, 0, size), r, base64.RawStdEncoding, size)
}
