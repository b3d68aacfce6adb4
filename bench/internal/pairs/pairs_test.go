package pairs

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/bench/internal/outcome"
)

func TestFiguresAreComparedWithTheirNeighbours(t *testing.T) {
	assert.Equal(t, Comparison{Median: 2, Low: 1, High: 3}, Divide([]float64{20, 20, 30}, []float64{10, 20, 10}))
	assert.Equal(t, Comparison{3, 3, 3}, Divide([]float64{6, 7}, []float64{2}))
	assert.Zero(t, Divide(nil, []float64{1}))
	assert.Zero(t, Divide([]float64{1}, []float64{0}))
	assert.Equal(t, Comparison{Median: 10, Low: 0, High: 20}, Subtract([]float64{20, 20, 30}, []float64{10, 20, 10}))
	assert.Zero(t, Subtract(nil, []float64{1}))
}

func TestComparisonSaysHowSureItIs(t *testing.T) {
	var a, b []float64
	for i := range 100 {
		a, b = append(a, float64(i)), append(b, 10)
	}
	m := Divide(a, b)
	assert.InDelta(t, 4.95, m.Median, 0.001)
	assert.InDelta(t, 4, m.Low, 0.11)
	assert.InDelta(t, 5.9, m.High, 0.11)
	assert.Equal(t, "4.950 (4.00–5.90)", m.String())
}

func TestLimitsAreJudged(t *testing.T) {
	for _, c := range []struct {
		m     Comparison
		quick bool
		want  outcome.Verdict
	}{
		{Comparison{1.2, 1.1, 1.3}, false, outcome.Pass},
		{Comparison{1.3, 1.2, 1.4}, false, outcome.Unsure},
		{Comparison{1.3, 1.21, 1.4}, false, outcome.Fail},
		{Comparison{1.3, 1.21, 1.4}, true, outcome.TooShort},
		{Comparison{0, -1, 1}, false, outcome.Pass},
		{Comparison{}, true, outcome.Fail},
	} {
		assert.Equal(t, c.want, c.m.Within(1.2, c.quick), c.m)
	}
}

func TestLanesTakeTurns(t *testing.T) {
	var order []int
	warmed := 0
	require.NoError(t, Turns(0, 6, []int{0, 1, 2}, func(lane int, warm bool) error {
		if warm {
			warmed++
			return nil
		}
		order = append(order, lane)
		return nil
	}))
	assert.Equal(t, 3, warmed)
	require.Len(t, order, 18)
	firsts, follows := [3]int{}, [3][3]bool{}
	for i, n := range order {
		if i%3 == 0 {
			firsts[n]++
		} else {
			follows[order[i-1]][n] = true
		}
	}
	assert.Equal(t, [3]int{2, 2, 2}, firsts)
	for a := range 3 {
		for b := range 3 {
			assert.Equal(t, a != b, follows[a][b], "%d after %d", b, a)
		}
	}
}

func TestAnErrorEndsTheTurns(t *testing.T) {
	errEnough := errors.New("enough")
	runs := 0
	assert.ErrorIs(t, Turns(1, 3, []int{0, 1}, func(int, bool) error { runs++; return errEnough }), errEnough)
	assert.Equal(t, 1, runs)
}
