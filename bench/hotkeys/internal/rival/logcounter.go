package rival

import "math/rand/v2"

// LogCounter is an 8-bit logarithmic counter after a number of hits, with one random number for
// each of them: a hit adds one with probability 1/(value*10+1).
func LogCounter(hits int, random *rand.Rand) uint8 {
	value, threshold := uint8(0), ^uint64(0)
	for range hits {
		if random.Uint64() > threshold {
			continue
		}
		if value++; value == 255 {
			break
		}
		threshold = ^uint64(0) / (uint64(value)*10 + 1)
	}
	return value
}
