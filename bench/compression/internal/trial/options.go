package trial

import (
	"log/slog"
	"time"

	"samaritan/bench/compression/internal/stand"
)

// Options say how much to measure.
type Options struct {
	Binary string        // of the proxy
	Rounds int           // of what is timed
	Slices int           // of each load and proxy in a round
	Slice  time.Duration // how long one is
	Values int           // of each kind and size, for the ratios
	Store  int           // bytes of values that are stored, for the memory of the nodes
	Set    int           // bytes of values of a load
	Quick  bool          // too short for bounds of time to mean anything
	Logger *slog.Logger
}

// Full is what the documents are made of.
func Full() Options {
	return Options{Rounds: 7, Slices: 6, Slice: 100 * time.Millisecond, Values: 50, Store: 64 << 20, Set: 4 << 20}
}

// Quick is enough to see that everything works.
func Quick() Options {
	return Options{Rounds: 1, Slices: 1, Slice: 15 * time.Millisecond, Values: 5, Store: 4 << 20, Set: 512 << 10, Quick: true}
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
