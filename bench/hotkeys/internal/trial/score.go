package trial

import (
	"math"
	"slices"

	"samaritan/bench/hotkeys/internal/traffic"
	"samaritan/bench/internal/figures"
	"samaritan/hotkey"
)

// leading is how many of the hottest keys have to be in order.
const leading = 10

// Score is how right one report is.
type Score struct {
	Precision  float64 // share of the places whose key belongs there
	Displaced  int     // how far one of the leading keys is from its place, at most
	QPSError   float64 // of the leading keys' hits a second: median, relative
	CountError float64 // of all listed keys' counts: median, relative
	Within     float64 // share of the listed keys whose count keeps its bounds
	Bound      float64 // error + sampling error of all listed keys: median, relative to the count
	HitsError  float64 // of the hits of all keys, relative
	SampleRate float64
}

// score compares a report with the truth.
func score(report *hotkey.Report, truth *exact, keys *traffic.Keys, capacity int) Score {
	listed := listing(report, keys)
	order := make([]int, len(listed))
	for i, l := range listed {
		order[i] = l.number
	}
	s := Score{
		Precision: precision(order, truth, capacity), Displaced: displaced(order, truth),
		HitsError: relative(report.Hits, truth.hits()), SampleRate: report.SampleRate,
	}
	var counts, bounds, qps []float64
	within := 0
	for _, l := range listed {
		off, bound := distance(l.Count, truth.total(l.number)), l.Error+l.SamplingError
		if off <= bound {
			within++
		}
		counts = append(counts, relative(l.Count, truth.total(l.number)))
		bounds = append(bounds, float64(bound)/float64(l.Count))
	}
	s.Within = float64(within) / float64(max(1, len(listed)))
	for _, t := range truth.top(leading) {
		err := 1.0
		if i := slices.Index(order, t.key); i >= 0 {
			want := float64(truth.last(t.key)) / report.Interval.Seconds()
			err = math.Abs(listed[i].QPS-want) / want
		}
		qps = append(qps, err)
	}
	s.CountError, s.Bound, s.QPSError = figures.Median(counts), figures.Median(bounds), figures.Median(qps)
	return s
}

// listed is a key of a report with the number it has in the stream.
type listed struct {
	hotkey.Key
	number int
}

// listing finds the numbers of the keys of a report. One that was never made has none,
// and there can be no such key.
func listing(report *hotkey.Report, keys *traffic.Keys) []listed {
	all := make([]listed, 0, len(report.Keys))
	for _, k := range report.Keys {
		number, err := keys.Number(k.Name)
		if err != nil {
			panic("a report lists a key that nobody used")
		}
		all = append(all, listed{k, number})
	}
	return all
}

// precision is the share of n places with a key that belongs to the n hottest. One with as
// many hits as the last of them belongs to them, too.
func precision(order []int, truth *exact, n int) float64 {
	top := truth.top(n)
	least, right := top[len(top)-1].count, 0
	for _, key := range order[:min(n, len(order))] {
		if truth.total(key) >= least {
			right++
		}
	}
	return float64(right) / float64(n)
}

// displaced is how many places one of the leading keys is from where it belongs, at most.
// Keys with the same count share their places. A key that is not there is as many
// places away as there are.
func displaced(order []int, truth *exact) (most int) {
	top := truth.top(4 * leading)
	for _, t := range top[:min(leading, len(top))] {
		first := slices.IndexFunc(top, func(o ranked) bool { return o.count == t.count })
		last := first
		for last+1 < len(top) && top[last+1].count == t.count {
			last++
		}
		at := slices.Index(order, t.key)
		if at < 0 {
			return max(most, len(order))
		}
		most = max(most, first-at, at-last)
	}
	return most
}

func distance(a, b uint64) uint64 { return max(a, b) - min(a, b) }

// relative is by how much of truth a figure is off.
func relative(figure, truth uint64) float64 {
	if truth == 0 {
		return 1
	}
	return float64(distance(figure, truth)) / float64(truth)
}
