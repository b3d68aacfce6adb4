package redis

// globMatch matches a pattern the way Redis does (KEYS, CONFIG GET, ACL), without
// regard to the case of ASCII letters: '*', '?', '[a-z]', '[^a-z]' and '\' before a
// character that is meant as it is. It goes back to the last '*' only, so its time is
// bounded by the product of the lengths.
func globMatch(pattern []byte, s string) bool {
	p, i := 0, 0
	star, from := -1, 0
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			star, from = p, i
			p++
			continue
		}
		if n := matchOne(pattern[p:], s[i]); n > 0 {
			p += n
			i++
			continue
		}
		if star < 0 {
			return false
		}
		from++
		p, i = star+1, from
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// matchOne matches the first item of the pattern, which is not '*', with one
// character and returns the length of the item, 0 if it does not match.
func matchOne(pattern []byte, c byte) int {
	if len(pattern) == 0 {
		return 0
	}
	n, ok := 1, false
	switch pattern[0] {
	case '?':
		ok = true
	case '[':
		n, ok = matchClass(pattern, c)
	case '\\':
		if len(pattern) > 1 {
			n = 2
		}
		ok = lower(pattern[n-1]) == lower(c)
	default:
		ok = lower(pattern[0]) == lower(c)
	}
	if !ok {
		return 0
	}
	return n
}

// matchClass matches '[...]'. One without its end reaches to the end of the pattern.
func matchClass(pattern []byte, c byte) (n int, ok bool) {
	c = lower(c)
	k := 1
	negative := k < len(pattern) && pattern[k] == '^'
	if negative {
		k++
	}
	for k < len(pattern) && pattern[k] != ']' {
		switch {
		case pattern[k] == '\\' && k+1 < len(pattern):
			k++
			ok = ok || lower(pattern[k]) == c
		case k+2 < len(pattern) && pattern[k+1] == '-':
			low, high := lower(pattern[k]), lower(pattern[k+2])
			ok = ok || min(low, high) <= c && c <= max(low, high)
			k += 2
		default:
			ok = ok || lower(pattern[k]) == c
		}
		k++
	}
	return min(k+1, len(pattern)), ok != negative
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c |= 0x20
	}
	return c
}
