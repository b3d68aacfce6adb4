package trial

import (
	"fmt"
	"runtime"
	"slices"

	"samaritan/bench/hotkeys/internal/rival"
	"samaritan/bench/hotkeys/internal/traffic"
	"samaritan/bench/internal/figures"
	"samaritan/hotkey"
)

// Contest is how all algorithms do on one stream, which is one interval at one node.
type Contest struct {
	Stream   string
	Pressure bool // millions of keys, and 50 hot ones of 0.1 % each among them
	Late     bool // that begin in the middle
	Hits     int
	Distinct int
	Entrants []Entrant
}

// Entrant is how one algorithm does.
type Entrant struct {
	Name       string
	Precision  float64 // of the first 50
	Recall     float64 // of the leading keys, in the first places
	CountError float64 // median over the hottest 50 that were found, relative
	PerHit     float64 // nanoseconds, without what it takes to walk the stream
	Bytes      int     // of memory
}

// algorithm is what the contest needs of an entrant.
type algorithm interface {
	Hit(key []byte)
	Top(n int) []rival.Entry
}

// entries of all that have so many by their nature.
const classicEntries = 1024

// entrants are made anew for each run.
func entrants() []struct {
	name string
	make func() algorithm
} {
	return []struct {
		name string
		make func() algorithm
	}{
		{Subject, func() algorithm { return newSubject() }},
		{"Space-Saving, 1,024 entries", func() algorithm { return rival.NewStreamSummary(classicEntries) }},
		{"Space-Saving, same memory", func() algorithm { return rival.NewStreamSummary(roomyEntries) }},
		{"Space-Saving on a heap, 1,024", func() algorithm { return rival.NewMinHeap(classicEntries) }},
		{"HeavyKeeper, same memory", func() algorithm {
			return rival.NewHeavyKeeper(2, keeperWidth, classicEntries, 1.08, traffic.Random(1, forMixing))
		}},
	}
}

// Subject is the name of package hotkey among the entrants.
const Subject = "package hotkey"

// What fits in the memory of a hotkey.Counter.
const (
	roomyEntries = 1330
	keeperWidth  = 4980
)

// subject is package hotkey as an algorithm. Every hit is looked at, one by one: batches would
// make the others faster, too.
type subject struct {
	sampler *hotkey.Sampler
	counter *hotkey.Counter
	hit     hotkey.Hit
}

func newSubject() *subject {
	return &subject{sampler: hotkey.NewSampler(0), counter: hotkey.NewCounter(0)}
}

func (s *subject) Hit(key []byte) {
	if weight := s.sampler.Take(1); weight > 0 {
		s.hit = hotkey.Hit{Key: key, Hash: hotkey.Hash(key), Weight: weight, Bytes: 40, Command: 7, Client: 1}
		s.counter.Hit(&s.hit)
	}
}

func (s *subject) Top(n int) []rival.Entry {
	end := int64(Interval)
	collector := hotkey.NewCollector(hotkey.Options{Capacity: n, Interval: Interval, Window: Interval})
	collector.Add("", s.counter.Cut(nil, end), end, wall(end))
	var top []rival.Entry
	for _, k := range collector.Merge(wall(end)).Keys {
		top = append(top, rival.Entry{Name: k.Name, Count: k.Count, Error: k.Error})
	}
	return top
}

// stream is a recorded stream: the names of its keys lie behind each other, so that walking
// it costs little and the same for all.
type stream struct {
	names []byte
	ends  []uint32
	truth *exact
}

func record(source traffic.Source, keys *traffic.Keys, hits int) *stream {
	s := &stream{ends: make([]uint32, 1, hits+1), truth: newExact(keys.Len(), 1)}
	for i := range hits {
		key := source.Draw(int64(i))
		s.truth.hit(key, 1)
		s.names = append(s.names, keys.Name(key)...)
		s.ends = append(s.ends, uint32(len(s.names)))
	}
	return s
}

// walk hits all keys and returns how long one took, in nanoseconds.
func (s *stream) walk(a algorithm) float64 {
	return timed(func() {
		for i := 1; i < len(s.ends); i++ {
			a.Hit(s.names[s.ends[i-1]:s.ends[i]])
		}
	}) / float64(len(s.ends)-1)
}

// idle is an algorithm that only looks at the key.
type idle struct{ sum int }

func (e *idle) Hit(key []byte) { e.sum += int(key[0]) + len(key) }

func (e *idle) Top(int) []rival.Entry { return nil }

func (s *stream) distinct() (n int) {
	for _, count := range s.truth.current() {
		if count > 0 {
			n++
		}
	}
	return n
}

// Contests runs all entrants on all streams, rounds times each, in turns. crowd is how many keys
// there are under pressure.
func (w *World) Contests(rounds, hits, crowd int) (all []Contest) {
	for _, s := range []float64{0.8, 0.99, 1.2} {
		c := Contest{Stream: fmt.Sprintf("s = %g", s)}
		c.run(record(w.zipf(s, 1), w.keys, hits), w.keys, rounds)
		all = append(all, c)
	}
	keys := traffic.NewKeys(crowd+Capacity, 1)
	stream := fmt.Sprintf("50 in %d million", crowd/1_000_000)
	for _, c := range []Contest{{Stream: stream}, {Stream: stream + ", late", Late: true}} {
		c.Pressure = true
		c.run(record(pressure(crowd, 2*hits, c.Late), keys, 2*hits), keys, rounds)
		all = append(all, c)
	}
	return all
}

// pressure is a stream of a crowd of keys and, from the beginning or from the middle on, 50 with
// 0.1 % of the hits each. The time of a hit is its number.
func pressure(crowd, hits int, late bool) traffic.Source {
	m := &traffic.Mix{
		A:     &traffic.Uniform{First: crowd, N: Capacity, Random: traffic.Random(1, forBursts)},
		B:     &traffic.Uniform{N: crowd, Random: traffic.Random(1, forKeys)},
		Share: Capacity * 0.001, Random: traffic.Random(1, forMixing),
	}
	if late {
		m.From = int64(hits / 2)
	}
	return m
}

func (c *Contest) run(s *stream, keys *traffic.Keys, rounds int) {
	c.Hits, c.Distinct = len(s.ends)-1, s.distinct()
	times := make(map[string][]float64)
	for round := range rounds {
		empty := s.walk(new(idle))
		for _, e := range entrants() {
			a := e.make()
			times[e.name] = append(times[e.name], s.walk(a)-empty)
			if round == 0 {
				c.Entrants = append(c.Entrants, rate(e.name, a, s.truth, keys))
			}
		}
	}
	for i, e := range entrants() {
		c.Entrants[i].PerHit = figures.Median(times[e.name])
		c.Entrants[i].Bytes = allocated(func() { runtime.KeepAlive(e.make()) })
	}
}

// rate says how right an algorithm is.
func rate(name string, a algorithm, truth *exact, keys *traffic.Keys) Entrant {
	e := Entrant{Name: name}
	var order []int
	var errs []float64
	counts := make(map[int]uint64)
	for _, entry := range a.Top(Capacity) {
		key, err := keys.Number(entry.Name)
		if err != nil {
			panic("an algorithm lists a key that nobody used")
		}
		order = append(order, key)
		counts[key] = entry.Count
	}
	for _, t := range truth.top(Capacity) {
		if slices.Contains(order, t.key) {
			errs = append(errs, relative(counts[t.key], t.count))
		}
	}
	e.Precision, e.Recall, e.CountError = precision(order, truth, Capacity), precision(order, truth, leading), figures.Median(errs)
	return e
}

// allocated is how many bytes of memory f takes.
func allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}
