package trial

import (
	"slices"
	"time"

	"samaritan/bench/hotkeys/internal/traffic"
	"samaritan/hotkey"
)

// Burst is a key that gets hot of a sudden.
type Burst struct {
	Load   Load
	Warm   bool          // it was the 400th before; else nobody used it
	Share  float64       // of the traffic, while it lasts
	Offset time.Duration // into an interval, when it begins
	Lasts  time.Duration // 0: for good
	Seen   []BurstSeen   // by seed
}

// BurstSeen is how a burst was seen.
type BurstSeen struct {
	Due    int           // the merge at which it belongs to the hottest keys, 1 for the first after it began
	Listed int           // the merge at which it is listed; 0: never
	After  time.Duration // from the beginning until then
	True   uint64        // hits in the window of that merge
	Count  uint64        // as listed
	Within bool          // the count keeps its bounds
}

// lateMerges is how many merges are watched after the beginning of a burst.
const lateMerges = 3

// Bursts runs all bursts with seeds 1 to seeds, at the highest rate with half of them. quick
// leaves that rate out.
func (w *World) Bursts(seeds int, quick bool) []Burst {
	slow, fast := burstsAt(10_000), burstsAt(100_000)
	w.bursts(slow, seeds)
	if quick {
		return slow
	}
	w.bursts(fast, (seeds+1)/2)
	return append(slow, fast...)
}

// burstsAt are keys that come to stay, at several times of the interval, and ones that are hot for
// 3 s over the end of it.
func burstsAt(perSecond float64) (all []Burst) {
	l := Load{Exponent: 0.99, PerSecond: perSecond}
	for _, seconds := range []float64{1, 3, 5, 7, 8.5, 9.5} {
		all = append(all, Burst{Load: l, Share: 0.01, Offset: duration(seconds)})
	}
	for _, seconds := range []float64{7.5, 8.5, 9.5} {
		all = append(all, Burst{Load: l, Share: 0.02, Offset: duration(seconds), Lasts: duration(3)})
	}
	return append(all, Burst{Load: l, Warm: true, Share: 0.01, Offset: duration(5)})
}

// warmKey is used all the time, but not enough to be remembered for that.
const warmKey = 399

func (b *Burst) key() int {
	if b.Warm {
		return warmKey
	}
	return Population
}

func (w *World) bursts(all []Burst, seeds int) {
	for i := range all {
		for seed := uint64(1); seed <= uint64(seeds); seed++ {
			all[i].Seen = append(all[i].Seen, w.burst(&all[i], seed))
		}
	}
}

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

// burst runs one. It begins in the third interval, so that the counters and the window are in their stride.
func (w *World) burst(b *Burst, seed uint64) (seen BurstSeen) {
	from := Window + b.Offset
	to := from + b.Lasts
	if b.Lasts == 0 {
		to = time.Hour
	}
	merges, key := 0, b.key()
	var r *Rig
	r = newRig(w.keys, func(report *hotkey.Report) {
		if r.now <= int64(from) || seen.Listed > 0 {
			return
		}
		merges++
		top := r.truth.top(Capacity)
		if seen.Due == 0 && slices.ContainsFunc(top, func(t ranked) bool { return t.key == key }) {
			seen.Due = merges
		}
		for _, k := range listing(report, w.keys) {
			if k.number == key {
				seen.Listed, seen.After = merges, time.Duration(r.now)-from
				seen.True, seen.Count = r.truth.total(key), k.Count
				seen.Within = distance(k.Count, seen.True) <= k.Error+2*k.SamplingError // four standard deviations: never by chance
			}
		}
	})
	source := &traffic.Burst{
		Base: w.zipf(b.Load.Exponent, seed), Key: key, Share: b.Share, From: int64(from), To: int64(to),
		Random: traffic.Random(seed, forBursts),
	}
	arrivals := traffic.NewArrivals(b.Load.PerSecond, traffic.Random(seed, forTimes))
	for end := Window + Interval; end <= Window+lateMerges*Interval && seen.Listed == 0; end += Interval {
		r.run(source, arrivals, end)
	}
	return seen
}
