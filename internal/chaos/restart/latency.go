package restart

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Latency is what requests took.
type Latency struct {
	Count          int
	P50, P99, P999 time.Duration
	Worst          time.Duration
	// Worsts has the worst of each restart, or of each window of calmWindow without one.
	Worsts []time.Duration
}

// calmWindow is about as long as a restart takes.
const calmWindow = 250 * time.Millisecond

// stopwatch takes the times of requests, apart for those that had to do with a restart.
// It is safe for concurrent use.
type stopwatch struct {
	mu sync.Mutex
	// Guarded by mu.
	during bool
	ended  time.Time               // of the last restart
	worst  []time.Duration         // by restart
	calm   map[int64]time.Duration // the worst of others, by window
	times  [2][]time.Duration      // of others, of those during restarts
}

// begin says that a restart begins.
func (s *stopwatch) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.during = true
	s.worst = append(s.worst, 0)
}

// end says that it has ended.
func (s *stopwatch) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.during, s.ended = false, time.Now()
}

// took takes a request that was sent at that time and has been answered now.
func (s *stopwatch) took(sent time.Time) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	d := now.Sub(sent)
	kind := 0
	if s.during || sent.Before(s.ended) {
		kind = 1
		last := &s.worst[len(s.worst)-1]
		*last = max(*last, d)
	} else {
		if s.calm == nil {
			s.calm = map[int64]time.Duration{}
		}
		window := now.UnixNano() / int64(calmWindow)
		s.calm[window] = max(s.calm[window], d)
	}
	s.times[kind] = append(s.times[kind], d)
}

// latencies returns what was measured during restarts, and otherwise.
func (s *stopwatch) latencies() (restarts, others Latency) {
	s.mu.Lock()
	defer s.mu.Unlock()
	restarts, others = newLatency(s.times[1]), newLatency(s.times[0])
	restarts.Worsts = slices.Clone(s.worst)
	others.Worsts = slices.Collect(maps.Values(s.calm))
	return restarts, others
}

func newLatency(times []time.Duration) Latency {
	if len(times) == 0 {
		return Latency{}
	}
	times = slices.Clone(times)
	slices.Sort(times)
	at := func(q float64) time.Duration { return times[min(len(times)-1, int(q*float64(len(times))))] }
	return Latency{Count: len(times), P50: at(0.5), P99: at(0.99), P999: at(0.999), Worst: times[len(times)-1]}
}
