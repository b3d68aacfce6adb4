package stats

import (
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Snapshot is the result of one scrape: every sample once. It does not change
// after [Gather] returned it.
type Snapshot struct {
	samples []Sample
	bad     uint64
}

// badSamples is the name under which a scrape says how much of it was wrong.
const badSamples = "runtime.stats_bad_samples"

// quantiles are the ones the text shows, with the suffix of their line.
var quantiles = []struct {
	suffix string
	q      float64
}{{".p50", 0.5}, {".p90", 0.9}, {".p99", 0.99}, {".p99_9", 0.999}}

// Gather asks every source and adds up the samples that have the same service,
// name and command, so that each loop can report its own share: values are
// summed, histograms merged. A sample that cannot be used (no name, a
// distribution without a histogram, a kind or scale other than the first of
// its name) is left out and counted, as is the rest of a source that panics.
func Gather(sources []Source) *Snapshot {
	g := gatherer{index: make(map[sampleKey]int)}
	for _, src := range sources {
		if src != nil {
			g.ask(src)
		}
	}
	g.attach()
	return &Snapshot{samples: g.samples, bad: g.bad}
}

// Bad is how many samples were left out.
func (s *Snapshot) Bad() uint64 { return s.bad }

// Samples returns the samples in the order they first came. The slice belongs
// to the snapshot.
func (s *Snapshot) Samples() []Sample { return s.samples }

// WriteText writes one "name: value" line per number, sorted by name. Numbers
// are decimal, without an exponent. A distribution takes seven lines: .p50,
// .p90, .p99, .p99_9, .max and .sum in the unit of the name, and .count. Only
// names that contain filter are written. The error is that of w.
func (s *Snapshot) WriteText(w io.Writer, filter string) error {
	lines := s.lines(filter)
	slices.SortStableFunc(lines, func(a, b line) int { return strings.Compare(a.name, b.name) })
	var out []byte
	for _, l := range lines {
		out = append(out, l.name...)
		out = append(out, ": "...)
		out = appendNumber(out, l.value)
		out = append(out, '\n')
	}
	_, err := w.Write(out)
	return err
}

type line struct {
	name  string
	value float64
}

func (s *Snapshot) lines(filter string) []line {
	lines := make([]line, 0, len(s.samples)+1)
	add := func(name string, value float64) {
		if strings.Contains(name, filter) {
			lines = append(lines, line{name, value})
		}
	}
	for i := range s.samples {
		sample := &s.samples[i]
		name := sample.textName()
		if sample.Kind != Distribution {
			add(name, sample.Value)
			continue
		}
		h, scale := sample.Hist, sample.scale()
		for _, q := range quantiles {
			add(name+q.suffix, h.Quantile(q.q)*scale)
		}
		add(name+".max", float64(h.Max())*scale)
		add(name+".sum", float64(h.Sum())*scale)
		add(name+".count", float64(h.Count()))
	}
	add(badSamples, float64(s.bad))
	return lines
}

// appendNumber writes v for scripts: no exponent, and no more than six digits
// after the point.
func appendNumber(dst []byte, v float64) []byte {
	if v == math.Trunc(v) || math.IsNaN(v) {
		return strconv.AppendFloat(dst, v, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, v, 'f', 6, 64)
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	if dst[len(dst)-1] == '.' {
		dst = dst[:len(dst)-1]
	}
	return dst
}

type sampleKey struct{ service, name, command, endpoint string }

func (s *Sample) key() sampleKey { return sampleKey{s.Service, s.Name, s.Command, s.Endpoint} }

// gatherer is the state of one Gather call.
type gatherer struct {
	index   map[sampleKey]int
	samples []Sample
	owned   []bool   // per sample: Hist is a copy of ours and may change
	waiting []Sample // those that are attached to others
	bad     uint64
}

// ask lets one source emit. A bug in a source must cost no more than its
// numbers: a scrape may run on a goroutine whose panic would end the process.
func (g *gatherer) ask(src Source) {
	defer func() {
		if recover() != nil {
			g.bad++
		}
	}()
	src.Stats(g.add)
}

func (g *gatherer) add(s Sample) {
	s.Service = strings.ToValidUTF8(s.Service, "_")
	s.Name = strings.ToValidUTF8(s.Name, "_")
	s.Command = strings.ToValidUTF8(s.Command, "_")
	s.Endpoint = strings.ToValidUTF8(s.Endpoint, "_")
	if !usable(&s) {
		g.bad++
		return
	}
	if s.Attached {
		g.waiting = append(g.waiting, s)
		return
	}
	key := s.key()
	i, ok := g.index[key]
	if !ok {
		g.index[key] = len(g.samples)
		g.samples = append(g.samples, s)
		g.owned = append(g.owned, false)
		return
	}
	if !g.merge(i, &s) {
		g.bad++
	}
}

// attach adds what is attached to what there is.
func (g *gatherer) attach() {
	for k := range g.waiting {
		s := &g.waiting[k]
		if i, ok := g.index[s.key()]; ok && !g.merge(i, s) {
			g.bad++
		}
	}
}

// merge adds s to the sample at i and reports whether the two go together.
func (g *gatherer) merge(i int, s *Sample) bool {
	to := &g.samples[i]
	if to.Kind != s.Kind {
		return false
	}
	if s.Kind != Distribution {
		to.Value += s.Value
		return true
	}
	if to.scale() != s.scale() {
		return false
	}
	if !g.owned[i] {
		to.Hist, g.owned[i] = to.Hist.Clone(), true
	}
	to.Hist.Merge(s.Hist)
	return true
}

func usable(s *Sample) bool {
	if s.Name == "" || strings.ContainsAny(s.Name, ": \t\r\n") {
		return false
	}
	switch s.Kind {
	case Counter, Gauge:
		return true
	case Distribution:
		scale := s.scale()
		return s.Hist != nil && scale > 0 && !math.IsInf(scale, 0)
	}
	return false
}
