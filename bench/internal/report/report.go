package report

import (
	"slices"
	"time"

	"samaritan/bench/internal/figures"
)

// Names of the targets. Subject is what the budgets are for, Peer what it is
// compared with, Reference is Redis without a proxy. Without is Subject with hot keys
// switched off, which tells what they cost; it takes part on request only.
const (
	Subject   = "samaritan"
	Peer      = "twemproxy"
	Reference = "redis"
	Without   = "no-hotkeys"
)

// Run is what one round measured of one target. Times are per request, in
// microseconds, of the target's process; CPU is the sum of User and System.
type Run struct {
	Rate   float64 `json:"requests_per_second"`
	CPU    float64 `json:"cpu_us"`
	User   float64 `json:"user_us"`
	System float64 `json:"system_us"`
	P50    float64 `json:"p50_ms"`
	P99    float64 `json:"p99_ms"`
	RSS    float64 `json:"rss_bytes"` // after the run
}

// Scenario is one kind of load and its measurements.
type Scenario struct {
	Name   string           `json:"name"`  // as on the command line
	Title  string           `json:"title"` // for people
	Detail string           `json:"detail"`
	Budget float64          `json:"budget"` // of Subject's CPU, as a multiple of Peer's
	Runs   map[string][]Run `json:"runs"`   // by target, one per round
}

// Median returns the medians of a target's runs, each figure for itself.
func (s Scenario) Median(target string) (Run, bool) {
	runs := s.Runs[target]
	if len(runs) == 0 {
		return Run{}, false
	}
	of := func(field func(Run) float64) float64 { return figures.Median(figures.Each(runs, field)) }
	return Run{
		Rate:   of(func(r Run) float64 { return r.Rate }),
		CPU:    of(func(r Run) float64 { return r.CPU }),
		User:   of(func(r Run) float64 { return r.User }),
		System: of(func(r Run) float64 { return r.System }),
		P50:    of(func(r Run) float64 { return r.P50 }),
		P99:    of(func(r Run) float64 { return r.P99 }),
		RSS:    of(func(r Run) float64 { return r.RSS }),
	}, true
}

// Ratio is Subject's CPU per request as a multiple of Peer's: the median of the
// rounds, and the lowest and the highest of them.
type Ratio struct {
	Median, Low, High float64
}

// Ratio compares the rounds that both Subject and Peer have.
func (s Scenario) Ratio() (Ratio, bool) { return s.ratio(Subject, Peer) }

func (s Scenario) ratio(a, b string) (Ratio, bool) {
	subject, peer := s.Runs[a], s.Runs[b]
	var ratios []float64
	for i := range min(len(subject), len(peer)) {
		if peer[i].CPU > 0 {
			ratios = append(ratios, subject[i].CPU/peer[i].CPU)
		}
	}
	if len(ratios) == 0 {
		return Ratio{}, false
	}
	return Ratio{Median: figures.Median(ratios), Low: slices.Min(ratios), High: slices.Max(ratios)}, true
}

// Footprint is what a target takes without load.
type Footprint struct {
	ReadyMillis   float64 `json:"ready_ms"`        // from its start until it serves
	StartRSS      float64 `json:"start_rss_bytes"` // then
	Connections   int     `json:"idle_connections"`
	PerConnection float64 `json:"bytes_per_idle_connection"`
}

// Limit is a budget for one figure of Subject's footprint.
type Limit struct {
	Name   string  `json:"name"`
	Unit   string  `json:"unit"`
	Budget float64 `json:"budget"` // in Unit

	figure func(Footprint) float64 // in Unit
}

// Machine is where and with what the benchmark ran.
type Machine struct {
	CPU       string `json:"cpu"`
	Cores     int    `json:"cores"`
	Kernel    string `json:"kernel"`
	Pinned    bool   `json:"pinned"` // proxies on a CPU of their own
	Go        string `json:"go"`
	Redis     string `json:"redis"`
	Peer      string `json:"peer"`
	Subject   string `json:"subject"`
	Connected string `json:"topology"` // what stands behind the proxies
}

// Report is everything that one benchmark found.
type Report struct {
	Date       time.Time            `json:"date"`
	Machine    Machine              `json:"machine"`
	Rounds     int                  `json:"rounds"`
	Seconds    float64              `json:"seconds"` // of each run
	Scenarios  []Scenario           `json:"scenarios"`
	Footprints map[string]Footprint `json:"footprints"` // by target
	Limits     []Limit              `json:"limits"`
}

// Limits returns the budgets of the footprint: mostRSS in MiB, mostPerConnection
// in KiB and mostMillis to be ready.
func Limits(mostRSS, mostPerConnection, mostMillis float64) []Limit {
	return []Limit{
		{"RSS at start", "MiB", mostRSS, func(f Footprint) float64 { return f.StartRSS / (1 << 20) }},
		{"Memory per idle connection", "KiB", mostPerConnection, func(f Footprint) float64 { return f.PerConnection / (1 << 10) }},
		{"Start to ready", "ms", mostMillis, func(f Footprint) float64 { return f.ReadyMillis }},
	}
}

// OverBudget names what exceeds its budget, in the order of the report.
func (r Report) OverBudget() []string {
	var names []string
	for _, s := range r.Scenarios {
		if ratio, ok := s.Ratio(); ok && ratio.Median > s.Budget {
			names = append(names, s.Title)
		}
	}
	f, ok := r.Footprints[Subject]
	for _, l := range r.Limits {
		if ok && l.figure(f) > l.Budget {
			names = append(names, l.Name)
		}
	}
	return names
}
