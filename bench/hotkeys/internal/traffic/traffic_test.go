package traffic

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestZipfIsExact adds up what the cells of the table give to each key.
func TestZipfIsExact(t *testing.T) {
	for _, s := range []float64{0, 0.5, 0.8, 0.99, 1, 1.2, 2} {
		const n = 1000
		table, sum := ZipfTable(n, s), 0.0
		for i := range n {
			sum += math.Pow(float64(i+1), -s)
		}
		got := make([]float64, n)
		for i, c := range table.cells {
			keep := (float64(c.keep) + 0.5) / (1 << 32)
			got[i] += keep / n
			got[c.other] += (1 - keep) / n
		}
		for i := range n {
			want := math.Pow(float64(i+1), -s) / sum
			assert.InDelta(t, want, table.Share(i), 1e-12)
			assert.InDeltaf(t, want, got[i], 1e-8, "s %g, key %d", s, i)
		}
	}
}

// TestDrawsFollowTheTable is a chi-squared test of 99 degrees of freedom.
func TestDrawsFollowTheTable(t *testing.T) {
	const n, draws = 100, 1_000_000
	table := ZipfTable(n, 0.8)
	z := table.Source(Random(1, 1))
	var hits [n]int
	for range draws {
		hits[z.Draw(0)]++
	}
	chi := 0.0
	for i, h := range hits {
		want := draws * table.Share(i)
		chi += (float64(h) - want) * (float64(h) - want) / want
	}
	assert.Less(t, chi, 149.0) // one in a thousand
}

func TestAStreamRepeats(t *testing.T) {
	table := ZipfTable(1000, 0.99)
	a, b := table.Source(Random(7, 1)), table.Source(Random(7, 1))
	c := table.Source(Random(7, 2))
	same := 0
	for range 100 {
		key := a.Draw(0)
		assert.Equal(t, key, b.Draw(0))
		if key == c.Draw(0) {
			same++
		}
	}
	assert.Less(t, same, 50)
}

func TestMixAndBurstKeepTheirShares(t *testing.T) {
	const draws = 100_000
	m := &Mix{A: &Uniform{First: 5, N: 1, Random: Random(1, 1)}, B: &Uniform{First: 10, N: 10, Random: Random(1, 2)}, Share: 0.25, Random: Random(1, 3)}
	b := &Burst{Base: m, Key: 3, Share: 0.5, From: 100, To: 200, Random: Random(1, 4)}
	for _, c := range []struct {
		now         int64
		burst, five float64
	}{{99, 0, 0.25}, {100, 0.5, 0.125}, {199, 0.5, 0.125}, {200, 0, 0.25}} {
		hits := map[int]float64{}
		for range draws {
			hits[b.Draw(c.now)] += 1. / draws
		}
		assert.InDelta(t, c.burst, hits[3], 0.01)
		assert.InDelta(t, c.five, hits[5], 0.01)
		for key := range hits {
			assert.True(t, key == 3 || key == 5 || key >= 10 && key < 20, key)
		}
	}
}

func TestArrivalsHaveTheirRate(t *testing.T) {
	a := NewArrivals(10_000, Random(1, 1))
	hits := 0
	for last := int64(0); last < 10e9; hits++ {
		next := a.Next()
		assert.GreaterOrEqual(t, next, last)
		last = next
	}
	assert.InDelta(t, 100_000, hits, 2000)
}

func TestKeysAreFoundByName(t *testing.T) {
	k := NewKeys(1200, 3)
	var nodes [3]int
	for i := range k.Len() {
		got, err := k.Number(k.Name(i))
		require.NoError(t, err)
		assert.Equal(t, i, got)
		nodes[k.Node(i)]++
	}
	for _, n := range nodes {
		assert.InDelta(t, 400, n, 100)
	}
	assert.Equal(t, "user:profile:17", string(k.Name(17)))
	for _, name := range []string{"", "user:profile:", "user:profile:1200", "user:profile:-1", "other:17", "user:profile:x"} {
		_, err := k.Number([]byte(name))
		assert.Errorf(t, err, "%q", name)
	}
}

func TestDrawAllocatesNothing(t *testing.T) {
	z := ZipfTable(1000, 0.99).Source(Random(1, 1))
	a := NewArrivals(1, Random(1, 2))
	assert.Zero(t, testing.AllocsPerRun(1000, func() { z.Draw(a.Next()) }))
}
