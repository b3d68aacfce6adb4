package stats

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// scrape renders the sources in the Prometheus text format. The pedantic
// registry checks what it is given.
func scrape(t *testing.T, sources ...Source) string {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	require.NoError(t, reg.Register(NewCollector(func() []Source { return sources })))
	_, err := reg.Gather()
	require.NoError(t, err)
	rec := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	require.Equal(t, 200, rec.Code)
	return rec.Body.String()
}

func TestPrometheusNamesLabelsAndTypes(t *testing.T) {
	got := scrape(t, source(
		Sample{Service: "a.b", Name: "downstream.cx_total", Value: 5, Help: "Connections."},
		Sample{Service: "c", Name: "downstream.cx_total", Value: 6},
		Sample{Service: "a.b", Name: "upstream.slots_refresh.total", Value: 2},
		Sample{Service: "a.b", Name: "redis.total", Command: "get", Value: 12},
		Sample{Name: "live", Kind: Gauge, Value: 1},
	))
	assert.Equal(t, `# HELP samaritan_live Samaritan live.
# TYPE samaritan_live gauge
samaritan_live 1
# HELP samaritan_runtime_stats_bad_samples Samples left out of this scrape.
# TYPE samaritan_runtime_stats_bad_samples gauge
samaritan_runtime_stats_bad_samples 0
# HELP samaritan_service_downstream_cx_total Connections.
# TYPE samaritan_service_downstream_cx_total counter
samaritan_service_downstream_cx_total{service_name="a.b"} 5
samaritan_service_downstream_cx_total{service_name="c"} 6
# HELP samaritan_service_redis_total Samaritan redis.total.
# TYPE samaritan_service_redis_total counter
samaritan_service_redis_total{redis_cmd="get",service_name="a.b"} 12
# HELP samaritan_service_upstream_slots_refresh_total Samaritan upstream.slots_refresh.total.
# TYPE samaritan_service_upstream_slots_refresh_total counter
samaritan_service_upstream_slots_refresh_total{service_name="a.b"} 2
`, got)
}

func TestEndpointIsALabelOfItsOwn(t *testing.T) {
	src := source(
		Sample{Service: "a", Name: "endpoint.cx_total", Endpoint: "10.0.0.1:80", Value: 1},
		Sample{Service: "a", Name: "endpoint.cx_total", Endpoint: "[::1]:80", Value: 2},
		Sample{Service: "a", Name: "endpoint.cx_total", Endpoint: "10.0.0.1:80", Value: 4}, // of another loop
	)
	metrics := scrape(t, src)
	assert.Contains(t, metrics, `samaritan_service_endpoint_cx_total{endpoint="10.0.0.1:80",service_name="a"} 5`)
	assert.Contains(t, metrics, `samaritan_service_endpoint_cx_total{endpoint="[::1]:80",service_name="a"} 2`)
	assert.Equal(t, "service.a.endpoint.10_0_0_1_80.cx_total: 5\nservice.a.endpoint.[__1]_80.cx_total: 2\n", text(t, "endpoint", src))
}

func TestPrometheusHistogram(t *testing.T) {
	got := scrape(t, source(
		Sample{
			Service: "a", Name: "redis.latency_micros", Command: "get", Kind: Distribution,
			Hist: histogram(20, 80, 80, 3_000_000, 60_000_000),
		},
		Sample{Service: "a", Name: "downstream.rq_duration_ms", Kind: Distribution, Hist: histogram(20, 49, 4000), Scale: 0.001},
	))
	for _, line := range []string{
		`# TYPE samaritan_service_redis_latency_micros histogram`,
		`samaritan_service_redis_latency_micros_bucket{redis_cmd="get",service_name="a",le="50"} 1`,
		`samaritan_service_redis_latency_micros_bucket{redis_cmd="get",service_name="a",le="100"} 3`,
		`samaritan_service_redis_latency_micros_bucket{redis_cmd="get",service_name="a",le="2.5e+06"} 3`,
		`samaritan_service_redis_latency_micros_bucket{redis_cmd="get",service_name="a",le="5e+06"} 4`,
		`samaritan_service_redis_latency_micros_bucket{redis_cmd="get",service_name="a",le="1e+07"} 4`,
		`samaritan_service_redis_latency_micros_bucket{redis_cmd="get",service_name="a",le="+Inf"} 5`,
		`samaritan_service_redis_latency_micros_sum{redis_cmd="get",service_name="a"} 6.300018e+07`,
		`samaritan_service_redis_latency_micros_count{redis_cmd="get",service_name="a"} 5`,
		`samaritan_service_downstream_rq_duration_ms_bucket{service_name="a",le="0.05"} 2`,
		`samaritan_service_downstream_rq_duration_ms_bucket{service_name="a",le="5"} 3`,
		`samaritan_service_downstream_rq_duration_ms_sum{service_name="a"} 4.069`,
	} {
		assert.Contains(t, got, line+"\n")
	}
}

func TestBoundsFollowTheUnit(t *testing.T) {
	for name, first := range map[string]float64{
		"x_ms": 0.05, "x_micros": 50, "x_sec": 0.1, "x_bytes": 1, "x": 1,
	} {
		bounds := boundsOf(name)
		assert.Equal(t, first, bounds[0], name)
		assert.IsIncreasing(t, bounds, name)
	}
}

func TestABadSampleNeverFailsTheScrape(t *testing.T) {
	got := scrape(t,
		source(
			Sample{Service: "bad\xff\"\n", Name: "up.total\xff-x", Value: 1},
			Sample{Service: "a", Name: "x.y", Value: 1},
			Sample{Service: "a", Name: "x_y", Value: 2},                     // the same metric
			Sample{Service: "c", Name: "x.y", Kind: Gauge, Value: 3},        // another type
			Sample{Service: "b", Name: "x.y", Command: "get", Value: 3},     // other labels
			Sample{Name: "service.x.y", Value: 3},                           // other labels
			Sample{Service: "b", Name: "x.y", Help: "other help", Value: 4}, // the first help stays
			Sample{Name: "none", Kind: Distribution},
		),
		SourceFunc(func(func(Sample)) { panic("a bug") }),
	)
	for _, line := range []string{
		"samaritan_service_up_total__x{service_name=\"bad_\\\"\\n\"} 1",
		`samaritan_service_x_y{service_name="a"} 1`,
		`samaritan_service_x_y{service_name="b"} 4`,
		`samaritan_runtime_stats_bad_samples 6`,
	} {
		assert.Contains(t, got, line+"\n")
	}
}

func TestRuntimeSamplesAreMetricsToo(t *testing.T) {
	got := scrape(t, NewRuntime(time.Now()))
	assert.Contains(t, got, "samaritan_live 1\n")
	for _, name := range []string{"goroutines", "rss_bytes", "gc_total", "uptime_sec"} {
		assert.Regexp(t, `(?m)^samaritan_runtime_`+name+` \d`, got)
	}
}

func TestValuesAboveTheLastBoundAreOnlyInTheCount(t *testing.T) {
	got := scrape(t, source(Sample{
		Service: "a", Name: "downstream.cx_length_sec", Kind: Distribution,
		Hist: histogram(1500, 90_000_000), Scale: 0.001,
	}))
	assert.Contains(t, got, `_bucket{service_name="a",le="86400"} 1`+"\n")
	assert.Contains(t, got, `_bucket{service_name="a",le="+Inf"} 2`+"\n")
}
