package trial

import (
	"log/slog"
	"regexp"
	"time"

	"samaritan/bench/compression/internal/stand"
)

// Options say how much to measure.
type Options struct {
	Binary string        // of the proxy
	Rounds int           // of what is timed
	Slices int           // of each load and proxy in a round
	Fine   int           // the same, where a small difference has to be seen
	Slice  time.Duration // how long one is
	Values int           // of each kind and size, for the ratios
	Store  int           // bytes of values that are stored, for the memory of the nodes
	Set    int           // bytes of values of a load
	Pin    bool          // proxies on the first CPU, all else on the others
	Quick  bool          // too short for bounds of time to mean anything
	Logger *slog.Logger

	// Only, when not nil, is what the names of loads have to match. Then it is only CPU time that is measured.
	Only *regexp.Regexp
}

// Full is what the documents are made of.
func Full() Options {
	return Options{Rounds: 15, Slices: 6, Fine: 12, Slice: 50 * time.Millisecond, Values: 50, Store: 64 << 20, Set: 4 << 20}
}

// Quick is enough to see that everything works.
func Quick() Options {
	return Options{Rounds: 1, Slices: 1, Fine: 1, Slice: 15 * time.Millisecond, Values: 5, Store: 4 << 20, Set: 512 << 10, Quick: true}
}

// The proxies that are compared.
var (
	off    = stand.Variant{Name: "off"}
	again  = stand.Variant{Name: "off, again"} // as off: what differs is chance
	snappy = stand.Variant{Name: "snappy", Compression: "enable: true, algorithm: SNAPPY, threshold: 512"}
	zstd   = stand.Variant{Name: "zstd", Compression: "enable: true, algorithm: ZSTD, threshold: 512"}
	below  = stand.Variant{Name: "below", Compression: "enable: true, algorithm: SNAPPY, threshold: 1048576"} // above all values here
)

// Names of proxies in results.
var (
	Off    = off.Name
	Again  = again.Name
	Snappy = snappy.Name
	Zstd   = zstd.Name
	Below  = below.Name
)

// Results are those of all trials.
type Results struct {
	Ratios    []Ratio
	Stores    []Store
	Costs     []Cost // of values that are compressed
	Untouched []Cost // of values that are not
	Latencies []Latency
	Quick     bool
	Took      time.Duration
}
