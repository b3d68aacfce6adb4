package dynamic

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"samaritan/config"
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

// TestApplyingIsPaidByWaiting has an Apply that takes long. What is measured is what the client has to wait at least.
func TestApplyingIsPaidByWaiting(t *testing.T) {
	s := listen(t, "")
	r := prepareFor(t, s.address)
	r.pace.burst = 0
	type call struct{ began, ended time.Time }
	calls := make(chan call, 100)
	r.failing(func([]*config.Service) error {
		c := call{began: time.Now()}
		for c.ended = c.began; c.ended.Sub(c.began) < 10*time.Millisecond; c.ended = time.Now() {
		}
		calls <- c
		return nil
	})
	r.run()
	p := s.accept()
	p.depends([]string{"a"}, nil)
	p.wants("a")
	var before call
	for i := range 5 {
		p.tell("a", uint32(1001+i), 1)
		c := <-calls
		if i > 0 {
			assert.GreaterOrEqual(t, c.began.Sub(before.ended), (share-1)*before.ended.Sub(before.began))
		}
		before = c
	}
}
