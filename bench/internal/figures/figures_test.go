package figures

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestFiguresAreFound(t *testing.T) {
	for _, c := range []struct {
		text string
		want float64
		ok   bool
	}{
		{"# Memory\r\nused_memory:1234\r\nused_memory_rss:9\r\n", 1234, true},
		{"used_memory: 7", 7, true},
		{"used_memory_rss:9\n", 0, false},
		{"used_memory:many\n", 0, false},
		{"", 0, false},
	} {
		v, err := Find(c.text, "used_memory")
		assert.Equal(t, c.ok, err == nil, c.text)
		assert.Equal(t, c.want, v, c.text)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{9, 1, 5}, 5},
		{[]float64{4, 1, 3, 2}, 2.5},
	} {
		assert.InDelta(t, c.want, Median(c.values), 1e-9, c.values)
	}
	values := []float64{3, 1, 2}
	Median(values)
	assert.Equal(t, []float64{3, 1, 2}, values, "left as they were")
}

func TestPercentiles(t *testing.T) {
	var all []time.Duration
	for i := range 100 {
		all = append(all, time.Duration(99-i)*time.Millisecond)
	}
	assert.Equal(t, 50.0, Percentile(all, 0.5))
	assert.Equal(t, 99.0, Percentile(all, 0.99))
	assert.Equal(t, 99.0, Percentile(all, 1))
	assert.Zero(t, Percentile(nil, 0.5))
}

func TestThreeDigits(t *testing.T) {
	for v, want := range map[float64]string{0: "0.00", 1.234: "1.23", 9.994: "9.99", 9.996: "10.0", 99.94: "99.9", 99.96: "100", 1234.5: "1234"} {
		assert.Equal(t, want, Digits(v))
	}
}

func TestOneFieldOfAll(t *testing.T) {
	assert.Equal(t, []float64{1, 3}, Each([]string{"a", "abc"}, func(s string) float64 { return float64(len(s)) }))
}
