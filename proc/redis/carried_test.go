package redis

import (
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/stats"
)

// scraped are the counters and histograms that Prometheus gets from the sources.
func scraped(t testing.TB, sources ...stats.Source) map[string]float64 {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	require.NoError(t, reg.Register(stats.NewCollector(func() []stats.Source { return sources })))
	rec := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	all := map[string]float64{}
	gauge := false
	for line := range strings.Lines(rec.Body.String()) {
		fields := strings.Fields(line)
		if fields[0] == "#" {
			gauge = fields[len(fields)-1] == "gauge"
			continue
		}
		v, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		require.NoError(t, err, line)
		if !gauge || strings.HasPrefix(line, "samaritan_runtime_stats_bad_samples") {
			all[strings.TrimSuffix(line, fields[len(fields)-1]+"\n")] = v
		}
	}
	require.NotEmpty(t, all)
	return all
}

// TestCountersOfAServiceGoOnInTheSuccessor: whoever scrapes sees no counter go back, nor
// one that is missing, although the successor has not got every command yet.
func TestCountersOfAServiceGoOnInTheSuccessor(t *testing.T) {
	parent, _ := sharedProxy(t)
	child, _ := sharedProxy(t)
	workload(t, parent)
	carried := stats.NewCarried(func(service string) bool { return service == "test" })
	last := scraped(t, parent)
	look := func() {
		t.Helper()
		now := scraped(t, child, carried)
		for name, before := range last {
			after, there := now[name]
			require.True(t, there, name)
			require.GreaterOrEqual(t, after, before, name)
		}
		last = now
	}
	totals := func() []byte { return stats.Totals([]stats.Source{parent}) }
	require.NoError(t, carried.Set(totals()))
	look()
	early := totals()
	late := connect(t, parent.Addr)
	for range 3 {
		must(t, late, "GET", "hot") // served by the parent still
		require.NoError(t, carried.Set(totals()))
		look()
		workload(t, child)
		look()
	}
	require.NoError(t, carried.Set(early))
	look()
	gets := 0.0
	for name, v := range last {
		if strings.Contains(name, "service_redis_total{") && strings.Contains(name, `redis_cmd="get"`) {
			gets += v
		}
	}
	assert.EqualValues(t, 60*4+3, gets)
	assert.Zero(t, last["samaritan_runtime_stats_bad_samples "])
	t.Logf("%d bytes", len(totals()))
}
