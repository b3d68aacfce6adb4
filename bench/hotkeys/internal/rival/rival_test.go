package rival

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type algorithm interface {
	Hit(key []byte)
	Top(n int) []Entry
}

func all(n int) map[string]algorithm {
	return map[string]algorithm{
		"stream summary": NewStreamSummary(n),
		"min heap":       NewMinHeap(n),
		"HeavyKeeper":    NewHeavyKeeper(2, 8*n, n, 1.08, rand.New(rand.NewPCG(1, 2))),
	}
}

func skewed(hits, keys int, seed uint64) []string {
	random := rand.New(rand.NewPCG(seed, 3))
	stream := make([]string, hits)
	for i := range stream {
		stream[i] = "key:" + strconv.Itoa(min(random.IntN(keys), random.IntN(keys), random.IntN(keys), random.IntN(keys)))
	}
	return stream
}

func TestCountsAreExactWhileThereIsRoom(t *testing.T) {
	for name, a := range all(100) {
		if name == "HeavyKeeper" {
			continue // a sketch decays where keys share cells
		}
		truth := map[string]uint64{}
		for _, key := range skewed(10_000, 100, 1) {
			a.Hit([]byte(key))
			truth[key]++
		}
		top := a.Top(1000)
		assert.Len(t, top, len(truth), name)
		for i, e := range top {
			assert.Equal(t, truth[string(e.Name)], e.Count, name)
			assert.Zero(t, e.Error, name)
			assert.True(t, i == 0 || top[i-1].Count >= e.Count, name)
		}
	}
}

// TestSpaceSavingKeepsItsPromises: counts are not too low, too high by the error at most, the
// sum of all counts is the number of hits, and both versions say the same of counts.
func TestSpaceSavingKeepsItsPromises(t *testing.T) {
	const n, hits = 64, 50_000
	stream := skewed(hits, 2000, 2)
	counts := map[string][]uint64{}
	for name, a := range all(n) {
		if name == "HeavyKeeper" {
			continue
		}
		truth := map[string]uint64{}
		for _, key := range stream {
			a.Hit([]byte(key))
			truth[key]++
		}
		sum := uint64(0)
		for _, e := range a.Top(n) {
			sum += e.Count
			counts[name] = append(counts[name], e.Count)
			assert.GreaterOrEqual(t, e.Count, truth[string(e.Name)], name)
			assert.LessOrEqual(t, e.Count-e.Error, truth[string(e.Name)], name)
			assert.LessOrEqual(t, e.Error, uint64(hits/n), name)
		}
		assert.EqualValues(t, hits, sum, name)
	}
	assert.Equal(t, counts["min heap"], counts["stream summary"])
}

func TestHeavyKeeperFindsWhatIsFrequent(t *testing.T) {
	k := NewHeavyKeeper(2, 1024, 64, 1.08, rand.New(rand.NewPCG(1, 2)))
	random := rand.New(rand.NewPCG(5, 5))
	truth := map[string]uint64{}
	for range 200_000 {
		key := "cold:" + strconv.Itoa(random.IntN(100_000))
		if random.IntN(10) == 0 {
			key = "hot:" + strconv.Itoa(random.IntN(20))
		}
		truth[key]++
		k.Hit([]byte(key))
	}
	for _, e := range k.Top(20) {
		assert.Contains(t, string(e.Name), "hot:")
		assert.InEpsilon(t, truth[string(e.Name)], e.Count, 0.1)
	}
}

// TestIndexAgreesWithAMap also at its fullest, where runs of slots wrap around.
func TestIndexAgreesWithAMap(t *testing.T) {
	const n = 32
	x, want := newIndex(n), map[uint64]int{}
	random := rand.New(rand.NewPCG(1, 1))
	for step := range 200_000 {
		h := random.Uint64N(40) << 58 >> random.IntN(2) * 58 // many share a home
		if _, ok := want[h]; ok && random.IntN(2) == 0 {
			x.remove(h)
			delete(want, h)
		} else if len(want) < n || ok {
			x.set(h, step)
			want[h] = step
		}
		probe := random.Uint64N(40)
		place, ok := want[probe]
		if !ok {
			place = -1
		}
		require.Equal(t, place, x.get(probe))
	}
}

func TestHitAllocatesNothing(t *testing.T) {
	stream := skewed(1000, 5000, 4)
	keys := make([][]byte, len(stream))
	for i, key := range stream {
		keys[i] = []byte(key)
	}
	for name, a := range all(64) {
		i := 0
		assert.Zero(t, testing.AllocsPerRun(5000, func() {
			a.Hit(keys[i%len(keys)])
			i++
		}), name)
	}
}

func TestLogCounterGrowsAsItShould(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	assert.Zero(t, LogCounter(0, random))
	assert.EqualValues(t, 1, LogCounter(1, random)) // the first hit always counts
	sum := 0
	for range 1000 {
		sum += int(LogCounter(1000, random))
	}
	assert.InDelta(t, 14, float64(sum)/1000, 1) // 10*v^2/2 + v = hits
	assert.EqualValues(t, 255, LogCounter(5_000_000, random))
}

func FuzzStreamSummaryKeepsItsOrder(f *testing.F) {
	f.Add([]byte{1, 2, 3, 1, 1, 2, 9, 9, 9, 9, 4, 5, 6, 7})
	f.Fuzz(func(t *testing.T, stream []byte) {
		s, truth := NewStreamSummary(4), map[byte]uint64{}
		for _, b := range stream {
			s.Hit([]byte{b})
			truth[b]++
			last, seen := uint64(0), 0
			for at, prev := s.least, int32(none); at != none; prev, at = at, s.buckets[at].next {
				require.Greater(t, s.buckets[at].count, last)
				require.Equal(t, prev, s.buckets[at].prev)
				last = s.buckets[at].count
				for i := s.buckets[at].first; i != none; i = s.entries[i].next {
					seen++
				}
			}
			require.Equal(t, s.used, seen)
		}
		for _, e := range s.Top(4) {
			require.LessOrEqual(t, truth[e.Name[0]], e.Count)
			require.LessOrEqual(t, e.Count-e.Error, truth[e.Name[0]])
		}
	})
}
