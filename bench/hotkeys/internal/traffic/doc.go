// Package traffic makes streams of keys whose true counts are known.
//
// A [Source] draws key numbers: [Zipf] is exact for every exponent, also below 1, where
// rejection samplers give up; [Uniform], [Mix] and [Burst] put sources together. [Keys] gives the
// numbers their names, hash slots and nodes. Everything is seeded and repeats; nothing
// here is safe for use by several goroutines.
package traffic
