package pairs

import (
	"fmt"
	"math"
	"slices"

	"samaritan/bench/internal/figures"
	"samaritan/bench/internal/outcome"
)

// Comparison is what comes of comparing two series of figures. All zero: nothing was measured.
type Comparison struct {
	Median    float64
	Low, High float64 // where the true median is, 19 times out of 20
}

// Divide divides each figure of a by that of b with the same index. A median is hardly moved by
// what happens on the machine in a few of them.
func Divide(a, b []float64) Comparison {
	var times []float64
	for i := range min(len(a), len(b)) {
		if b[i] > 0 {
			times = append(times, a[i]/b[i])
		}
	}
	return middle(times)
}

// Subtract subtracts from each figure of a that of b with the same index.
func Subtract(a, b []float64) Comparison {
	var more []float64
	for i := range min(len(a), len(b)) {
		more = append(more, a[i]-b[i])
	}
	return middle(more)
}

func middle(all []float64) Comparison {
	if len(all) == 0 {
		return Comparison{}
	}
	slices.Sort(all)
	// So many of n figures are below the true median as heads in n tosses of a coin: n/2, give or take
	// two standard deviations of sqrt(n)/2.
	n := float64(len(all))
	low := max(0, int(n/2-math.Sqrt(n)))
	return Comparison{figures.Median(all), all[low], all[len(all)-1-low]}
}

// String is the median, and in parentheses the range.
func (c Comparison) String() string { return fmt.Sprintf("%.3f (%s)", c.Median, c.Range()) }

// Range is where the true median is.
func (c Comparison) Range() string { return fmt.Sprintf("%.2f–%.2f", c.Low, c.High) }

// Within judges a limit. After a quick run nothing is sure but that there was a measurement.
func (c Comparison) Within(limit float64, quick bool) outcome.Verdict {
	switch {
	case c == Comparison{}:
		return outcome.Fail
	case quick:
		return outcome.TooShort
	case c.Median <= limit:
		return outcome.Pass
	case c.Low <= limit:
		return outcome.Unsure
	}
	return outcome.Fail
}
