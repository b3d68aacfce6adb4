package filter

import "samaritan/proc/redis/compress"

// Skip is why a value is stored as it came.
type Skip uint8

// The causes.
const (
	Small          Skip = iota // below the threshold
	Oversized                  // above the most that a value may decompress to
	Incompressible             // by the look of some samples, it is compressed or encrypted already
	NotSmaller                 // it does not get smaller
	Ratio                      // it gets so small that it would not be decompressed
	Skips                      // how many causes there are
)

var skipNames = [Skips]string{"small", "oversized", "incompressible", "not_smaller", "ratio"}

// String returns a name for stats.
func (s Skip) String() string { return skipNames[s] }

// Conversions counts values and their bytes before and after.
type Conversions struct{ Values, Before, After uint64 }

// CompressStats is what the filters of a loop have counted.
type CompressStats struct {
	Compressed   [compress.Algorithms]Conversions
	Decompressed [compress.Algorithms]Conversions
	Skipped      [Skips]uint64 // values not compressed
	Corrupt      uint64        // stored values that were broken, and passed on as they are
	TooLarge     uint64        // stored values that would decompress to too much, and passed on as they are; and replies refused for that
	Disabled     uint64        // commands that cannot be used while values are compressed
	Delayed      uint64        // replies that were decompressed only when it was their turn
	Offloaded    uint64        // requests and replies that were worked on beside the loop
}

// Add adds what somebody else has counted.
func (s *CompressStats) Add(o *CompressStats) {
	for i := range s.Compressed {
		s.Compressed[i].add(&o.Compressed[i])
		s.Decompressed[i].add(&o.Decompressed[i])
	}
	for i := range s.Skipped {
		s.Skipped[i] += o.Skipped[i]
	}
	s.Corrupt += o.Corrupt
	s.TooLarge += o.TooLarge
	s.Disabled += o.Disabled
	s.Delayed += o.Delayed
	s.Offloaded += o.Offloaded
}

func (c *Conversions) add(o *Conversions) {
	c.Values += o.Values
	c.Before += o.Before
	c.After += o.After
}
