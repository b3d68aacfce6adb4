package report

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func runs(cpus ...float64) []Run {
	var runs []Run
	for _, cpu := range cpus {
		runs = append(runs, Run{Rate: 1e6 / cpu, CPU: cpu, User: cpu / 4, System: cpu * 3 / 4, P50: 0.3, P99: 1.25, RSS: 10 << 20})
	}
	return runs
}

func sample() Report {
	return Report{
		Date:    time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC),
		Machine: Machine{CPU: "Example <CPU>", Cores: 2, Kernel: "6.1", Go: "go1.26", Redis: "Redis 7.0.15", Peer: "twemproxy 0.5.0", Subject: "dev", Connected: "3 masters"},
		Rounds:  3, Seconds: 3,
		Scenarios: []Scenario{
			{
				Name: "get", Title: "GET", Detail: "50 connections", Budget: 0.9,
				Runs: map[string][]Run{Subject: runs(10, 12, 11), Peer: runs(20, 40, 10), Reference: runs(8)},
			},
			{
				Name: "mget", Title: "MGET of 10 keys", Detail: "50 connections", Budget: 0.75,
				Runs: map[string][]Run{Subject: runs(30), Peer: runs(50)},
			},
		},
		Footprints: map[string]Footprint{
			Subject: {ReadyMillis: 20, StartRSS: 21 << 20, Connections: 10000, PerConnection: 2 << 10},
			Peer:    {ReadyMillis: 5, StartRSS: 3 << 20, Connections: 10000, PerConnection: 512},
		},
		Limits: Limits(20, 3, 100),
	}
}

func TestRatioIsTheMedianOfPairs(t *testing.T) {
	ratio, ok := sample().Scenarios[0].Ratio()
	require.True(t, ok)
	assert.Equal(t, Ratio{Median: 0.5, Low: 0.3, High: 1.1}, ratio)

	_, ok = Scenario{Runs: map[string][]Run{Subject: runs(1)}}.Ratio()
	assert.False(t, ok, "nothing to compare with")
	_, ok = Scenario{Runs: map[string][]Run{Subject: runs(1), Peer: {{}}}}.Ratio()
	assert.False(t, ok, "a peer that took no time")
}

func TestBudgets(t *testing.T) {
	r := sample()
	assert.Equal(t, []string{"RSS at start"}, r.OverBudget())
	r.Scenarios[1].Budget = 0.59
	assert.Equal(t, []string{"MGET of 10 keys", "RSS at start"}, r.OverBudget())
	r.Scenarios[1].Budget = 0.6
	delete(r.Footprints, Subject)
	assert.Empty(t, r.OverBudget(), "what was not measured is not over its budget")
}

func TestTablesAreAligned(t *testing.T) {
	r := sample()
	for _, table := range []string{r.LoadTable(), r.FootprintTable()} {
		lines := strings.Split(strings.TrimSuffix(table, "\n"), "\n")
		for _, line := range lines {
			assert.Len(t, []rune(line), len([]rune(lines[0])), line)
			assert.Equal(t, strings.Count(lines[0], "|"), strings.Count(line, "|"), line)
		}
	}
}

func TestLoadTable(t *testing.T) {
	lines := strings.Split(sample().LoadTable(), "\n")
	want := []string{
		"scenario target requests/s CPU µs/req user system p50 ms p99 ms RSS MiB ratio rounds from–to budget",
		"GET samaritan 90909 11.0 2.75 8.25 0.30 1.25 10.0 0.50 0.30–1.10 0.90 ok",
		"twemproxy 50000 20.0 5.00 15.0 0.30 1.25 10.0",
		"redis 125000 8.00 2.00 6.00 0.30 1.25 10.0",
		"MGET of 10 keys samaritan 33333 30.0 7.50 22.5 0.30 1.25 10.0 0.60 0.60–0.60 0.75 ok",
	}
	for i, row := range append(lines[:1:1], lines[2:6]...) {
		assert.Equal(t, want[i], strings.Join(strings.Fields(strings.ReplaceAll(row, "|", " ")), " "))
	}
}

func TestFootprintTableMarksWhatIsOver(t *testing.T) {
	table := sample().FootprintTable()
	assert.Contains(t, table, "over budget")
	assert.Equal(t, 2, strings.Count(table, "ok"))
	assert.Empty(t, Report{}.FootprintTable())
}

func TestPageHasItAll(t *testing.T) {
	r := sample()
	page := r.Markdown("benchmark.svg")
	for _, part := range []string{
		"(benchmark.svg)", "2026-05-04", "Linux 6.1", "Redis 7.0.15", "twemproxy 0.5.0", "go1.26", "3 rounds of 3 s",
		"10000 clients", r.LoadTable(), r.FootprintTable(),
	} {
		assert.Contains(t, page, part)
	}
	assert.NotContains(t, page, "%!")
}

func TestPictureIsWellFormed(t *testing.T) {
	for _, r := range []Report{sample(), {}} {
		d := xml.NewDecoder(strings.NewReader(r.SVG()))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
		}
	}
}

func TestPictureShowsRatioAndBudget(t *testing.T) {
	svg := sample().SVG()
	for _, part := range []string{"0.50×", "budget 0.90×", "11.0 µs", "20.0 µs", "MGET of 10 keys", "prefers-color-scheme:dark", "Example &lt;CPU&gt;"} {
		assert.Contains(t, svg, part)
	}
	assert.NotContains(t, svg, "ratio over")
	r := sample()
	r.Scenarios[0].Budget = 0.4
	assert.Contains(t, r.SVG(), "ratio over")
}

func TestBarsFitWhenPeerIsBetter(t *testing.T) {
	rows := []bar{{Scenario: Scenario{Budget: 0.9}, ratio: 2}, {Scenario: Scenario{Budget: 0.9}, ratio: 0.5}}
	assert.InDelta(t, barWidth/2, barScale(rows), 1e-9)
	assert.InDelta(t, barWidth, barScale(rows[1:]), 1e-9)
}

func TestReportIsJSON(t *testing.T) {
	b, err := json.Marshal(sample())
	require.NoError(t, err)
	var back Report
	require.NoError(t, json.Unmarshal(b, &back))
	assert.Equal(t, sample().Scenarios, back.Scenarios)
	assert.Equal(t, sample().Footprints, back.Footprints)
}
