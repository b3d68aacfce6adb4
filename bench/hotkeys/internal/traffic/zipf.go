package traffic

import (
	"math"
	"math/rand/v2"
)

// Zipf draws key i of n with a probability proportional to 1/(i+1)^s, by the alias
// method (Walker 1977, in the form of Vose 1991): one random number and one look into a
// table, whatever s and n are. The table can be shared by sources, see [Table.Source].
type Zipf struct {
	table  *Table
	random *rand.Rand
}

// Table is the alias table of a distribution. It is not changed after it was made.
type Table struct {
	cells []cell
	share []float64 // of each key, as it was asked for
}

// cell is drawn by its index. The key is the index when the rest of the random number is below
// keep, else other.
type cell struct{ keep, other uint32 }

// ZipfTable makes the table for keys 0 to n-1. n is at least 1, s at least 0.
func ZipfTable(n int, s float64) *Table {
	weights := make([]float64, n)
	for i := range weights {
		weights[i] = math.Pow(float64(i+1), -s)
	}
	return NewTable(weights)
}

// NewTable makes the table of a distribution proportional to weights, which it takes over.
func NewTable(weights []float64) *Table {
	sum := 0.0
	for i := len(weights) - 1; i >= 0; i-- { // the small ones first, for the rounding
		sum += weights[i]
	}
	for i := range weights {
		weights[i] /= sum
	}
	t := &Table{cells: make([]cell, len(weights)), share: weights}
	t.fill()
	return t
}

// fill pairs each key that has less than its even share with one that has more.
func (t *Table) fill() {
	n := float64(len(t.cells))
	left := make([]float64, len(t.cells))
	var poor, rich []uint32
	for i, share := range t.share {
		left[i] = share * n
		if left[i] < 1 {
			poor = append(poor, uint32(i))
		} else {
			rich = append(rich, uint32(i))
		}
	}
	for len(poor) > 0 && len(rich) > 0 {
		p, r := poor[len(poor)-1], rich[len(rich)-1]
		poor = poor[:len(poor)-1]
		t.cells[p] = cell{keep: fraction(left[p]), other: r}
		left[r] -= 1 - left[p]
		if left[r] < 1 {
			rich = rich[:len(rich)-1]
			poor = append(poor, r)
		}
	}
	for _, i := range append(poor, rich...) { // whole but for rounding
		t.cells[i] = cell{keep: math.MaxUint32, other: i}
	}
}

// fraction turns a share of 0 to 1 into a threshold for 32 random bits.
func fraction(x float64) uint32 { return uint32(min(x*(1<<32), math.MaxUint32)) }

// Share is the probability of a key.
func (t *Table) Share(key int) float64 { return t.share[key] }

// Len is the number of keys.
func (t *Table) Len() int { return len(t.cells) }

// Source makes a source that draws from the table.
func (t *Table) Source(random *rand.Rand) *Zipf { return &Zipf{table: t, random: random} }

// Draw implements [Source].
func (z *Zipf) Draw(int64) int {
	bits := z.random.Uint64()
	i := int((bits >> 32) * uint64(len(z.table.cells)) >> 32)
	if c := z.table.cells[i]; uint32(bits) >= c.keep {
		return int(c.other)
	}
	return i
}
