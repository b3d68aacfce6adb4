package stats

import (
	"math"
	"math/bits"
)

const (
	// subBits gives 16 linear buckets to each power of two, so a bucket is at
	// most 1/16 of its lower bound wide.
	subBits  = 4
	subCount = 1 << subBits
	// valueBits bounds the range: in microseconds 2^40 is 12.7 days.
	valueBits = 40

	// MaxValue is the largest value a [Histogram] keeps; what is above counts
	// as MaxValue.
	MaxValue = 1<<valueBits - 1

	bucketCount = (valueBits - subBits + 1) << subBits
)

// Histogram counts values of 0..[MaxValue] in log-linear buckets (the layout
// of HdrHistogram): exact below 32, then 16 buckets to each power of two. A
// reported value is off by at most 1/32 of the true one, a bucket is at most
// 1/16 of its lower bound wide.
//
// It belongs to one goroutine; nothing in it is atomic. The zero value is
// empty and ready. One takes 4.7 KiB, so owners of many (one per command)
// make each at its first use.
type Histogram struct {
	count   uint64
	sum     uint64
	max     uint64
	buckets [bucketCount]uint64
}

// Observe counts v. It costs a few nanoseconds and does not allocate.
func (h *Histogram) Observe(v uint64) {
	if v > MaxValue {
		v = MaxValue
	}
	if v > h.max {
		h.max = v
	}
	h.count++
	h.sum += v
	h.buckets[bucketOf(v)]++
}

// Merge adds the values of o, which may be nil, to h. o is only read.
func (h *Histogram) Merge(o *Histogram) {
	if o == nil || o.count == 0 {
		return
	}
	h.count += o.count
	h.sum += o.sum
	h.max = max(h.max, o.max)
	for i, n := range &o.buckets {
		h.buckets[i] += n
	}
}

// Clone returns a copy that shares nothing with h.
func (h *Histogram) Clone() *Histogram {
	c := *h
	return &c
}

// Count is the number of values.
func (h *Histogram) Count() uint64 { return h.count }

// Sum adds up all values, each at most [MaxValue]. It wraps at 2^64.
func (h *Histogram) Sum() uint64 { return h.sum }

// Max is the largest value, exact up to [MaxValue], and 0 when there is none.
func (h *Histogram) Max() uint64 { return h.max }

// Quantile returns the value at q of 0..1, the middle of its bucket; 0 when
// there is no value. A q outside the range counts as its nearest end.
func (h *Histogram) Quantile(q float64) float64 {
	if h.count == 0 {
		return 0
	}
	rank := h.rank(q)
	if rank >= h.count {
		return float64(h.max)
	}
	var seen uint64
	for i, n := range &h.buckets {
		if seen += n; seen >= rank {
			low, high := bucketRange(i)
			return min(float64(low+high)/2, float64(h.max))
		}
	}
	return float64(h.max)
}

// rank is the 1-based position of quantile q in the sorted values.
func (h *Histogram) rank(q float64) uint64 {
	switch {
	case !(q > 0): // NaN too
		return 1
	case q >= 1:
		return h.count
	}
	return max(1, uint64(math.Ceil(q*float64(h.count))))
}

// AppendCumulative appends to dst, for each upper bound, how many values are
// at most that bound, and returns the extended slice. The bounds ascend and
// are in the unit of the values. A bucket that a bound cuts counts as above
// it, so a count can miss values within 1/16 below its bound; it is exact for
// bounds below 32.
func (h *Histogram) AppendCumulative(dst, bounds []uint64) []uint64 {
	var seen uint64
	next := 0
	for _, bound := range bounds {
		for next < bucketCount {
			if _, high := bucketRange(next); high > bound {
				break
			}
			seen += h.buckets[next]
			next++
		}
		dst = append(dst, seen)
	}
	return dst
}

// bucketOf is the bucket of v <= MaxValue. The bits below the leading five
// are dropped; what is left counts up without a gap from one power of two to
// the next.
func bucketOf(v uint64) int {
	if v < subCount {
		return int(v)
	}
	shift := bits.Len64(v) - 1 - subBits
	return shift<<subBits + int(v>>shift)
}

// bucketRange is the smallest and the largest value of bucket i.
func bucketRange(i int) (low, high uint64) {
	if i < subCount {
		return uint64(i), uint64(i)
	}
	shift := i>>subBits - 1
	low = uint64(i&(subCount-1)+subCount) << shift
	return low, low + 1<<shift - 1
}
