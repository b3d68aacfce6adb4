package hotkey

import (
	"math"
	"math/rand/v2"
	"time"
)

// grow lets an 8-bit logarithmic counter take hits: each of them adds one with
// probability 1/(value*10+1), as in Redis' LFU. Instead of a random number for each hit it
// draws how many go by until the next that counts, which has the same distribution.
func grow(value uint8, hits uint64, random *rand.Rand) uint8 {
	for value < math.MaxUint8 {
		if p := 1 / (float64(value)*10 + 1); p < 1 {
			skipped := random.ExpFloat64() / -math.Log1p(-p)
			if skipped >= float64(hits) {
				return value
			}
			hits -= uint64(skipped)
		}
		if hits == 0 {
			return value
		}
		hits--
		value++
	}
	return value
}

// idleMinutes is how often a counter is to be halved.
func idleMinutes(since, now time.Time) int { return max(0, int(now.Sub(since)/time.Minute)) }
