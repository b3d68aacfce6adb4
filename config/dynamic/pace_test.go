package dynamic

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// works lets p work n times for d each, as often as it may, and returns how long that took.
func works(p *pace, at time.Time, n int, d time.Duration) time.Duration {
	now := at
	for range n {
		now = p.rest(now, now.Add(d))
	}
	return now.Sub(at)
}

func TestWorkAfterATimeOfRestIsDoneAtOnce(t *testing.T) {
	p := pace{burst: time.Second, longest: time.Minute}
	begin := time.Now()
	assert.Equal(t, 200*time.Millisecond, works(&p, begin, 10, 10*time.Millisecond), "half of the time")
	assert.Equal(t, 200*time.Millisecond, works(&p, begin.Add(time.Hour), 10, 10*time.Millisecond))
}

func TestWorkInTheLongRunGetsATenthOfTheTime(t *testing.T) {
	p := pace{burst: time.Second, longest: time.Minute}
	const n, d = 10_000, 10 * time.Millisecond
	took := works(&p, time.Now(), n, d)
	assert.InDelta(t, (10 * (n*d - time.Second)).Seconds(), took.Seconds(), 1, "but for the burst")
	assert.InDelta(t, (10 * 100 * d).Seconds(), works(&p, time.Now().Add(took), 100, d).Seconds(), 1)
}

func TestRestHasALimitWhateverTheWork(t *testing.T) {
	p := pace{burst: time.Second, longest: 2 * time.Second}
	begin := time.Now()
	for range 5 {
		ended := begin.Add(time.Minute)
		assert.Equal(t, ended.Add(2*time.Second), p.rest(begin, ended))
		begin = ended.Add(2 * time.Second)
	}
	assert.LessOrEqual(t, works(&p, begin, 1, time.Millisecond), 2*time.Second+time.Millisecond, "and so has what is remembered")
	p.rest(begin, begin.Add(time.Second))
	assert.Less(t, works(&p, begin.Add(20*time.Second), 1, time.Millisecond), 10*time.Millisecond)
}
