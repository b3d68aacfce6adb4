package trial

import (
	"log/slog"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samaritan/bench/internal/outcome"
	"samaritan/bench/tcp/internal/load"
	"samaritan/bench/tcp/internal/stand"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cpus are slices that have these CPU times.
func cpus(cpu ...float64) (all []Slice) {
	for _, c := range cpu {
		all = append(all, Slice{CPU: c})
	}
	return all
}

func TestTheBetterHAProxyCounts(t *testing.T) {
	c := Cost{Slices: map[stand.Kind][]Slice{
		stand.Samaritan: cpus(10, 20, 10), stand.HAProxy: cpus(5, 5, 5), stand.Splice: cpus(4, 10, 4),
	}}
	assert.Equal(t, stand.Splice, c.Peer())
	assert.Equal(t, 2.5, c.Times().Median)
	c.Slices[stand.Splice] = cpus(6, 6, 6)
	assert.Equal(t, stand.HAProxy, c.Peer())
	assert.Equal(t, 2.0, c.Times().Median)
	assert.Equal(t, 10.0, c.Median(stand.Samaritan).CPU)
}

func TestBoundsAreJudged(t *testing.T) {
	cost := func(limit float64, cpu ...float64) Cost {
		return Cost{Load: Load{Limit: limit}, Slices: map[stand.Kind][]Slice{
			stand.Samaritan: cpus(cpu...), stand.HAProxy: cpus(1, 1, 1), stand.Splice: cpus(2, 2, 2),
		}}
	}
	storm := func(p99 ...float64) *Storm {
		s := new(Storm)
		for _, v := range p99 {
			s.With, s.Without = append(s.With, StormSlice{P99: v}), append(s.Without, StormSlice{P99: 1})
		}
		return s
	}
	r := &Results{
		Costs: []Cost{cost(1.2, 1.2, 1.2, 1.2), cost(1.2, 1.3, 1.3, 1.3), cost(1.2, 1.1, 1.3, 1.4), cost(1.2), cost(0, 9, 9, 9)},
		Apply: &Apply{Listening: []float64{0.9, 2, 0.5}},
		Storm: storm(1.5, 2.1, 2.2),
	}
	verdicts := func() (all []outcome.Verdict) {
		for _, c := range r.Checks() {
			all = append(all, c.Verdict)
		}
		return all
	}
	assert.Equal(t, []outcome.Verdict{outcome.Pass, outcome.Fail, outcome.Unsure, outcome.Fail, outcome.Pass, outcome.Unsure}, verdicts())
	r.Apply.Listening, r.Storm = []float64{1}, storm(2)
	assert.Equal(t, []outcome.Verdict{outcome.Fail, outcome.Pass}, verdicts()[4:])
	r.Options.Quick = true
	assert.Equal(t, []outcome.Verdict{outcome.TooShort, outcome.TooShort, outcome.TooShort, outcome.Fail, outcome.TooShort, outcome.TooShort}, verdicts())
}

// The limits that the project has set itself.
func TestLimits(t *testing.T) {
	limits := map[string]float64{}
	for _, l := range Loads(1) {
		limits[l.Name] = l.Limit
	}
	assert.Equal(t, map[string]float64{
		"download, 1 connection": 1.2, "download, 8 connections": 1.2, "upload, 1 connection": 1.2, "upload, 8 connections": 1.2,
		"short connections, 16 at a time": 1.2, "round trips, 50 connections": 0,
	}, limits)
	assert.Equal(t, 1.0, limitApply.Seconds())
	assert.Equal(t, 1.0, limitStorm)
}

func TestUnitsOfLoads(t *testing.T) {
	r := load.Result{Turns: 3, Bytes: 5e8}
	for _, l := range Loads(1) {
		want := 3.0
		if l.Bulk() {
			want = 0.5
		}
		assert.Equal(t, want, l.units(r), l.Name)
	}
}

func TestChangesCost(t *testing.T) {
	s := &Storm{PerMinute: 6000, With: []StormSlice{{CPU: 0.3}}, Without: []StormSlice{{CPU: 0.1}}}
	assert.InDelta(t, 0.002, s.PerChange(), 1e-9)
	s.With[0].CPU = 0.05
	assert.Zero(t, s.PerChange())
}

func TestOnlySomeSteps(t *testing.T) {
	names := func(o Options) (all []string) {
		o.Logger = slog.New(slog.DiscardHandler)
		for _, s := range (&bench{Options: o}).steps(t.Context(), new(Results)) {
			all = append(all, s.name)
		}
		return all
	}
	assert.Equal(t, []string{"loads", "memory", "services", "changes"}, names(Full()))
	for _, c := range []struct {
		only string
		want []string
	}{
		{"load, ", []string{"loads"}},
		{"^memory|changes$", []string{"memory", "changes"}},
		{"nothing", nil},
	} {
		o := Quick()
		o.Only = regexp.MustCompile(c.only)
		assert.Equal(t, c.want, names(o), c.only)
	}
	o := Full()
	o.Stand.StandIn = true
	assert.Equal(t, []string{"loads", "memory"}, names(o))
}

func TestServicesHaveAddressesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for i := range 2000 {
		ip := serviceIP(i)
		require.False(t, seen[ip], ip)
		require.Regexp(t, `^127\.1\.[0-7]\.([1-9]|[1-9]\d|1\d\d|2[0-4]\d|250)$`, ip)
		seen[ip] = true
	}
}
