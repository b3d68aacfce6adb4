package trial

import (
	"runtime"
	"slices"
	"strconv"
	"time"

	"samaritan/bench/internal/figures"
	"samaritan/hotkey"
)

// Cost is what counting takes.
type Cost struct {
	Rates       []RateCost
	Merges      []MergeCost
	Counter     int     // bytes of a counter
	Allocations float64 // for each hit
}

// RateCost is what a hit takes when there are so many a second.
type RateCost struct {
	PerSecond int
	Sample    float64 // share of the hits that is looked at
	Single    Timing  // hits that are counted one by one
	Batched   Timing  // as the proxy does it, with full batches
}

// Timing is the time of a hit over some rounds, in nanoseconds, over all hits whether looked at or not.
type Timing struct {
	PerHit    float64 // median
	Low, High float64
}

func timing(rounds []float64) Timing {
	return Timing{PerHit: figures.Median(rounds), Low: slices.Min(rounds), High: slices.Max(rounds)}
}

// Busy is the share of a core that counting one by one takes at that rate.
func (r RateCost) Busy() float64 { return r.Single.PerHit * float64(r.PerSecond) / 1e9 }

// MergeCost is what the end of an interval takes.
type MergeCost struct {
	Nodes     int
	Add       time.Duration // of all nodes
	Merge     time.Duration
	Allocated int // bytes, for both
}

// Cost measures with so many hits for each rate, rounds times in turns.
func (w *World) Cost(rounds, hits int) Cost {
	s := w.recordCost(hits)
	c := Cost{Counter: allocated(func() { runtime.KeepAlive(hotkey.NewCounter(0)) }), Allocations: s.allocations()}
	rates := []int{10_000, 100_000, 200_000, 500_000, 1_000_000}
	c.Rates = make([]RateCost, len(rates))
	single, batched := make([][]float64, len(rates)), make([][]float64, len(rates))
	for range rounds {
		empty := s.empty()
		for i, rate := range rates {
			c.Rates[i].PerSecond = rate
			for batch, times := range map[bool][][]float64{false: single, true: batched} {
				ns, sample := s.drive(rate, batch)
				times[i] = append(times[i], ns-empty)
				c.Rates[i].Sample = sample
			}
		}
	}
	for i := range rates {
		c.Rates[i].Single, c.Rates[i].Batched = timing(single[i]), timing(batched[i])
	}
	for _, nodes := range []int{Nodes, 100} {
		c.Merges = append(c.Merges, w.mergeCost(nodes, rounds))
	}
	return c
}

// costStream is a stream with the node of each key.
type costStream struct {
	*stream
	nodes []uint8
	slots []uint16
}

func (w *World) recordCost(hits int) *costStream {
	source := w.zipf(0.99, 1)
	s := &costStream{stream: &stream{ends: make([]uint32, 1, hits+1)}}
	for range hits {
		key := source.Draw(0)
		s.names = append(s.names, w.keys.Name(key)...)
		s.ends = append(s.ends, uint32(len(s.names)))
		s.nodes = append(s.nodes, uint8(w.keys.Node(key)))
		s.slots = append(s.slots, w.keys.Slot(key))
	}
	return s
}

// loop is the part of a loop of the proxy that counts.
type loop struct {
	sampler  *hotkey.Sampler
	counters [Nodes]*hotkey.Counter
	spares   [Nodes]*hotkey.Counts
	batch    hotkey.Batch
	batched  bool
	now      int64
}

func newLoop(batched bool) *loop {
	l := &loop{sampler: hotkey.NewSampler(0), batched: batched}
	for i := range l.counters {
		l.counters[i], l.spares[i] = hotkey.NewCounter(0), new(hotkey.Counts)
	}
	return l
}

// drive counts the stream at a virtual rate, and returns nanoseconds per hit and the share
// that was looked at.
func (s *costStream) drive(perSecond int, batched bool) (perHit, sample float64) {
	l := newLoop(batched)
	warm := min(perSecond/5, len(s.nodes)/2)
	l.count(s, 0, warm, perSecond)
	took := timed(func() { l.count(s, warm, len(s.nodes), perSecond) })
	return took / float64(len(s.nodes)-warm), 1 / float64(l.sampler.Weight())
}

// count is what a loop of the proxy does with its requests, hotkey's part of it.
func (l *loop) count(s *costStream, from, to, perSecond int) {
	step, due := int64(time.Second)/int64(perSecond), perSecond/10
	for i := from; i < to; i++ {
		l.now += step
		if due--; due == 0 {
			l.pace()
			due = perSecond / 10
		}
		weight := l.sampler.Take(1)
		if weight == 0 {
			continue
		}
		key := s.names[s.ends[i]:s.ends[i+1]]
		hit := hotkey.Hit{
			Key: key, Hash: hotkey.Hash(key), Weight: weight, Now: l.now, Bytes: 40, Slot: s.slots[i], Command: 7, Client: 1,
		}
		if l.batched {
			*l.batch.Add(l.counters[s.nodes[i]]) = hit
		} else {
			l.counters[s.nodes[i]].Hit(&hit)
		}
	}
	l.batch.Flush()
}

// pace is due every tenth of a second, and ends an interval every ten. What that takes
// counts, too.
func (l *loop) pace() {
	l.sampler.Pace(l.now)
	if l.now/int64(Interval) == (l.now-int64(pace))/int64(Interval) {
		return
	}
	l.batch.Flush()
	for i, c := range l.counters {
		l.spares[i] = c.Cut(l.spares[i], l.now)
	}
}

// empty is the time of the same walk without hotkey, per hit.
func (s *costStream) empty() float64 {
	sum, now, due := 0, int64(0), 10_000
	took := timed(func() {
		for i := range s.nodes {
			now += 2000
			if due--; due == 0 {
				due = 10_000
			}
			key := s.names[s.ends[i]:s.ends[i+1]]
			sum += len(key) + int(s.nodes[i])
		}
	})
	runtime.KeepAlive(sum + int(now))
	return took / float64(len(s.nodes))
}

// allocations are those of a hit.
func (s *costStream) allocations() float64 {
	l, n := newLoop(true), min(100_000, len(s.nodes))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	l.count(s, 0, n, fastRate)
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(n)
}

// mergeCost ends intervals of nodes that have all seen enough keys for their counters to be full.
func (w *World) mergeCost(nodes, rounds int) MergeCost {
	const hitsPerNode = 20_000
	source := w.zipf(0.99, 2)
	collector := hotkey.NewCollector(hotkey.Options{})
	counters := make([]*hotkey.Counter, nodes)
	spares := make([]*hotkey.Counts, nodes)
	for i := range counters {
		counters[i] = hotkey.NewCounter(0)
	}
	var adds, merges, bytes []float64
	now := int64(0)
	for range rounds + 2 { // the first two fill the window
		now += int64(Interval)
		for range hitsPerNode * nodes {
			key := source.Draw(0)
			name := w.keys.Name(key)
			slot := w.keys.Slot(key)
			counters[int(slot)*nodes/hotkey.SlotCount].Hit(&hotkey.Hit{
				Key: name, Hash: hotkey.Hash(name), Weight: 1, Now: now, Slot: slot, Command: 7, Client: 1 + uint32(key&3),
			})
		}
		for i, c := range counters {
			spares[i] = c.Cut(spares[i], now)
		}
		bytes = append(bytes, float64(allocated(func() {
			adds = append(adds, timed(func() {
				for i, counts := range spares {
					collector.Add("10.0.0."+strconv.Itoa(i)+":7000", counts, now, wall(now))
				}
			}))
			merges = append(merges, timed(func() { collector.Merge(wall(now)) }))
		})))
	}
	return MergeCost{
		Nodes: nodes, Add: time.Duration(figures.Median(adds[2:])), Merge: time.Duration(figures.Median(merges[2:])), Allocated: int(figures.Median(bytes[2:])),
	}
}
