package stats

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strings"
	"unicode/utf8"
)

// The encoding of totals: totalsMagic, a byte with the version, the number of records,
// and the records. Numbers are unsigned varints.
//
//	record:       service name command endpoint help kind value
//	service...help: 0, length, bytes for a text that was not there yet, else which one of those it is, from 1 on
//	kind:         0 Counter, 2 Distribution
//	value, of a counter:      float
//	value, of a distribution: scale (float) sum max n, and n pairs of gap and count
//
// A float is an IEEE 754 double in the reverse order of bytes, which makes small integers
// small. A gap is how many empty buckets there are before one with count values in it; the
// buckets are those of [Histogram].
const (
	totalsMagic   = "SmT"
	totalsVersion = 1

	maxTotalsBytes  = 256 << 20
	maxTotalsSeries = 1 << 21
	maxTotalsText   = 4 << 10 // bytes of a name or help
)

var errTotalsCut = errors.New("the data end in the middle of a record")

// total is a counter or distribution of another process.
type total struct {
	Sample  // without Hist
	buckets []bucketTotal
	sum     uint64
	max     uint64
}

// bucketTotal is a bucket that is not empty. They are kept in ascending order.
type bucketTotal struct {
	index uint16
	count uint64
}

// Totals encodes what the sources have counted since the start, for [Carried.Set] in the
// process that takes over: counters and distributions of the services and of the daemon.
// Gauges are left out, and what begins with "runtime.", as that is of the process and
// begins anew with it.
func Totals(sources []Source) []byte {
	samples := Gather(sources).samples
	w := totalsWriter{known: make(map[string]uint64)}
	n := uint64(0)
	for i := range samples {
		if moves(&samples[i]) {
			w.sample(&samples[i])
			n++
		}
	}
	head := append([]byte(totalsMagic), totalsVersion)
	return append(binary.AppendUvarint(head, n), w.out...)
}

// moves tells whether a sample goes on in the next process.
func moves(s *Sample) bool {
	if s.Service == "" && strings.HasPrefix(s.Name, "runtime.") {
		return false
	}
	for _, text := range [...]string{s.Service, s.Name, s.Command, s.Endpoint, s.Help} {
		if len(text) > maxTotalsText {
			return false
		}
	}
	switch s.Kind {
	case Counter:
		return isTotal(s.Value)
	case Distribution:
		return true
	}
	return false
}

// isTotal excludes what no counter can be.
func isTotal(v float64) bool { return v >= 0 && !math.IsInf(v, 0) }

type totalsWriter struct {
	out   []byte
	known map[string]uint64 // number of a text
}

func (w *totalsWriter) number(n uint64) { w.out = binary.AppendUvarint(w.out, n) }

func (w *totalsWriter) float(v float64) { w.number(bits.ReverseBytes64(math.Float64bits(v))) }

func (w *totalsWriter) text(s string) {
	if n, ok := w.known[s]; ok {
		w.number(n)
		return
	}
	w.known[s] = uint64(len(w.known)) + 1
	w.number(0)
	w.number(uint64(len(s)))
	w.out = append(w.out, s...)
}

func (w *totalsWriter) sample(s *Sample) {
	w.text(s.Service)
	w.text(s.Name)
	w.text(s.Command)
	w.text(s.Endpoint)
	w.text(strings.ToValidUTF8(s.Help, "_"))
	w.number(uint64(s.Kind))
	if s.Kind == Counter {
		w.float(s.Value)
		return
	}
	w.float(s.scale())
	w.histogram(s.Hist)
}

func (w *totalsWriter) histogram(h *Histogram) {
	w.number(h.sum)
	w.number(h.max)
	used := uint64(0)
	for _, n := range &h.buckets {
		if n > 0 {
			used++
		}
	}
	w.number(used)
	gap := uint64(0)
	for _, n := range &h.buckets {
		if n == 0 {
			gap++
			continue
		}
		w.number(gap)
		w.number(n)
		gap = 0
	}
}

// decodeTotals reads what Totals has written.
func decodeTotals(data []byte) ([]total, error) {
	all, err := readTotals(data)
	if err != nil {
		return nil, fmt.Errorf("read totals: %w", err)
	}
	return all, nil
}

func readTotals(data []byte) ([]total, error) {
	if len(data) > maxTotalsBytes {
		return nil, fmt.Errorf("%d bytes are more than %d", len(data), maxTotalsBytes)
	}
	body, ok := strings.CutPrefix(string(data[:min(len(data), len(totalsMagic))]), totalsMagic)
	if !ok || body != "" || len(data) == len(totalsMagic) {
		return nil, errors.New("these are no totals")
	}
	if v := data[len(totalsMagic)]; v != totalsVersion {
		return nil, fmt.Errorf("version %d is not known", v)
	}
	r := totalsReader{rest: data[len(totalsMagic)+1:]}
	n := r.atMost(maxTotalsSeries, "records")
	var all []total
	seen := make(map[sampleKey]bool)
	for range n {
		t := r.total()
		if r.err == nil && seen[t.key()] {
			r.fail("%s is there twice", t.textName())
		}
		if r.err != nil {
			return nil, r.err
		}
		seen[t.key()] = true
		all = append(all, t)
	}
	if r.err == nil && len(r.rest) > 0 {
		r.fail("%d bytes follow the last record", len(r.rest))
	}
	return all, r.err
}

// totalsReader reads numbers until there is an error; then all of them are 0.
type totalsReader struct {
	rest  []byte
	texts []string
	err   error
}

func (r *totalsReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
	r.rest = nil
}

func (r *totalsReader) number() uint64 {
	if r.err != nil {
		return 0
	}
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.fail("%w", errTotalsCut)
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *totalsReader) atMost(most uint64, what string) uint64 {
	n := r.number()
	if n > most {
		r.fail("%d %s are more than %d", n, what, most)
		return 0
	}
	return n
}

func (r *totalsReader) float() float64 { return math.Float64frombits(bits.ReverseBytes64(r.number())) }

func (r *totalsReader) text() string {
	n := r.number()
	if n > 0 {
		if n > uint64(len(r.texts)) {
			r.fail("there is no text %d", n)
			return ""
		}
		return r.texts[n-1]
	}
	size := r.atMost(maxTotalsText, "bytes of a text")
	if r.err == nil && size > uint64(len(r.rest)) {
		r.fail("%w", errTotalsCut)
	}
	if r.err != nil {
		return ""
	}
	s := string(r.rest[:size])
	r.rest = r.rest[size:]
	if !utf8.ValidString(s) {
		r.fail("%q is not UTF-8", s)
	}
	r.texts = append(r.texts, s)
	return s
}

func (r *totalsReader) total() (t total) {
	t.Service, t.Name, t.Command, t.Endpoint, t.Help = r.text(), r.text(), r.text(), r.text(), r.text()
	kind := r.number()
	switch Kind(kind) {
	case Counter:
		t.Value = r.float()
	case Distribution:
		t.Kind, t.Scale = Distribution, r.float()
		r.histogram(&t)
	}
	if r.err == nil && (kind != uint64(Counter) && kind != uint64(Distribution) || !t.valid()) {
		r.fail("%q is no total", t.Name)
	}
	return t
}

// valid holds a record to what Totals writes.
func (t *total) valid() bool {
	s := t.Sample
	if s.Kind == Distribution {
		s.Hist = &emptyHistogram
	}
	return usable(&s) && moves(&s)
}

var emptyHistogram Histogram

func (r *totalsReader) histogram(t *total) {
	t.sum, t.max = r.number(), r.atMost(MaxValue, "units of a value")
	used := r.atMost(bucketCount, "buckets")
	count, next := uint64(0), uint64(0)
	for range used {
		gap, n := r.number(), r.number()
		if gap >= bucketCount-next || n == 0 || n > math.MaxUint64-count {
			r.fail("%q has buckets that cannot be", t.Name)
		}
		if r.err != nil {
			return
		}
		count += n
		t.buckets = append(t.buckets, bucketTotal{uint16(next + gap), n})
		next += gap + 1
	}
}
