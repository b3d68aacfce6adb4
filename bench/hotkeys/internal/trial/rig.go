package trial

import (
	"strconv"
	"time"

	"samaritan/bench/hotkeys/internal/traffic"
	"samaritan/hotkey"
)

// What a service with default options does.
const (
	Nodes    = 3
	Capacity = 50
	Interval = 10 * time.Second
	Window   = 2 * Interval
	pace     = 100 * time.Millisecond
)

// epoch is the time of day at virtual time 0.
var epoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// Rig is the loops of the proxy without the proxy, a collector, and the exact counts of
// the same hits.
type Rig struct {
	keys      *traffic.Keys
	loops     []*counting
	collector *hotkey.Collector
	spare     *hotkey.Counts
	truth     *exact
	sample    *exact // exact counts of the hits that were in the sample; nil: not wanted

	hits                     int
	moveAt                   int64 // when all keys move to the next node; 0: never
	now, nextPace, nextMerge int64
	merged                   func(*hotkey.Report) // called before truth moves on
}

// counting is what one loop counts with: a sampler, and a counter for each node.
type counting struct {
	sampler  *hotkey.Sampler
	counters [Nodes]*hotkey.Counter
	batch    hotkey.Batch
}

// newRig makes a rig of one loop whose time is 0. merged is called with each report, while
// truth and sample still have the same window.
func newRig(keys *traffic.Keys, merged func(*hotkey.Report)) *Rig {
	r := &Rig{
		keys: keys, truth: newExact(keys.Len(), int(Window/Interval)),
		collector: hotkey.NewCollector(hotkey.Options{Capacity: Capacity, Interval: Interval, Window: Window}),
		nextPace:  int64(pace), nextMerge: int64(Interval), merged: merged,
	}
	return r.withLoops(1)
}

// withLoops gives the rig so many loops, which get the hits in turns.
func (r *Rig) withLoops(n int) *Rig {
	r.loops = nil
	for range n {
		c := &counting{sampler: hotkey.NewSampler(0)}
		for i := range c.counters {
			c.counters[i] = hotkey.NewCounter(0)
		}
		r.loops = append(r.loops, c)
	}
	return r
}

// withSample makes the rig count exactly what is in the sample, too.
func (r *Rig) withSample() *Rig {
	r.sample = newExact(r.keys.Len(), int(Window/Interval))
	return r
}

// run lets hits come until a time; what is due at that time is done.
func (r *Rig) run(source traffic.Source, arrivals *traffic.Arrivals, until time.Duration) {
	for at := arrivals.Next(); at < int64(until); at = arrivals.Next() {
		r.advance(at)
		r.use(source.Draw(at))
	}
	r.advance(int64(until))
}

// use hits a key now.
func (r *Rig) use(key int) {
	r.truth.hit(key, 1)
	l := r.loops[r.hits%len(r.loops)]
	r.hits++
	weight := l.sampler.Take(1)
	if weight == 0 {
		return
	}
	if r.sample != nil {
		r.sample.hit(key, weight)
	}
	name := r.keys.Name(key)
	*l.batch.Add(l.counters[r.node(key)]) = hotkey.Hit{
		Key: name, Hash: hotkey.Hash(name), Weight: weight, Now: r.now, Bytes: 40,
		Slot: r.keys.Slot(key), Command: uint16(key & 3), Client: 1 + uint32(key&1), Write: key&3 == 3,
	}
}

// node is where a key is now.
func (r *Rig) node(key int) int {
	node := r.keys.Node(key)
	if r.moveAt > 0 && r.now >= r.moveAt {
		node = (node + 1) % Nodes
	}
	return node
}

// advance moves the clock, and does on the way what is due.
func (r *Rig) advance(now int64) {
	for next := min(r.nextPace, r.nextMerge); next <= now; next = min(r.nextPace, r.nextMerge) {
		r.now = next
		if next == r.nextPace {
			for _, l := range r.loops {
				l.sampler.Pace(next)
			}
			r.nextPace += int64(pace)
		}
		if next == r.nextMerge {
			r.merge()
			r.nextMerge += int64(Interval)
		}
	}
	r.now = now
}

func wall(now int64) time.Time { return epoch.Add(time.Duration(now)) }

// merge ends an interval, as the proxy does.
func (r *Rig) merge() {
	for _, l := range r.loops {
		l.batch.Flush()
		for i, counter := range l.counters {
			r.spare = counter.Cut(r.spare, r.now)
			r.collector.Add(nodeName(i), r.spare, r.now, wall(r.now))
		}
	}
	report := r.collector.Merge(wall(r.now))
	if r.merged != nil {
		r.merged(report)
	}
	r.truth.advance()
	if r.sample != nil {
		r.sample.advance()
	}
}

func nodeName(node int) string { return "10.0.0." + strconv.Itoa(node+1) + ":7000" }
