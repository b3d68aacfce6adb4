package tcp

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestRestGrowsAndEndsWithASuccess(t *testing.T) {
	var r rest
	now := int64(1000)
	assert.True(t, r.over(now))
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30, 30} {
		r.failed(now, now, false)
		took := time.Duration(r.until.Load() - now)
		assert.InDelta(t, want*time.Second, took, float64(want*time.Second)/4)
		assert.False(t, r.over(now+int64(took)-1))
		now += int64(took)
		assert.True(t, r.over(now))
	}
	r.ended()
	assert.True(t, r.over(0))
	r.failed(now, now, false)
	assert.LessOrEqual(t, r.until.Load()-now, int64(5*time.Second/4), "it begins anew")
}

func TestFailuresThatSayNothingNewDoNotCount(t *testing.T) {
	var r rest
	r.failed(10, 20, false)
	until := r.until.Load()
	r.failed(15, 25, false) // had begun before the first one failed
	r.failed(30, 40, true)  // was a last resort
	assert.Equal(t, until, r.until.Load())
	assert.Equal(t, 1, r.strikes)
}

func TestOneConnectionTriesAnEndpointThatHasRested(t *testing.T) {
	var r rest
	r.failed(1, 1, false)
	now := r.until.Load()
	assert.True(t, r.over(now))
	r.claim(now, 3*time.Second)
	assert.False(t, r.over(now), "the others do not wait for it")
	assert.True(t, r.over(now+int64(3*time.Second)), "nothing was heard of it")
	r.ended()
	assert.True(t, r.over(now))
	r.claim(now, time.Second)
	assert.True(t, r.over(now), "one that is well is everybody's")
}
