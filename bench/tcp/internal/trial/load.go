package trial

import "samaritan/bench/tcp/internal/load"

// Limits of CPU time, as multiples of what the better HAProxy takes.
const (
	limitBytes       = 1.2
	limitConnections = 1.2
)

// Load is what clients do.
type Load struct {
	Name  string
	Flow  load.Options
	Limit float64 // most CPU time, as a multiple of that of the better HAProxy; 0: any
}

// Bulk tells whether it moves many bytes. Its unit is then 1 GB, which is 1e9 bytes; of others it is one
// turn.
func (l Load) Bulk() bool { return l.Flow.Chunk > 0 }

// units are how many came of a run.
func (l Load) units(r load.Result) float64 {
	if l.Bulk() {
		return float64(r.Bytes) / 1e9
	}
	return float64(r.Turns)
}

// Loads are all there are. chunk is how many bytes one download or upload has.
func Loads(chunk uint64) []Load {
	bulk := func(kind load.Kind, connections int) load.Options {
		return load.Options{Kind: kind, Connections: connections, Chunk: chunk}
	}
	return []Load{
		{"download, 1 connection", bulk(load.Download, 1), limitBytes},
		{"download, 8 connections", bulk(load.Download, 8), limitBytes},
		{"upload, 1 connection", bulk(load.Upload, 1), limitBytes},
		{"upload, 8 connections", bulk(load.Upload, 8), limitBytes},
		{"short connections, 16 at a time", load.Options{Kind: load.Connect, Connections: 16}, limitConnections},
		{"round trips, 50 connections", load.Options{Kind: load.PingPong, Connections: 50}, 0},
	}
}
