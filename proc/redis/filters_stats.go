package redis

import (
	"samaritan/internal/stats"
	"samaritan/proc/redis/compress"
	"samaritan/proc/redis/filter"
)

// compression reports what the filters of all loops have compressed and decompressed.
func (e emitter) compression(s *filter.CompressStats) {
	for a := range compress.Algorithm(compress.Algorithms) {
		name, in, out := "compression."+a.String(), &s.Compressed[a], &s.Decompressed[a]
		e.counter(name+".compressed_total", in.Values)
		e.counter(name+".compressed_before_bytes_total", in.Before)
		e.counter(name+".compressed_after_bytes_total", in.After)
		e.counter(name+".decompressed_total", out.Values)
		e.counter(name+".decompressed_before_bytes_total", out.Before)
		e.counter(name+".decompressed_after_bytes_total", out.After)
		ratio := 0.0
		if in.After > 0 {
			ratio = float64(in.Before) / float64(in.After)
		}
		e.emit(stats.Sample{Service: e.service, Name: name + ".ratio", Kind: stats.Gauge, Value: ratio})
	}
	for skip := range filter.Skips {
		e.counter("compression.skipped."+skip.String()+"_total", s.Skipped[skip])
	}
	e.counter("compression.corrupt_total", s.Corrupt)
	e.counter("compression.too_large_total", s.TooLarge)
	e.counter("compression.disabled_total", s.Disabled)
	e.counter("compression.delayed_total", s.Delayed)
	e.counter("compression.offloaded_total", s.Offloaded)
}
