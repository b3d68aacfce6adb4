package page

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"samaritan/bench/compression/internal/trial"
	"samaritan/bench/internal/findings"
	"samaritan/bench/internal/outcome"
)

// results are made up.
func results() *trial.Results {
	r := &trial.Results{Took: time.Minute}
	for _, size := range trial.RatioSizes {
		r.Ratios = append(r.Ratios, trial.Ratio{Kind: "json", Size: size, Snappy: 2.875, Zstd: 4.1})
	}
	r.Stores = []trial.Store{{Kind: "json", Size: 16 << 10, Count: 100, Kept: map[string]trial.Taken{
		trial.Off:    {Memory: 100 << 20, Sent: 1000, Received: 2000},
		trial.Snappy: {Memory: 40 << 20, Sent: 500, Received: 1000},
		trial.Zstd:   {Memory: 100<<20 + 1, Sent: 250, Received: 3000},
	}}}
	load := trial.Load{Name: "GET", Kind: "json", Size: 64, Limit: 2.2, Judged: trial.Snappy}
	r.Costs = []trial.Cost{{Load: load, Slices: map[string][]float64{trial.Off: {10, 10, 10}, trial.Snappy: {15, 20, 16}, trial.Zstd: {30, 30, 30}}}}
	load.Judged, load.Limit = trial.Below, 1.02
	r.Untouched = []trial.Cost{{Load: load, Slices: map[string][]float64{trial.Off: {1, 1}, trial.Again: {1, 1.02}, trial.Below: {2, 2}}}}
	r.Latencies = []trial.Latency{{
		Connections: 16,
		P50:         map[string][]float64{trial.Off: {0.1}, trial.Snappy: {0.2}, trial.Zstd: {0.3}},
		P99:         map[string][]float64{trial.Off: {1.1}, trial.Snappy: {1.2}, trial.Zstd: {1.3}},
	}}
	return r
}

func TestTablesHaveTheFigures(t *testing.T) {
	r := results()
	for _, c := range []struct{ table, want string }{
		{RatioTable(r.Ratios), `json +\| +2\.88 \| 4\.10`},
		{MemoryTable(r.Stores), `100 of 16 KiB json \| +100\.0 \| +40\.0 \| 60 % \| +100\.0 \| +0 %`},
		{WireTable(r.Stores), `1000 \| +500 \| 50 % \| +250 \| 75 % \| +2000 \| +1000 \| 50 % \| 3000 \| -50 %`},
		{CostTable(r.Costs, trial.Snappy, trial.Zstd), `GET +\| 64 bytes json \| +10\.0 \| +16\.0 \| +1\.600 \| +1\.50–2\.00 \| +30\.0 \| +3\.000 \| +3\.00–3\.00 \| 2\.20, snappy`},
		{CostTable(r.Untouched, trial.Below, trial.Again), `1\.00 \| +2\.00 \| +2\.000 .* 1\.010 .* 1\.02, below`},
		{LatencyTable(r.Latencies), `16 +\| +0\.100 \| 1\.100 \| +0\.200 \| 1\.200 \| +0\.300 \| 1\.300`},
		{outcome.Table(r.Checks()), `CPU time, snappy: GET, 64 bytes json +\| +<= 2\.20 times off \| +1\.600 \(1\.50–2\.00\) \| PASS`},
		{outcome.Table(r.Checks()), `CPU time, below: GET, 64 bytes json +\| +<= 1\.02 times off \| +2\.000 \(2\.00–2\.00\) \| FAIL`},
	} {
		assert.Regexp(t, c.want, c.table)
	}
}

func TestPageSaysHowFarItCanBeTrusted(t *testing.T) {
	r := results()
	assert.NotContains(t, Of(r, findings.About{}).Markdown, "quick run")
	r.Quick = true
	assert.Contains(t, Of(r, findings.About{}).Markdown, "quick run")
}
