package health

import (
	"cmp"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"samaritan/api/hc"
	"samaritan/config"
)

const (
	// What holds for a check that does not say it. The config fills in the same.
	defaultInterval  = 10 * time.Second
	defaultTimeout   = 3 * time.Second
	defaultThreshold = 3

	// firstWithin is the time over which first checks are spread.
	firstWithin = time.Second
)

// plan is how addresses are checked. It is immutable.
type plan struct {
	given    *hc.HealthCheck
	checker  Checker
	interval time.Duration
	timeout  time.Duration
	fall     uint64
	rise     uint64
}

// newPlan makes a plan from a check.
func newPlan(check *hc.HealthCheck, checker Checker) *plan {
	return &plan{
		given: check, checker: checker,
		interval: positive(check.Interval, defaultInterval),
		timeout:  positive(check.Timeout, defaultTimeout),
		fall:     uint64(cmp.Or(check.FallThreshold, defaultThreshold)),
		rise:     uint64(cmp.Or(check.RiseThreshold, defaultThreshold)),
	}
}

// positive returns d, or the default when d says nothing.
func positive(d *durationpb.Duration, otherwise time.Duration) time.Duration {
	if given := config.Duration(d); given > 0 {
		return given
	}
	return otherwise
}

// pause returns the time from the start of one check to that of the next one.
func (p *plan) pause() time.Duration {
	return p.interval - p.interval/10 + upTo(p.interval/5)
}

// first returns how long to wait with the first check of an address.
func (p *plan) first() time.Duration { return upTo(min(p.interval, firstWithin)) }

// upTo returns a random time from 0 to d.
func upTo(d time.Duration) time.Duration { return rand.N(d + 1) }
