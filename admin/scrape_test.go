package admin

import (
	"regexp"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/stats"
)

func TestStatsAreSortedLines(t *testing.T) {
	a := start(t, full()).get("/stats")
	require.Equal(t, 200, a.status)
	assert.Equal(t, "text/plain; charset=utf-8", a.header.Get("Content-Type"))
	lines := strings.Split(strings.TrimSuffix(a.body, "\n"), "\n")
	assert.True(t, sort.StringsAreSorted(lines))
	for _, l := range lines {
		assert.Regexp(t, `^[a-z0-9_.]+: -?[0-9.]+$`, l)
	}
	for _, want := range []string{
		"live: 1\n", "service.orders_eu.downstream.cx_total: 5\n", "service.orders_eu.redis.get.total: 12\n",
		"service.orders_eu.downstream.rq_duration_ms.max: 0.12\n", "admin.rq_total: 1\n", "runtime.goroutines: ",
	} {
		assert.Contains(t, a.body, want)
	}
}

func TestStatsFilter(t *testing.T) {
	h := start(t, full())
	assert.Equal(t, "service.orders_eu.redis.get.total: 12\n", h.get("/stats?filter=redis.get").body)
	assert.Equal(t, "service.orders_eu.redis.get.total: 12\n", h.get("/stats/?filter=redis.get").body)
	assert.Empty(t, h.get("/stats?filter=.*").body)
}

// checkPrometheus reads the text format by its grammar: every sample line has
// a name whose family was announced by a TYPE line just above, no series comes
// twice, and histogram buckets grow up to the count.
func checkPrometheus(t *testing.T, text string) map[string]string {
	t.Helper()
	sample := regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\.)*",?)*\})? (\S+)$`)
	series := make(map[string]string)
	family, kind := "", ""
	require.True(t, strings.HasSuffix(text, "\n"))
	for l := range strings.Lines(text) {
		l = strings.TrimSuffix(l, "\n")
		if f := strings.Fields(l); f[0] == "#" {
			require.Contains(t, []string{"HELP", "TYPE"}, f[1], l)
			if f[1] == "TYPE" {
				family, kind = f[2], f[3]
			}
			continue
		}
		m := sample.FindStringSubmatch(l)
		require.NotNil(t, m, "not a sample: %q", l)
		name := m[1]
		if kind == "histogram" || kind == "summary" {
			name = regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		}
		require.Equal(t, family, name, l)
		require.NotContains(t, series, m[1]+m[2], "twice")
		series[m[1]+m[2]] = m[3]
	}
	return series
}

func TestPrometheusText(t *testing.T) {
	h := start(t, full())
	for _, path := range []string{"/stats/prometheus", "/metrics", "/metrics/"} {
		a := h.get(path)
		require.Equal(t, 200, a.status)
		assert.Contains(t, a.header.Get("Content-Type"), "text/plain")
		series := checkPrometheus(t, a.body)
		for name, value := range map[string]string{
			`samaritan_live`: "1",
			`samaritan_service_downstream_cx_total{service_name="orders.eu"}`:                        "5",
			`samaritan_service_redis_total{redis_cmd="get",service_name="orders.eu"}`:                "12",
			`samaritan_service_downstream_rq_duration_ms_bucket{service_name="orders.eu",le="0.1"}`:  "0",
			`samaritan_service_downstream_rq_duration_ms_bucket{service_name="orders.eu",le="0.25"}`: "1",
			`samaritan_service_downstream_rq_duration_ms_bucket{service_name="orders.eu",le="+Inf"}`: "1",
			`samaritan_service_downstream_rq_duration_ms_sum{service_name="orders.eu"}`:              "0.12",
			`samaritan_service_downstream_rq_duration_ms_count{service_name="orders.eu"}`:            "1",
			`samaritan_runtime_stats_bad_samples`:                                                    "0",
		} {
			assert.Equal(t, value, series[name], name)
		}
		assert.Contains(t, series, "go_goroutines")
		assert.Contains(t, series, "process_resident_memory_bytes")
	}
}

func TestABrokenSourceFailsNoScrape(t *testing.T) {
	o := full()
	o.Sources = func() []stats.Source {
		return []stats.Source{
			stats.SourceFunc(func(emit func(stats.Sample)) {
				emit(stats.Sample{Service: "a\xff", Name: "downstream.cx_total", Value: 1})
				emit(stats.Sample{Service: "a", Name: "downstream.cx_total", Kind: stats.Gauge, Value: 1})
				emit(stats.Sample{Name: "x y"})
				panic("a bug")
			}),
			stats.NewRuntime(time.Now()),
		}
	}
	h := start(t, o)
	series := checkPrometheus(t, h.get("/metrics").body)
	assert.Equal(t, "1", series[`samaritan_service_downstream_cx_total{service_name="a_"}`])
	assert.Equal(t, "3", series["samaritan_runtime_stats_bad_samples"])
	assert.Equal(t, "1", series["samaritan_live"])
	assert.Contains(t, h.get("/stats").body, "runtime.stats_bad_samples: 2\n")
}

func TestConcurrentScrapesRunOneAtATime(t *testing.T) {
	var now, most, scrapes atomic.Int64
	o := full()
	o.Sources = func() []stats.Source {
		return []stats.Source{stats.SourceFunc(func(emit func(stats.Sample)) {
			n := now.Add(1)
			defer now.Add(-1)
			if n > most.Load() {
				most.Store(n)
			}
			scrapes.Add(1)
			emit(stats.Sample{Name: "x"})
		})}
	}
	h := start(t, o)
	var wg sync.WaitGroup
	for i := range 40 {
		path := []string{"/stats", "/metrics"}[i%2]
		wg.Go(func() { assert.Equal(t, 200, h.get(path).status) })
	}
	wg.Wait()
	assert.EqualValues(t, 40, scrapes.Load())
	assert.EqualValues(t, 1, most.Load())
}

func TestAScrapeThatHangsBlocksOnlyScrapes(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	o := full()
	o.Sources = func() []stats.Source {
		return []stats.Source{stats.SourceFunc(func(func(stats.Sample)) {
			close(entered)
			<-release
		})}
	}
	h := start(t, o)
	h.scrapeWait = time.Millisecond
	first := make(chan answer, 1)
	go func() { first <- h.get("/stats") }()
	<-entered
	requireError(t, h.get("/stats"), 503)
	requireError(t, h.get("/metrics"), 503)
	assert.Equal(t, 200, h.get("/ready").status)
	close(release)
	assert.Equal(t, 200, (<-first).status)
}
