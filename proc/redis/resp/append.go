package resp

import (
	"math"
	"strconv"
	"strings"
)

// The Append functions append one piece of RESP to dst and return the longer slice. Where the two
// protocol versions differ, resp3 says which one is meant; RESP2 gets what Redis sends there.

// AppendArrayHeader begins an array of n elements, which follow.
func AppendArrayHeader(dst []byte, n int) []byte { return appendHeader(dst, '*', int64(n)) }

// AppendMapHeader begins a map of n pairs; in RESP2 an array of 2n elements.
func AppendMapHeader(dst []byte, n int, resp3 bool) []byte {
	if resp3 {
		return appendHeader(dst, '%', int64(n))
	}
	return appendHeader(dst, '*', 2*int64(n))
}

// AppendSetHeader begins a set of n elements; in RESP2 an array.
func AppendSetHeader(dst []byte, n int, resp3 bool) []byte {
	return appendHeader(dst, choose(resp3, '~', '*'), int64(n))
}

// AppendPushHeader begins an out-of-band message of n elements; in RESP2 an array.
func AppendPushHeader(dst []byte, n int, resp3 bool) []byte {
	return appendHeader(dst, choose(resp3, '>', '*'), int64(n))
}

// AppendBulk appends a bulk string.
func AppendBulk(dst, s []byte) []byte { return appendBulk(dst, s) }

// AppendBulkString appends a bulk string.
func AppendBulkString(dst []byte, s string) []byte { return appendBulk(dst, s) }

// AppendBulkHeader begins a bulk string of n bytes, which follow, with a CRLF behind them.
func AppendBulkHeader(dst []byte, n int) []byte { return appendHeader(dst, '$', int64(n)) }

// AppendCommand appends a request.
func AppendCommand[T []byte | string](dst []byte, args ...T) []byte {
	dst = appendHeader(dst, '*', int64(len(args)))
	for _, a := range args {
		dst = appendBulk(dst, a)
	}
	return dst
}

// AppendInt appends an integer.
func AppendInt(dst []byte, v int64) []byte { return appendHeader(dst, ':', v) }

// AppendSimple appends a simple string. CR and LF in it become blanks.
func AppendSimple(dst []byte, s string) []byte { return appendLine(dst, '+', s) }

// AppendError appends an error. s is the whole text, with its code ("ERR ...") and without the
// leading minus. CR and LF in it become blanks.
func AppendError(dst []byte, s string) []byte { return appendLine(dst, '-', s) }

// AppendNull appends null; in RESP2 the null bulk string.
func AppendNull(dst []byte, resp3 bool) []byte {
	if resp3 {
		return append(dst, "_\r\n"...)
	}
	return append(dst, "$-1\r\n"...)
}

// AppendNullArray appends null where an array is expected; in RESP2 the null array.
func AppendNullArray(dst []byte, resp3 bool) []byte {
	if resp3 {
		return append(dst, "_\r\n"...)
	}
	return append(dst, "*-1\r\n"...)
}

// AppendBool appends a boolean; in RESP2 the integer 1 or 0.
func AppendBool(dst []byte, v, resp3 bool) []byte {
	if resp3 {
		return append(dst, '#', choose(v, 't', 'f'), '\r', '\n')
	}
	return append(dst, ':', choose(v, '1', '0'), '\r', '\n')
}

// AppendDouble appends a floating point number, with as many digits as it takes to read the same
// number back; in RESP2 it is a bulk string.
func AppendDouble(dst []byte, v float64, resp3 bool) []byte {
	var buf [32]byte
	text := buf[:0]
	switch {
	case math.IsInf(v, 1):
		text = append(text, "inf"...)
	case math.IsInf(v, -1):
		text = append(text, "-inf"...)
	case math.IsNaN(v):
		text = append(text, "nan"...)
	default:
		text = strconv.AppendFloat(text, v, floatFormat(v), -1, 64)
	}
	if !resp3 {
		return appendBulk(dst, text)
	}
	dst = append(dst, ',')
	dst = append(dst, text...)
	return append(dst, '\r', '\n')
}

// floatFormat chooses an exponent for the numbers that Redis writes with one.
func floatFormat(v float64) byte {
	if a := math.Abs(v); a != 0 && (a < 1e-4 || a >= 1e17) {
		return 'e'
	}
	return 'f'
}

// AppendVerbatim appends a text for people with its format, "txt" or "mkd"; in RESP2 a bulk
// string of s. A format that is not three bytes long is sent as txt.
func AppendVerbatim(dst []byte, format, s string, resp3 bool) []byte {
	if !resp3 {
		return appendBulk(dst, s)
	}
	if len(format) != 3 {
		format = "txt"
	}
	dst = appendHeader(dst, '=', int64(len(s)+4))
	dst = append(dst, format...)
	dst = append(dst, ':')
	dst = append(dst, s...)
	return append(dst, '\r', '\n')
}

func appendBulk[T []byte | string](dst []byte, s T) []byte {
	dst = appendHeader(dst, '$', int64(len(s)))
	dst = append(dst, s...)
	return append(dst, '\r', '\n')
}

func appendLine(dst []byte, typ byte, s string) []byte {
	dst = append(dst, typ)
	start := len(dst)
	dst = append(dst, s...)
	if strings.ContainsAny(s, "\r\n") {
		for i, c := range dst[start:] {
			if c == '\r' || c == '\n' {
				dst[start+i] = ' '
			}
		}
	}
	return append(dst, '\r', '\n')
}

// appendHeader appends a type and a number as a line. Small numbers are most of them.
func appendHeader(dst []byte, typ byte, n int64) []byte {
	if uint64(n) < 10 {
		return append(dst, typ, byte('0'+n), '\r', '\n')
	}
	if uint64(n) < 100 {
		return append(dst, typ, byte('0'+n/10), byte('0'+n%10), '\r', '\n')
	}
	dst = append(dst, typ)
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, '\r', '\n')
}

func choose(cond bool, yes, no byte) byte {
	if cond {
		return yes
	}
	return no
}
