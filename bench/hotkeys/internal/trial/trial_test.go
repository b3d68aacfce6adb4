package trial

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/bench/hotkeys/internal/traffic"
	"samaritan/bench/internal/outcome"
	"samaritan/hotkey"
)

func exactly(counts ...int) *exact {
	e := newExact(len(counts), 1)
	for key, n := range counts {
		e.hit(key, n)
	}
	return e
}

func TestTheWindowSlides(t *testing.T) {
	e := newExact(2, 2)
	e.hit(0, 1)
	e.advance()
	e.hit(0, 10)
	e.hit(1, 5)
	assert.EqualValues(t, 11, e.total(0))
	assert.EqualValues(t, 10, e.last(0))
	assert.EqualValues(t, 16, e.hits())
	e.advance()
	e.hit(1, 7)
	assert.EqualValues(t, 10, e.total(0))
	assert.Zero(t, e.last(0))
	assert.Equal(t, []ranked{{1, 12}, {0, 10}}, e.top(5))
	e.advance()
	e.advance()
	assert.Empty(t, e.top(5))
}

func TestPrecisionLetsTiesPass(t *testing.T) {
	truth := exactly(9, 7, 5, 5, 5, 1)
	for _, c := range []struct {
		order []int
		want  float64
	}{
		{[]int{0, 1, 2}, 1},
		{[]int{4, 1, 0}, 1}, // a tie, and the order does not matter
		{[]int{0, 1, 5}, 2. / 3},
		{[]int{0}, 1. / 3}, // places that are empty are wrong
		{nil, 0},
	} {
		assert.InDeltaf(t, c.want, precision(c.order, truth, 3), 1e-9, "%v", c.order)
	}
}

func TestDisplacedCountsPlaces(t *testing.T) {
	truth := exactly(9, 8, 7, 7, 7, 6)
	for _, c := range []struct {
		order []int
		want  int
	}{
		{[]int{0, 1, 2, 3, 4, 5}, 0},
		{[]int{0, 1, 4, 3, 2, 5}, 0}, // they are equal
		{[]int{1, 0, 2, 3, 4, 5}, 1},
		{[]int{1, 2, 3, 0, 4, 5}, 3},
		{[]int{0, 1, 2, 3, 5}, 5}, // one is missing
	} {
		assert.Equalf(t, c.want, displaced(c.order, truth), "%v", c.order)
	}
}

func TestScoreSeesWhatIsWrong(t *testing.T) {
	keys := traffic.NewKeys(3, Nodes)
	truth := exactly(100, 50, 10)
	listed := func(key int, count, err, sampling uint64, qps float64) hotkey.Key {
		return hotkey.Key{Name: keys.Name(key), Count: count, Error: err, SamplingError: sampling, QPS: qps}
	}
	report := &hotkey.Report{Interval: 10 * time.Second, Hits: 168, SampleRate: 0.5, Keys: []hotkey.Key{
		listed(0, 100, 0, 0, 10), listed(1, 55, 4, 0, 5.5), listed(2, 12, 1, 1, 1.2),
	}}
	s := score(report, truth, keys, 3)
	assert.InDelta(t, 1, s.Precision, 1e-9)
	assert.Zero(t, s.Displaced)
	assert.InDelta(t, 2./3, s.Within, 1e-9)
	assert.InDelta(t, 0.1, s.QPSError, 1e-9)
	assert.InDelta(t, 0.1, s.CountError, 1e-9)
	assert.InDelta(t, 4./55, s.Bound, 1e-9)
	assert.InDelta(t, 0.05, s.HitsError, 1e-9)
}

func TestAgreeTellsDistributionsApart(t *testing.T) {
	a := Moments{Runs: 1000, Mean: 44.9, Spread: 3.8}
	assert.True(t, agree(a, Moments{Runs: 1000, Mean: 45.2, Spread: 3.9}))
	assert.False(t, agree(a, Moments{Runs: 1000, Mean: 46.5, Spread: 3.8}))
	assert.False(t, agree(a, Moments{Runs: 1000, Mean: 44.9, Spread: 7}))
	certain := Moments{Runs: 1000, Mean: 255}
	assert.True(t, agree(certain, certain))
}

func TestChecksFail(t *testing.T) {
	bad := Score{Precision: 0.9, Displaced: 3, QPSError: 0.2, Within: 0.5, HitsError: 0.1}
	r := &Results{
		Accuracy: []Accuracy{
			{Load: Load{PerSecond: 1000}, Scores: []Score{bad}},
			{Load: Load{PerSecond: 500_000}, Scores: []Score{bad}, Ideal: []Score{{Precision: 1}}},
		},
		Bursts:   []Burst{{Seen: []BurstSeen{{Due: 1, Listed: 2, True: 100, Count: 120}}}},
		Decay:    Decay{Wrong: 1, Left: 1},
		Growths:  []Growth{{Hits: 10, Whole: Moments{Runs: 9, Mean: 5}, Reference: Moments{Runs: 9, Mean: 1}}},
		Contests: []Contest{{Pressure: true, Entrants: []Entrant{{Precision: 0.5, Bytes: 2 << 20}}}},
		Cost:     &Cost{Counter: 2 << 20, Allocations: 1, Rates: []RateCost{{PerSecond: fastRate, Single: Timing{PerHit: 21}}}},
	}
	checks := r.Checks()
	require.Len(t, checks, 6+5+3+2+1+2+3)
	for _, c := range checks {
		assert.Equal(t, outcome.Fail, c.Verdict, c.Name)
	}
}

// TestCoolingReadsWhatIsExpected keeps the trial of decay from passing by seeing nothing.
func TestCoolingReadsWhatIsExpected(t *testing.T) {
	d := Decay{Stopped: time.Minute, Keys: []Cooling{{Name: "k", LastHit: time.Minute, Readings: []Reading{{0, 9}}}}}
	heat := func(h uint8) *hotkey.Report {
		return &hotkey.Report{Keys: []hotkey.Key{{Name: hotkey.Name("k"), Heat: h}}}
	}
	d.read(heat(9), 90*time.Second)
	d.read(heat(4), 120*time.Second)
	assert.Zero(t, d.Wrong)
	d.read(heat(4), 180*time.Second)          // should be 2
	d.read(&hotkey.Report{}, 180*time.Second) // should be there
	d.read(heat(1), 10*time.Minute)           // should be gone
	assert.Equal(t, 3, d.Wrong)
	assert.Equal(t, 1, d.Left)
}
