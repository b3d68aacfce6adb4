package stats

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func source(samples ...Sample) Source {
	return SourceFunc(func(emit func(Sample)) {
		for _, s := range samples {
			emit(s)
		}
	})
}

func histogram(values ...uint64) *Histogram {
	h := new(Histogram)
	for _, v := range values {
		h.Observe(v)
	}
	return h
}

func text(t *testing.T, filter string, sources ...Source) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, Gather(sources).WriteText(&b, filter))
	return b.String()
}

func TestTextIsSortedNamesAndValues(t *testing.T) {
	got := text(t, "", source(
		Sample{Service: "orders.eu", Name: "upstream.slots_refresh.total", Value: 3},
		Sample{Service: "orders.eu", Name: "redis.total", Command: "get", Value: 12},
		Sample{Service: "orders.eu", Name: "redis.latency_micros", Command: "get", Kind: Distribution, Hist: histogram(10, 20, 30)},
		Sample{Service: "orders.eu", Name: "downstream.cx_total", Value: 5},
		Sample{Service: "orders.eu", Name: "downstream.rq_duration_ms", Kind: Distribution, Hist: histogram(100), Scale: 0.001},
		Sample{Name: "live", Kind: Gauge, Value: 1},
		Sample{Name: "runtime.big", Kind: Gauge, Value: 1e18},
		Sample{Name: "runtime.small", Kind: Gauge, Value: 0.1 + 0.2},
	))
	assert.Equal(t, `live: 1
runtime.big: 1000000000000000000
runtime.small: 0.3
runtime.stats_bad_samples: 0
service.orders_eu.downstream.cx_total: 5
service.orders_eu.downstream.rq_duration_ms.count: 1
service.orders_eu.downstream.rq_duration_ms.max: 0.1
service.orders_eu.downstream.rq_duration_ms.p50: 0.1
service.orders_eu.downstream.rq_duration_ms.p90: 0.1
service.orders_eu.downstream.rq_duration_ms.p99: 0.1
service.orders_eu.downstream.rq_duration_ms.p99_9: 0.1
service.orders_eu.downstream.rq_duration_ms.sum: 0.1
service.orders_eu.redis.get.latency_micros.count: 3
service.orders_eu.redis.get.latency_micros.max: 30
service.orders_eu.redis.get.latency_micros.p50: 20
service.orders_eu.redis.get.latency_micros.p90: 30
service.orders_eu.redis.get.latency_micros.p99: 30
service.orders_eu.redis.get.latency_micros.p99_9: 30
service.orders_eu.redis.get.latency_micros.sum: 60
service.orders_eu.redis.get.total: 12
service.orders_eu.upstream.slots_refresh.total: 3
`, got)
}

func TestFilterIsAPlainSubstringOfTheName(t *testing.T) {
	src := source(
		Sample{Service: "a", Name: "upstream.cx_total", Value: 7},
		Sample{Service: "a", Name: "upstream.moved", Value: 7},
	)
	assert.Equal(t, "service.a.upstream.moved: 7\n", text(t, "moved", src))
	assert.Empty(t, text(t, ".*", src))
	assert.Empty(t, text(t, ": 7", src))
}

func TestWeirdNamesCannotBreakALine(t *testing.T) {
	got := text(t, "service", source(
		Sample{Service: "a\nlive: 0\xff é", Name: "downstream.cx_total"},
		Sample{Service: "b", Name: "redis.total", Command: "x.y:\r\n z"},
	))
	assert.Equal(t, "service.a_live__0__é.downstream.cx_total: 0\nservice.b.redis.x_y____z.total: 0\n", got)
}

func TestGatherAddsUpTheSharesOfSeveralSources(t *testing.T) {
	first := histogram(1, 2)
	snap := Gather([]Source{
		source(
			Sample{Service: "a", Name: "n", Value: 2},
			Sample{Service: "a", Name: "h", Kind: Distribution, Hist: first},
		),
		nil,
		source(
			Sample{Service: "a", Name: "n", Value: 3},
			Sample{Service: "b", Name: "n", Value: 10},
			Sample{Service: "a", Name: "h", Kind: Distribution, Hist: histogram(3)},
			Sample{Service: "a", Name: "h", Kind: Distribution, Hist: histogram(4)},
		),
	})
	samples := snap.Samples()
	require.Len(t, samples, 3)
	assert.Equal(t, 5.0, samples[0].Value)
	assert.EqualValues(t, 4, samples[1].Hist.Count())
	assert.Equal(t, 10.0, samples[2].Value)
	assert.EqualValues(t, 2, first.Count(), "an emitted histogram is only read")
	assert.Zero(t, snap.Bad())
}

func TestBadSamplesAreLeftOutAndCounted(t *testing.T) {
	snap := Gather([]Source{
		source(
			Sample{Service: "a", Name: "good"},
			Sample{Name: ""},
			Sample{Name: "has space"},
			Sample{Name: "a: b"},
			Sample{Name: "no_hist", Kind: Distribution},
			Sample{Name: "scale", Kind: Distribution, Hist: histogram(), Scale: math.NaN()},
			Sample{Name: "scale", Kind: Distribution, Hist: histogram(), Scale: -1},
			Sample{Name: "kind", Kind: 77},
			Sample{Service: "a", Name: "good", Kind: Gauge},
			Sample{Name: "h", Kind: Distribution, Hist: histogram()},
			Sample{Name: "h", Kind: Distribution, Hist: histogram(), Scale: 2},
		),
		SourceFunc(func(emit func(Sample)) {
			emit(Sample{Name: "before"})
			panic("a bug in a source")
		}),
		source(Sample{Name: "after"}),
	})
	var names []string
	for _, s := range snap.Samples() {
		names = append(names, s.Name)
	}
	assert.Equal(t, []string{"good", "h", "before", "after"}, names)
	assert.EqualValues(t, 10, snap.Bad())
}

type brokenWriter struct{}

var errBroken = errors.New("broken")

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestWriteTextReturnsTheErrorOfTheWriter(t *testing.T) {
	assert.ErrorIs(t, Gather(nil).WriteText(brokenWriter{}, ""), errBroken)
}

func TestRuntimeReportsTheProcess(t *testing.T) {
	got := make(map[string]float64)
	NewRuntime(time.Now().Add(-time.Hour)).Stats(func(s Sample) { got[s.Name] = s.Value })
	assert.Equal(t, 1.0, got["live"])
	assert.InDelta(t, 3600, got["runtime.uptime_sec"], 5)
	for _, name := range []string{
		"runtime.start_time_sec", "runtime.gomaxprocs", "runtime.goroutines", "runtime.heap_alloc_bytes",
		"runtime.heap_objects", "runtime.sys_bytes", "runtime.rss_bytes", "runtime.open_fds", "runtime.max_fds",
	} {
		assert.Positive(t, got[name], name)
	}
	for _, name := range []string{"runtime.gc_total", "runtime.cpu_user_sec_total", "runtime.cpu_sys_sec_total"} {
		assert.Contains(t, got, name)
	}
}

func TestParseStatm(t *testing.T) {
	tests := []struct {
		in   string
		want uint64
		ok   bool
	}{
		{"1000 25 7 1 0 9 0\n", 25 * 4096, true},
		{"1000 25", 25 * 4096, true},
		{"1000", 0, false},
		{"", 0, false},
		{"1 -2 3", 0, false},
		{"1 99999999999999999999 3", 0, false},
	}
	for _, tt := range tests {
		got, ok := parseStatm([]byte(tt.in), 4096)
		assert.Equal(t, tt.ok, ok, tt.in)
		assert.Equal(t, tt.want, got, tt.in)
	}
}
