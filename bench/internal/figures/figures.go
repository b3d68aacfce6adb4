// Package figures finds figures in text, sums up series of them, and writes them for people.
//
// Everything here is a function of its arguments.
package figures

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

var errNoFigure = errors.New("no such figure")

// Find returns what is behind a name and a colon at the beginning of a line, as in INFO of Redis.
func Find(text, name string) (float64, error) {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("%w: %s", errNoFigure, name)
}

// Each returns one field of all.
func Each[T any](all []T, field func(T) float64) []float64 {
	values := make([]float64, len(all))
	for i, one := range all {
		values[i] = field(one)
	}
	return values
}

// Median returns the middle value, or the mean of the two in the middle. Of nothing it is 0.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Percentile returns the time in milliseconds that a share of all does not exceed. It sorts them. Of
// nothing it is 0.
func Percentile(all []time.Duration, share float64) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	i := min(int(share*float64(len(all))), len(all)-1)
	return float64(all[i]) / float64(time.Millisecond)
}

// Digits formats with about three significant digits.
func Digits(v float64) string {
	switch {
	case v >= 99.95:
		return fmt.Sprintf("%.0f", v)
	case v >= 9.995:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
