package config

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"google.golang.org/protobuf/types/known/durationpb"
)

func TestDurationIsACenturyAtMost(t *testing.T) {
	const never = 315_576_000_000 // seconds, the most that a protobuf duration may have
	for _, tt := range []struct {
		name  string
		given *durationpb.Duration
		want  time.Duration
	}{
		{"nil", nil, 0},
		{"second", durationpb.New(time.Second), time.Second},
		{"negative", durationpb.New(-time.Second), -time.Second},
		{"century", durationpb.New(LongestDuration), LongestDuration},
		{"more", durationpb.New(LongestDuration + 1), LongestDuration},
		{"most of a file", durationpb.New(math.MaxInt64), LongestDuration},
		{"most of the wire", &durationpb.Duration{Seconds: never}, LongestDuration},
	} {
		assert.Equal(t, tt.want, Duration(tt.given), tt.name)
	}
	assert.Positive(t, 2*LongestDuration, "two can be added up")
	assert.True(t, time.Now().Add(LongestDuration).After(time.Now()))
}
