package load

import "time"

// Kind is what clients do.
type Kind int

// All kinds.
const (
	Download Kind = iota // of chunks, one after the other
	Upload               // the same the other way
	PingPong             // 64 bytes there and back, one after the other
	Connect              // connect, 64 bytes there and back, close
)

// Options say what to do.
type Options struct {
	Kind        Kind
	Connections int           // at a time, at least 1
	Chunk       uint64        // bytes of one request; Download and Upload only
	Every       time.Duration // a worker begins a turn that often; 0: at once when the last one is done
}

// Result is what came of it.
type Result struct {
	Turns     int
	Bytes     uint64 // of chunks
	Took      time.Duration
	Latencies []time.Duration // one of each turn, in no order; good until the next run
}
