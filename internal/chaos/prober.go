package chaos

import (
	"slices"
	"sync"
	"time"
)

// Pauses of a prober.
const (
	probeMin = 2 * time.Millisecond
	probeMax = 4 * time.Millisecond
)

// steadyRun is how many successes in a row make a shard recovered.
const steadyRun = 20

// probe measures one shard: a client that sends GET and INCR by turns, one at a time.
type probe struct {
	worker *worker
	shard  int

	// Owned by the worker.
	count  int
	sentAt time.Time

	mu sync.Mutex
	// Guarded by mu.
	kinds     [2]probeKind
	latencies []time.Duration
	runStart  time.Time // when the first of the successes in a row was sent
	runLength int
}

// probeKind is what is measured of one command.
type probeKind struct {
	last time.Time     // of the last success
	gap  time.Duration // the longest between two successes
}

// reset begins a new measurement.
func (p *probe) reset() {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kinds = [2]probeKind{{last: now}, {last: now}}
	p.latencies, p.runLength = p.latencies[:0], 0
}

// next makes the next batch: one request, whose success is measured.
func (p *probe) next(w *worker) []request {
	a := w.accounts[p.shard]
	p.count++
	kind := p.count % 2
	var r request
	if kind == 0 {
		r = a.increment(p.shard)
	} else {
		keys := w.keys.checks(p.shard, w.id)
		key := keys[p.count/2%len(keys)]
		r = request{args: []any{"GET", key}, shards: bit(p.shard), done: belongs(key, w.lossy)}
	}
	p.sentAt = time.Now()
	return append(w.batch[:0], p.measured(kind, r))
}

// measured makes a request report its outcome.
func (p *probe) measured(kind int, r request) request {
	done, failed := r.done, r.failed
	r.done = func(v any) problem {
		p.success(kind)
		return done(v)
	}
	r.failed = func(certain bool) {
		p.failure()
		if failed != nil {
			failed(certain)
		}
	}
	return r
}

func (p *probe) success(kind int) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	k := &p.kinds[kind]
	k.gap = max(k.gap, now.Sub(k.last))
	k.last = now
	p.latencies = append(p.latencies, now.Sub(p.sentAt))
	if p.runLength == 0 {
		p.runStart = p.sentAt
	}
	p.runLength++
}

func (p *probe) failure() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.runLength = 0
}

// restart makes steady count from now on.
func (p *probe) restart() { p.failure() }

// steady returns since when the shard succeeds, and whether it has done so often enough
// since the restart.
func (p *probe) steady() (since time.Time, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.runStart, p.runLength >= steadyRun
}

// measurement is what a prober, or several, have measured.
type measurement struct {
	gap       time.Duration
	latencies []time.Duration
}

// addTo adds what was measured since the reset.
func (p *probe) addTo(m *measurement) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.kinds {
		m.gap = max(m.gap, k.gap)
	}
	m.latencies = append(m.latencies, p.latencies...)
}

// percentile returns the latency that q of all do not exceed, 0 without any.
func (m *measurement) percentile(q float64) time.Duration {
	if len(m.latencies) == 0 {
		return 0
	}
	slices.Sort(m.latencies)
	return m.latencies[min(len(m.latencies)-1, int(q*float64(len(m.latencies))))]
}
