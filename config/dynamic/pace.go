package dynamic

import "time"

// pace spreads work over time. In the long run it gets a tenth of it; what comes after a time of rest may take
// more at once, as the first services of a process do. It counts like a leaky bucket.
type pace struct {
	burst   time.Duration // work that is done at once, with as much rest as work
	longest time.Duration // rest

	paid time.Time // when a tenth of the time will have been enough for all the work so far
}

// share is by how many times the time in the long run exceeds the work.
const share = 10

// rest notes work that has just ended, and returns when there may be more.
func (p *pace) rest(began, ended time.Time) time.Time {
	work := ended.Sub(began)
	if p.paid.Before(began) {
		p.paid = began
	}
	p.paid = p.paid.Add(share * work)
	rest := max(work, p.paid.Sub(ended)-share*p.burst)
	if rest > p.longest {
		rest = p.longest
		p.paid = ended.Add(rest + share*p.burst)
	}
	return ended.Add(rest)
}
