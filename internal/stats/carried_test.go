package stats

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// someTotals are samples of every kind that moves.
func someTotals() []Sample {
	return []Sample{
		{Service: "a.b", Name: "downstream.cx_total", Value: 12, Help: "Connections of clients."},
		{Service: "a.b", Name: "redis.total", Command: "get", Value: 1e15},
		{Service: "a.b", Name: "redis.total", Command: "set", Value: 0},
		{Service: "a.b", Name: "rq_duration_ms", Kind: Distribution, Hist: histogram(1, 1, 7, 100_000, MaxValue), Scale: 0.001},
		{Service: "c", Name: "empty_sec", Kind: Distribution, Hist: histogram()},
		{Service: "é\nx", Name: "downstream.cx_total", Value: 0.25},
		{Name: "admin.cx_total", Value: 3},
	}
}

func carried(t testing.TB, exists func(string) bool, sources ...Source) *Carried {
	t.Helper()
	c := NewCarried(exists)
	require.NoError(t, c.Set(Totals(sources)))
	return c
}

func TestTotalsComeBackAsTheyWere(t *testing.T) {
	before := Gather([]Source{source(someTotals()...)}).Samples()
	c := carried(t, nil, source(someTotals()...))
	after := Gather([]Source{c}).Samples()
	require.Len(t, after, len(before))
	for i := range before {
		before[i].Scale = before[i].scale()
		after[i].Scale = after[i].scale()
	}
	assert.Equal(t, before, after)
	assert.Zero(t, Gather([]Source{NewCarried(nil)}).Samples())
}

func TestGaugesAndWhatIsOfTheProcessStayBehind(t *testing.T) {
	c := carried(t, nil, source(
		Sample{Service: "a", Name: "downstream.cx_active", Kind: Gauge, Value: 7},
		Sample{Name: "live", Kind: Gauge, Value: 1},
		Sample{Name: "runtime.cpu_user_sec_total", Value: 7},
		Sample{Name: "runtime.pauses_sec", Kind: Distribution, Hist: histogram(1)},
		Sample{Service: "a", Name: "negative", Value: -1},
		Sample{Service: "a", Name: "nan", Value: math.NaN()},
		Sample{Service: "a", Name: "endless", Value: math.Inf(1)},
		Sample{Service: "a", Name: strings.Repeat("x", maxTotalsText+1), Value: 1},
		Sample{Service: "a", Name: "runtime.of_a_service", Value: 2},
	))
	got := Gather([]Source{c}).Samples()
	require.Len(t, got, 1)
	assert.Equal(t, "runtime.of_a_service", got[0].Name)
}

func TestCarriedTotalsAreAddedToTheOwn(t *testing.T) {
	c := carried(t, nil, source(
		Sample{Service: "a", Name: "cx_total", Value: 10},
		Sample{Service: "a", Name: "len_ms", Kind: Distribution, Hist: histogram(5, 6), Scale: 0.001},
	))
	got := Gather([]Source{source(
		Sample{Service: "a", Name: "cx_total", Value: 3, Help: "own"},
		Sample{Service: "a", Name: "len_ms", Kind: Distribution, Hist: histogram(5, 700), Scale: 0.001},
	), c})
	assert.Zero(t, got.Bad())
	assert.Equal(t, 13.0, got.Samples()[0].Value)
	assert.Equal(t, "own", got.Samples()[0].Help)
	assert.Equal(t, histogram(5, 5, 6, 700), got.Samples()[1].Hist)
}

func TestOnlyServicesThatExistAreCarried(t *testing.T) {
	there := map[string]bool{"a": true}
	c := carried(t, func(s string) bool { return there[s] }, source(
		Sample{Service: "a", Name: "cx_total", Value: 1},
		Sample{Service: "b", Name: "cx_total", Value: 2},
		Sample{Name: "admin.cx_total", Value: 3},
	))
	assert.Equal(t, "admin.cx_total: 3\nservice.a.cx_total: 1\n", text(t, "cx_total", c))
	there["b"] = true
	assert.Equal(t, "service.b.cx_total: 2\n", text(t, ".b.", c))
}

func TestForgottenServiceDoesNotComeBack(t *testing.T) {
	parent := source(Sample{Service: "a", Name: "cx_total", Value: 1}, Sample{Service: "b", Name: "cx_total", Value: 2})
	c := carried(t, nil, parent)
	c.Forget("b")
	assert.Equal(t, "service.a.cx_total: 1\n", text(t, "cx_total", c))
	require.NoError(t, c.Set(Totals([]Source{parent})))
	assert.Equal(t, "service.a.cx_total: 1\n", text(t, "cx_total", c))
}

func TestNumbersOfAnEndpointGoOnWhileItIsKnown(t *testing.T) {
	c := carried(t, nil, source(
		Sample{Service: "a", Name: "endpoint.cx_total", Endpoint: "10.0.0.1:1", Value: 5},
		Sample{Service: "a", Name: "endpoint.cx_total", Endpoint: "10.0.0.2:1", Value: 6},
		Sample{Service: "a", Name: "endpoint.len_ms", Endpoint: "10.0.0.2:1", Kind: Distribution, Hist: histogram(1)},
	))
	own := source(
		Sample{Service: "a", Name: "endpoint.cx_total", Endpoint: "10.0.0.1:1", Value: 1},
		Sample{Service: "a", Name: "endpoint.cx_total", Endpoint: "10.0.0.3:1", Value: 1},
	)
	for _, order := range [][]Source{{own, c}, {c, own}} {
		got := Gather(order)
		assert.Zero(t, got.Bad())
		require.Len(t, got.Samples(), 2)
		assert.Equal(t, 6.0, got.Samples()[0].Value)
		assert.Equal(t, 1.0, got.Samples()[1].Value)
	}
}

func TestNoUpdateMakesACounterGoBack(t *testing.T) {
	one := source(
		Sample{Service: "a", Name: "up", Value: 10},
		Sample{Service: "a", Name: "down", Value: 10},
		Sample{Service: "a", Name: "gone", Value: 4},
		Sample{Service: "a", Name: "len_ms", Kind: Distribution, Hist: histogram(1, 1, 9)},
	)
	two := source(
		Sample{Service: "a", Name: "up", Value: 11},
		Sample{Service: "a", Name: "down", Value: 9},
		Sample{Service: "a", Name: "new", Value: 1},
		Sample{Service: "a", Name: "len_ms", Kind: Distribution, Hist: histogram(1, 5)},
	)
	c := carried(t, nil, one)
	require.NoError(t, c.Set(Totals([]Source{two})))
	got := map[string]Sample{}
	c.Stats(func(s Sample) { got[s.Name] = s })
	assert.Equal(t, 11.0, got["up"].Value)
	assert.Equal(t, 10.0, got["down"].Value)
	assert.Equal(t, 4.0, got["gone"].Value)
	assert.Equal(t, 1.0, got["new"].Value)
	h := got["len_ms"].Hist
	assert.EqualValues(t, 4, h.Count(), "1 1 5 9")
	assert.EqualValues(t, 11, h.Sum(), "the larger one")
	assert.EqualValues(t, 9, h.Max())
}

func TestDistributionInAnotherUnitLeavesTheOldOne(t *testing.T) {
	of := func(scale float64) Source {
		return source(Sample{Service: "a", Name: "len_ms", Kind: Distribution, Hist: histogram(3), Scale: scale})
	}
	c := carried(t, nil, of(0.001))
	require.NoError(t, c.Set(Totals([]Source{of(1)})))
	c.Stats(func(s Sample) { assert.Equal(t, 0.001, s.Scale) })
}

func TestTotalsThatAreNoneChangeNothing(t *testing.T) {
	good := Totals([]Source{source(someTotals()...)})
	record := func(fields ...uint64) []byte { // one record of the service "", with the name "n"
		b := append([]byte(totalsMagic), totalsVersion, 1, 0, 0, 0, 1, 'n', 1, 1, 1)
		for _, f := range fields {
			b = binary.AppendUvarint(b, f)
		}
		return b
	}
	float := func(v float64) uint64 {
		w := totalsWriter{}
		w.float(v)
		n, _ := binary.Uvarint(w.out)
		return n
	}
	bad := map[string][]byte{
		"nothing":            nil,
		"no version":         []byte(totalsMagic),
		"something else":     []byte("hello, world"),
		"another version":    append([]byte(totalsMagic), 2, 0),
		"more behind it":     append(append([]byte{}, good...), 0),
		"too many records":   binary.AppendUvarint(append([]byte(totalsMagic), totalsVersion), maxTotalsSeries+1),
		"a gauge":            record(1, float(1)),
		"an unknown kind":    record(256, float(1)),
		"a negative counter": record(0, float(-1)),
		"no number":          record(0, float(math.NaN())),
		"no scale":           record(2, float(-1), 0, 0, 0),
		"bucket beyond":      record(2, float(1), 1, 1, 1, bucketCount, 1),
		"bucket beyond 2":    record(2, float(1), 1, 1, 2, bucketCount-1, 1, 0, 1),
		"empty bucket":       record(2, float(1), 1, 1, 1, 0, 0),
		"count wraps":        record(2, float(1), 1, 1, 2, 0, math.MaxUint64, 0, 1),
		"value beyond":       record(2, float(1), 1, MaxValue+1, 1, 0, 1),
		"text of the future": append([]byte(totalsMagic), totalsVersion, 1, 1),
		"twice":              append(append([]byte(totalsMagic), totalsVersion, 2, 0, 0, 0, 1, 'n', 1, 1, 1, 0, 0), 1, 2, 1, 1, 1, 0, 0),
		"no name":            append([]byte(totalsMagic), totalsVersion, 1, 0, 0, 1, 1, 1, 1, 0, 0),
		"of the process":     append(append([]byte(totalsMagic), totalsVersion, 1, 0, 0, 0, 9), append([]byte("runtime.x"), 1, 1, 1, 0, 0)...),
		"no text":            append([]byte(totalsMagic), totalsVersion, 1, 0, 1, 0xff),
	}
	for i := range good {
		bad[fmt.Sprint("cut at ", i)] = good[:i]
	}
	require.NoError(t, NewCarried(nil).Set(record(0, float(1))), "what the others vary is good")
	c := carried(t, nil, source(Sample{Name: "n", Value: 1}))
	for name, data := range bad {
		assert.Error(t, c.Set(data), name)
	}
	assert.Equal(t, []Sample{{Name: "n", Value: 1}}, Gather([]Source{c}).Samples())
}

// counting is a process that counts.
type counting struct {
	service string
	mu      sync.Mutex
	values  []float64
	times   Histogram
}

func (p *counting) count(random *rand.Rand) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.values[random.IntN(len(p.values))]++
	p.times.Observe(random.Uint64N(1 << random.UintN(30)))
}

func (p *counting) Stats(emit func(Sample)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, v := range p.values {
		emit(Sample{Service: p.service, Name: "redis.total", Command: strconv.Itoa(i), Value: v})
	}
	emit(Sample{Service: p.service, Name: "rq_duration_ms", Kind: Distribution, Hist: p.times.Clone(), Scale: 0.001})
}

// values are all numbers that a scrape by Prometheus sees and that only grow.
func values(t *testing.T, sources ...Source) map[string]float64 {
	t.Helper()
	all := map[string]float64{}
	gauge := false
	for line := range strings.Lines(scrape(t, sources...)) {
		fields := strings.Fields(line)
		if fields[0] == "#" {
			gauge = fields[len(fields)-1] == "gauge"
			continue
		}
		v, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		require.NoError(t, err)
		if !gauge {
			all[fields[0]] = v
		}
	}
	require.NotEmpty(t, all)
	return all
}

func notLess(t *testing.T, before, after map[string]float64) {
	t.Helper()
	for name, v := range before {
		now, there := after[name]
		require.True(t, there, name)
		require.GreaterOrEqual(t, now, v, name)
	}
}

// TestCountersGoOnThroughAChainOfRestarts scrapes as Prometheus does while processes take
// over from one another. During each handover both count, and what the old one sends comes
// late, and in the wrong order.
func TestCountersGoOnThroughAChainOfRestarts(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	counted := 0
	newProcess := func() *counting { return &counting{service: "orders.eu", values: make([]float64, 20)} }
	parent, from := newProcess(), NewCarried(nil)
	var last map[string]float64
	look := func(p *counting, c *Carried) {
		now := values(t, p, c)
		notLess(t, last, now)
		last = now
	}
	for range 10 {
		for range 200 {
			parent.count(random)
			counted++
		}
		look(parent, from)
		child, totals := newProcess(), NewCarried(nil)
		require.NoError(t, totals.Set(Totals([]Source{parent, from})))
		look(child, totals)
		var late [][]byte
		for range 30 {
			parent.count(random)
			child.count(random)
			counted += 2
			late = append(late, Totals([]Source{parent, from}))
		}
		random.Shuffle(len(late), func(i, j int) { late[i], late[j] = late[j], late[i] })
		for _, data := range late {
			require.NoError(t, totals.Set(data))
			look(child, totals)
		}
		parent, from = child, totals
	}
	snap := Gather([]Source{parent, from})
	sum := 0.0
	for _, s := range snap.Samples() {
		sum += s.Value
	}
	assert.EqualValues(t, counted, sum)
	assert.EqualValues(t, counted, snap.Samples()[20].Hist.Count())
	assert.Zero(t, snap.Bad())
}

func TestCarriedIsScrapedWhileItChanges(t *testing.T) {
	c := NewCarried(nil)
	var both sync.WaitGroup
	both.Go(func() {
		for i := range 200 {
			assert.NoError(t, c.Set(Totals([]Source{source(
				Sample{Service: "a", Name: "n", Value: float64(i)},
				Sample{Service: "a", Name: "m", Value: float64(i)},
			)})))
		}
	})
	both.Go(func() {
		last := 0.0
		for range 200 {
			got := Gather([]Source{c}).Samples()
			if len(got) == 0 {
				continue
			}
			assert.Equal(t, got[0].Value, got[1].Value, "an update is taken as a whole")
			assert.GreaterOrEqual(t, got[0].Value, last)
			last = got[0].Value
		}
	})
	both.Wait()
}

func FuzzTotals(f *testing.F) {
	f.Add(Totals([]Source{source(someTotals()...)}))
	f.Add(Totals(nil))
	f.Add([]byte("SmT\x01\x01\x00\x00\x00\x01n\x01\x01\x01\x02\xbf\xe0\x03\x01\x01\x01\x00\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := NewCarried(nil)
		if c.Set(data) != nil {
			assert.Empty(t, *c.totals.Load())
			return
		}
		before := Gather([]Source{c, source(endpointsOf(c)...)})
		assert.Zero(t, before.Bad())
		again := NewCarried(nil)
		require.NoError(t, again.Set(Totals([]Source{c, source(endpointsOf(c)...)})))
		after := Gather([]Source{again, source(endpointsOf(c)...)})
		assert.Len(t, after.Samples(), len(before.Samples()))
		assert.NotEmpty(t, scrape(t, c))
	})
}

// endpointsOf are what the samples of endpoints are added to.
func endpointsOf(c *Carried) (all []Sample) {
	c.Stats(func(s Sample) {
		if s.Attached {
			s.Attached = false
			s.Value = 0
			if s.Kind == Distribution {
				s.Hist = histogram()
			}
			all = append(all, s)
		}
	})
	return all
}

func BenchmarkTotals(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 1))
	var sources []Source
	for i := range 100 {
		p := &counting{service: fmt.Sprint("service-", i), values: make([]float64, 150)}
		for range 3000 {
			p.count(random)
		}
		sources = append(sources, p)
	}
	var data []byte
	b.Run("encode", func(b *testing.B) {
		for b.Loop() {
			data = Totals(sources)
		}
		b.ReportMetric(float64(len(data)), "bytes")
	})
	b.Run("set", func(b *testing.B) {
		c := NewCarried(nil)
		for b.Loop() {
			require.NoError(b, c.Set(data))
		}
	})
}
