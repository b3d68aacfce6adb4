package trial

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samaritan/bench/internal/outcome"
	"samaritan/bench/internal/pairs"
	"samaritan/internal/testredis"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSlicesAreComparedWithTheirNeighbours(t *testing.T) {
	c := Cost{Slices: map[string][]float64{Off: {10, 20, 10}, Snappy: {20, 20, 30}}}
	assert.Equal(t, pairs.Comparison{Median: 2, Low: 1, High: 3}, c.Times(Snappy))
	assert.Equal(t, 10.0, c.Micros(Off))
	assert.Zero(t, c.Times(Zstd))
}

func TestOnlySomeLoads(t *testing.T) {
	b := &bench{Options: Options{Only: regexp.MustCompile("^no such load$")}}
	assert.Len(t, b.steps(t.Context(), new(Results)), 2)
	costs, err := b.costs(t.Context(), compressed, 1, off)
	require.NoError(t, err)
	assert.Empty(t, costs)
}

func TestBoundsAreJudged(t *testing.T) {
	limited := Load{Name: "GET", Kind: "json", Size: 64, Limit: 2.2, Judged: Snappy}
	r := &Results{
		Ratios: []Ratio{{"json", 1 << 10, 1, 1}, {"json", 16 << 10, 2.5, 1.9}, {"random", 16 << 10, 1, 1}},
		Costs: []Cost{
			{Load: limited, Slices: map[string][]float64{Off: {10}, Snappy: {22}}},
			{Load: limited, Slices: map[string][]float64{Off: {10}, Snappy: {23}}},
			{Load: limited, Slices: map[string][]float64{Off: {10, 10, 10}, Snappy: {10, 23, 30}}},
			{Load: limited, Slices: map[string][]float64{Off: {10}}}, // nothing measured is not kept
			{Load: Load{Name: "SET"}, Slices: map[string][]float64{Off: {10}, Snappy: {90}}},
		},
	}
	verdicts := func() (all []outcome.Verdict) {
		for _, c := range r.Checks() {
			all = append(all, c.Verdict)
		}
		return all
	}
	assert.Equal(t, []outcome.Verdict{outcome.Pass, outcome.Fail, outcome.Pass, outcome.Fail, outcome.Unsure, outcome.Fail}, verdicts())
	assert.Equal(t, "2 of 6 bounds kept, 1 not sure", outcome.Summarize(r.Checks()).String())
	r.Quick = true
	assert.Equal(t, []outcome.Verdict{outcome.Pass, outcome.Fail, outcome.TooShort, outcome.TooShort, outcome.TooShort, outcome.Fail}, verdicts())
	assert.Equal(t, "1 of 3 bounds kept", outcome.Summarize(r.Checks()).String())
}

func TestKeysOfAllProxiesHaveTheSameSlots(t *testing.T) {
	a, b := keys(0, "json", 64, 100), keys(2, "json", 64, 100)
	for i := range a {
		assert.NotEqual(t, a[i], b[i])
		assert.Len(t, b[i], len(a[i]))
		assert.Equal(t, testredis.Slot(a[i]), testredis.Slot(b[i]))
	}
}

func TestLoadsAskForWhatIsThere(t *testing.T) {
	b := &bench{Options: Quick(), values: map[string][][]byte{}}
	for _, l := range append(compressed[:len(compressed):len(compressed)], untouched...) {
		all := b.exchanges(l, 1)
		require.NotEmpty(t, all, l)
		for _, e := range all {
			assert.Positive(t, e.Size, l)
			assert.Equal(t, byte('*'), e.Request[0], l)
		}
	}
}

// The limits that the project has set itself.
func TestLimits(t *testing.T) {
	limits := map[string]float64{}
	for _, l := range append(compressed[:len(compressed):len(compressed)], untouched...) {
		if l.Limit > 0 {
			limits[l.Judged+" "+l.String()] = l.Limit
		}
	}
	assert.Equal(t, 2.2, limits["snappy GET and SET, 16 KiB json"])
	for _, name := range []string{"GET, 64 bytes json", "SET, 64 bytes json", "MGET of 100, 64 bytes json", "GET and SET, 16 KiB json"} {
		assert.Equal(t, 1.02, limits["below "+name], name)
	}
}
