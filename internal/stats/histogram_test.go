package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBucketsCoverEveryValueWithoutGap(t *testing.T) {
	next := uint64(0)
	for i := range bucketCount {
		low, high := bucketRange(i)
		require.Equal(t, next, low, "bucket %d", i)
		require.Equal(t, i, bucketOf(low))
		require.Equal(t, i, bucketOf(high))
		require.LessOrEqual(t, float64(high-low), float64(low)/16, "bucket %d is too wide", i)
		next = high + 1
	}
	require.Equal(t, uint64(MaxValue+1), next)
}

func TestQuantilesAreWithinTheError(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	shapes := map[string]func() uint64{
		"uniform":   func() uint64 { return rnd.Uint64N(1_000_000) },
		"small":     func() uint64 { return rnd.Uint64N(40) },
		"lognormal": func() uint64 { return uint64(math.Exp(rnd.NormFloat64()*2 + 6)) },
		"whole":     func() uint64 { return rnd.Uint64N(MaxValue + 1) },
		"constant":  func() uint64 { return 12345 },
	}
	for name, next := range shapes {
		t.Run(name, func(t *testing.T) {
			var h Histogram
			values := make([]uint64, 20_000)
			sum := uint64(0)
			for i := range values {
				values[i] = next()
				sum += values[i]
				h.Observe(values[i])
			}
			slices.Sort(values)
			for _, q := range []float64{0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 1} {
				rank := max(1, int(math.Ceil(q*float64(len(values)))))
				exact := float64(values[rank-1])
				assert.InDelta(t, exact, h.Quantile(q), exact/32, "q=%v", q)
			}
			assert.Equal(t, sum, h.Sum())
			assert.Equal(t, values[len(values)-1], h.Max())
			assert.EqualValues(t, len(values), h.Count())
		})
	}
}

func TestEmptyHistogramAndOddQuantiles(t *testing.T) {
	var h Histogram
	assert.Zero(t, h.Quantile(0.5))
	assert.Zero(t, h.Max())
	h.Observe(7)
	h.Observe(9)
	assert.Equal(t, 7.0, h.Quantile(-1))
	assert.Equal(t, 7.0, h.Quantile(math.NaN()))
	assert.Equal(t, 9.0, h.Quantile(2))
}

func TestValuesAboveTheRangeCountAsTheLargest(t *testing.T) {
	var h Histogram
	h.Observe(1 << 40)
	h.Observe(math.MaxUint64)
	assert.EqualValues(t, 2, h.Count())
	assert.EqualValues(t, MaxValue, h.Max())
	assert.EqualValues(t, 2*MaxValue, h.Sum())
	assert.EqualValues(t, MaxValue, h.Quantile(0.99))
}

func TestMergeIsTheSameAsObservingBoth(t *testing.T) {
	var a, b, both Histogram
	for i := range uint64(5000) {
		a.Observe(i * 3)
		b.Observe(i * 700)
		both.Observe(i * 3)
		both.Observe(i * 700)
	}
	c := a.Clone()
	c.Merge(&b)
	c.Merge(nil)
	c.Merge(&Histogram{})
	assert.Equal(t, both, *c)
	assert.EqualValues(t, 5000, a.Count(), "the clone shares nothing")
}

func TestCumulativeCounts(t *testing.T) {
	var h Histogram
	for _, v := range []uint64{0, 1, 1, 5, 31, 31, 50, 1000, 70_000, MaxValue} {
		h.Observe(v)
	}
	bounds := []uint64{0, 1, 30, 31, 63, 1100, 80_000, MaxValue}
	assert.Equal(t, []uint64{1, 3, 4, 6, 7, 8, 9, 10}, h.AppendCumulative(nil, bounds))
	assert.Equal(t, []uint64{42, 1}, h.AppendCumulative([]uint64{42}, []uint64{0}))
	assert.Empty(t, h.AppendCumulative(nil, nil))
}

func TestObserveDoesNotAllocate(t *testing.T) {
	var h, o Histogram
	v := uint64(1)
	assert.Zero(t, testing.AllocsPerRun(1000, func() { h.Observe(v); v += 997 }))
	assert.Zero(t, testing.AllocsPerRun(10, func() { o.Merge(&h) }))
	assert.Zero(t, testing.AllocsPerRun(10, func() { _ = h.Quantile(0.99) }))
}

func BenchmarkObserve(b *testing.B) {
	var h Histogram
	v := uint64(12345)
	b.ReportAllocs()
	for b.Loop() {
		v = v*2862933555777941757 + 3037000493
		h.Observe(v >> 44)
	}
}

func BenchmarkMerge(b *testing.B) {
	var h, o Histogram
	o.Observe(1000)
	b.ReportAllocs()
	for b.Loop() {
		h.Merge(&o)
	}
}
