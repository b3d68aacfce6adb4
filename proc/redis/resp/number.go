package resp

import "math"

// parseInt reads a whole number of 64 bits as strictly as Redis does: an optional minus, no plus,
// no leading zeros, no blanks, no overflow.
func parseInt(s []byte) (v int64, ok bool) {
	if len(s) == 1 && s[0] == '0' {
		return 0, true
	}
	negative := len(s) > 0 && s[0] == '-'
	if negative {
		s = s[1:]
	}
	if len(s) == 0 || len(s) > 19 || s[0] == '0' {
		return 0, false
	}
	var u uint64 // 19 digits fit
	for _, c := range s {
		if !isDigit(c) {
			return 0, false
		}
		u = u*10 + uint64(c-'0')
	}
	if negative {
		return -int64(u), u <= -math.MinInt64
	}
	return int64(u), u <= math.MaxInt64
}

// isBigNumber reports whether s is an optional sign and digits.
func isBigNumber(s []byte) bool {
	s = skipSign(s)
	return len(s) > 0 && len(skipDigits(s)) == 0
}

// isDouble reports whether s is inf, nan, or a decimal number with an optional fraction and
// exponent. Redis has been seen to send -nan.
func isDouble(s []byte) bool {
	s = skipSign(s)
	if string(s) == "inf" || string(s) == "nan" {
		return true
	}
	rest := skipDigits(s)
	if len(rest) == len(s) {
		return false
	}
	if len(rest) > 0 && rest[0] == '.' {
		rest = skipDigits(rest[1:])
	}
	if len(rest) > 0 && rest[0]|0x20 == 'e' {
		return isBigNumber(rest[1:])
	}
	return len(rest) == 0
}

func skipSign(s []byte) []byte {
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		return s[1:]
	}
	return s
}

func skipDigits(s []byte) []byte {
	for len(s) > 0 && isDigit(s[0]) {
		s = s[1:]
	}
	return s
}
