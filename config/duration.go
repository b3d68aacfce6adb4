package config

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
)

// LongestDuration is what a longer duration is taken for, a century. That is as good
// as never, and leaves room: a moment and two of them add up to a later moment.
const LongestDuration = 100 * 365 * 24 * time.Hour

// Duration returns a duration of a config, at most [LongestDuration]; 0 for nil.
func Duration(d *durationpb.Duration) time.Duration {
	return min(d.AsDuration(), LongestDuration)
}
