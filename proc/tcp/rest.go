package tcp

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	restMin = time.Second
	restMax = 30 * time.Second
)

// rest is what failed attempts to connect mean for an endpoint: it is put behind the
// others for a while, which doubles from one second to half a minute with each failure
// that follows such a while. When the time is over one connection tries the endpoint
// again; the others come when that has succeeded, so that a hung endpoint delays no more
// than one of them.
//
// Times are those of the loops.
type rest struct {
	until atomic.Int64 // 0: never failed since the last success

	mu      sync.Mutex // guards the following
	strikes int
	last    int64 // the last time that a failure counted
}

// over tells whether the endpoint may be picked as if nothing had been.
func (r *rest) over(now int64) bool { return r.until.Load() <= now }

// claim is called for an endpoint whose rest is over when a connection goes there. The
// first one after a rest keeps the others away for as long as its attempt may take.
func (r *rest) claim(now int64, attempt time.Duration) {
	if until := r.until.Load(); until != 0 && until <= now {
		r.until.CompareAndSwap(until, now+int64(attempt))
	}
}

// failed counts a failed attempt. Those that had begun before the last one failed say
// nothing new, and neither do those that went to an endpoint which was resting.
func (r *rest) failed(began, now int64, resting bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.strikes > 0 && (began < r.last || resting) {
		return
	}
	r.strikes++
	r.last = now
	r.until.Store(now + int64(restTime(r.strikes)))
}

// restTime is how long the n-th rest in a row takes. The jitter of a quarter keeps
// several proxies from coming back to an endpoint at the same instant.
func restTime(n int) time.Duration {
	d := min(restMin<<min(n-1, 10), restMax)
	return d - d/4 + rand.N(d/2)
}

// ended is called after a success.
func (r *rest) ended() {
	if r.until.Load() == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.strikes = 0
	r.until.Store(0)
}
