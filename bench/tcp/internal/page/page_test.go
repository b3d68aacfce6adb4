package page

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"samaritan/bench/internal/findings"
	"samaritan/bench/internal/outcome"
	"samaritan/bench/tcp/internal/stand"
	"samaritan/bench/tcp/internal/trial"
)

// results are made up.
func results() *trial.Results {
	r := &trial.Results{Took: time.Minute}
	for i, l := range trial.Loads(1) {
		unit := 1.0
		if !l.Bulk() {
			unit = 1e-6
		}
		slice := func(cpu float64) []trial.Slice {
			return []trial.Slice{{CPU: cpu * unit, Rate: 10 * cpu, P50: cpu / 10, P99: cpu + float64(i)}}
		}
		r.Costs = append(r.Costs, trial.Cost{Load: l, Slices: map[stand.Kind][]trial.Slice{
			stand.Samaritan: slice(0.6), stand.HAProxy: slice(0.7), stand.Splice: slice(0.4), stand.Direct: slice(0.1),
		}})
	}
	r.Memory = &trial.Memory{
		Connections: 2000,
		Start:       map[stand.Kind][]float64{stand.Samaritan: {20 << 20}, stand.HAProxy: {3 << 20}, stand.Splice: {4 << 20}},
		Each:        map[stand.Kind][]float64{stand.Samaritan: {12 << 10}, stand.HAProxy: {1536}, stand.Splice: {1024}},
	}
	r.Apply = &trial.Apply{Services: 1000, Endpoints: 10, Listening: []float64{0.5, 0.25, 0.75}, CPU: []float64{0.1, 0.2, 0.3}, Visited: []float64{1, 2, 3}}
	r.Storm = &trial.Storm{
		Services: 100, PerMinute: 6000,
		With:    []trial.StormSlice{{P50: 0.2, P99: 3.5, CPU: 0.08}},
		Without: []trial.StormSlice{{P50: 0.1, P99: 1, CPU: 0.05}},
	}
	return r
}

func TestTablesHaveTheFigures(t *testing.T) {
	r := results()
	for _, c := range []struct{ table, want string }{
		{BulkTable(r.Costs[:4]), `upload, 8 connections +\| +0\.600 \| +0\.700 \| +0\.400 \| 1\.500 \| 1\.50–1\.50 \| +1\.20 \|`},
		{TurnTable(r.Costs[4:]), `round trips, 50 connections +\| +0\.60 \| +0\.70 \| +0\.40 \| 1\.500 \| 1\.50–1\.50 \| +\|`},
		{LatencyTable(r.Costs[4:]), `short connections, 16 at a time \| +0\.060 \| 4\.600 \| +0\.070 \| 4\.700 \| +0\.040 \| 4\.400 \| +0\.010 \| 4\.100 \|`},
		{RateTable(r.Costs), `download, 1 connection +\| GB per second \| +6\.00 \| +7\.00 \| +4\.00 \| +1\.00 \|`},
		{RateTable(r.Costs), `round trips, 50 connections +\| per second`},
		{MemoryTable(r.Memory), `Samaritan +\| +20\.0 \| +12\.0 \|\n\| HAProxy +\| +3\.00 \| +1\.50 \|`},
		{ApplyTable(r.Apply), `1000 +\| +10 \| +0\.500 \| 0\.25–0\.75 \| +0\.200 \|`},
		{StormTable(r.Storm), `none +\| +0\.100 \| +1\.000 \| +\| +\| +\| +\| +5\.0 \| +\|\n\| 6000 a minute \| +0\.200 \| +3\.500 \| +2\.500 \| 2\.50–2\.50 \| 3\.500 \| 3\.50–3\.50 \| +8\.0 \| +300 \|`},
		{outcome.Table(r.Checks()), `CPU time, upload, 1 connection +\| <= 1\.20 times HAProxy, splice \| +1\.500 \(1\.50–1\.50\) \| FAIL`},
		{outcome.Table(r.Checks()), `1000 services with 10 endpoints each listen +\| +< 1s \| +0\.50 s \(0\.25–0\.75\) \| PASS`},
		{outcome.Table(r.Checks()), `p99 of another service during 6000 changes of endpoints a minute \| +<= 1 ms more \| +2\.500 \(2\.50–2\.50\) \| FAIL`},
	} {
		assert.Regexp(t, c.want, c.table)
	}
}

func TestPageSaysHowFarItCanBeTrusted(t *testing.T) {
	r := results()
	assert.NotContains(t, Of(r, findings.About{}).Markdown, "quick run")
	r.Options.Quick, r.Options.Stand.StandIn = true, true
	assert.Contains(t, Of(r, findings.About{}).Markdown, "quick run")
	assert.Contains(t, Of(r, findings.About{}).Markdown, "played Samaritan")
}

func TestWhatWasNotMeasuredHasNoTable(t *testing.T) {
	r := results()
	r.Costs, r.Memory, r.Storm = r.Costs[:1], nil, nil
	text := Of(r, findings.About{}).Text
	assert.Contains(t, text, "CPU time per GB\n\n")
	assert.Contains(t, text, "Many services at once\n\n")
	for _, title := range []string{"round trip\n", "What clients wait", "Memory", "Endpoints that change"} {
		assert.NotContains(t, text, title)
	}
}
