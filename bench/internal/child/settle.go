package child

import (
	"context"
	"errors"
	"time"
)

// Memory counts as settled when it stays within settleSlack for settleFor; after settlePatience it counts
// as it is.
const (
	settleSlack    = 64 << 10
	settleFor      = 300 * time.Millisecond
	settlePatience = 3 * time.Second
)

// SettledRSS waits until the resident memory of the process stands still, and returns it in bytes.
func (p *Process) SettledRSS(ctx context.Context) (float64, error) {
	tick := time.NewTicker(settleFor / 6)
	defer tick.Stop()
	begin := time.Now()
	last, since := int64(0), begin
	for {
		rss, err := ReadRSS(p.PID())
		if err != nil {
			return 0, errors.Join(err, p.Running())
		}
		if max(rss-last, last-rss) > settleSlack {
			last, since = rss, time.Now()
		}
		if time.Since(since) >= settleFor || time.Since(begin) >= settlePatience {
			return float64(rss), nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-tick.C:
		}
	}
}
