package hotkey

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// trackOne counts a request with one key.
func trackOne(t *Tracker, slot int, key string, bytes uint64) {
	if t.Request(slot, bytes) {
		t.Key([]byte(key), bytes, Cost(bytes))
	}
}

func TestTrackerCountsExactlyWhileThereIsRoom(t *testing.T) {
	tr := NewTracker(TrackerOptions{ByCost: true, ByBytes: true})
	for range 10 {
		trackOne(tr, 1, "often", 100)
	}
	trackOne(tr, 2, "large", 1<<20)
	trackOne(tr, -1, "", 50)

	m := MergeTrackers([]*Tracker{tr}, 10)
	all := Usage{Requests: 12, Bytes: 1000 + 1<<20 + 50, Cost: 10*Cost(100) + Cost(1<<20) + Cost(50)}
	assert.Equal(t, all, m.All)
	assert.Equal(t, all, m.Selected)
	assert.Equal(t, all, m.Sampled)
	assert.Equal(t, []Weighted{{Name("large"), 5, 1 << 20}, {Name("often"), 5, 1000}}, m.ByBytes)
	assert.Equal(t, []Weighted{{Name("large"), 5, 257 * CostUnit}, {Name("often"), 5, 10 * Cost(100)}}, m.ByCost)
}

func TestTrackerHasOnlyTheMeasuresAskedFor(t *testing.T) {
	for _, o := range []TrackerOptions{{ByCost: true}, {ByBytes: true}, {}} {
		tr := NewTracker(o)
		trackOne(tr, 1, "k", 7)
		m := MergeTrackers([]*Tracker{tr, NewTracker(o).Clone()}, 10)
		assert.Equal(t, o.ByCost, m.ByCost != nil)
		assert.Equal(t, o.ByBytes, m.ByBytes != nil)
		assert.EqualValues(t, 1, m.All.Requests)
	}
	m := MergeTrackers(nil, 10)
	assert.Zero(t, *m)
	m = MergeTrackers([]*Tracker{NewTracker(TrackerOptions{ByBytes: true})}, 10)
	assert.NotNil(t, m.ByBytes)
	assert.Empty(t, m.ByBytes)
}

func TestTrackerLooksAtSelectedSlotsOnly(t *testing.T) {
	var slots SlotSet
	assert.True(t, slots.Add(5))
	tr := NewTracker(TrackerOptions{ByBytes: true, Slots: &slots})
	trackOne(tr, 5, "in", 10)
	trackOne(tr, 6, "out", 100)
	trackOne(tr, -1, "", 1000)
	m := MergeTrackers([]*Tracker{tr}, 10)
	assert.EqualValues(t, 1110, m.All.Bytes)
	assert.Equal(t, Usage{Requests: 1, Bytes: 10, Cost: Cost(10)}, m.Selected)
	assert.Equal(t, m.Selected, m.Sampled)
	assert.Equal(t, []Weighted{{Name("in"), 2, 10}}, m.ByBytes)
}

func TestTrackerScalesWhatItSamples(t *testing.T) {
	const n = 200_000
	tr := NewTracker(TrackerOptions{ByCost: true, ByBytes: true, Sample: 10})
	for i := range n {
		trackOne(tr, 1, []string{"a", "a", "a", "b"}[i%4], 100)
	}
	m := MergeTrackers([]*Tracker{tr}, 10)
	assert.EqualValues(t, n, m.All.Requests)
	assert.EqualValues(t, n, m.Selected.Requests)
	assert.InEpsilon(t, n/10, m.Sampled.Requests, 0.1)
	require.Len(t, m.ByBytes, 2)
	require.Len(t, m.ByCost, 2)
	for i, share := range []float64{0.75, 0.25} {
		assert.InEpsilon(t, share*n*100, m.ByBytes[i].Weight, 0.1)
		assert.InEpsilon(t, share*n*float64(Cost(100)), m.ByCost[i].Weight, 0.1)
	}
}

func TestTrackerFindsHeavyKeysAmongVeryMany(t *testing.T) {
	tr := NewTracker(TrackerOptions{ByCost: true, ByBytes: true})
	const n = 300_000
	heavy := 0
	for i := range n {
		if i%20 == 0 {
			trackOne(tr, 1, fmt.Sprint("heavy", heavy%5), 200)
			heavy++
			continue
		}
		trackOne(tr, 1, fmt.Sprint("light", rand.IntN(100_000)), 100)
	}
	m := MergeTrackers([]*Tracker{tr}, 5)
	for _, list := range [][]Weighted{m.ByCost, m.ByBytes} {
		require.Len(t, list, 5)
		for _, k := range list {
			assert.True(t, strings.HasPrefix(string(k.Name), "heavy"), "%s", k.Name)
		}
	}
	for _, k := range m.ByBytes {
		assert.LessOrEqual(t, k.Weight, uint64(heavy/5*200))
		assert.GreaterOrEqual(t, k.Weight, uint64(heavy/5*200*9/10))
	}
}

// The weights are lower bounds: a stream without heavy keys must not make any.
func TestTrackerInventsNoWeight(t *testing.T) {
	tr := NewTracker(TrackerOptions{ByBytes: true})
	for i := range 100_000 {
		trackOne(tr, 1, fmt.Sprint(i), 10)
	}
	m := MergeTrackers([]*Tracker{tr}, 64)
	require.Len(t, m.ByBytes, 64)
	assert.EqualValues(t, 10, m.ByBytes[0].Weight)
}

func TestTrackersOfSeveralLoopsAreAddedUp(t *testing.T) {
	o := TrackerOptions{ByCost: true, ByBytes: true}
	a, b := NewTracker(o), NewTracker(o)
	for range 3 {
		trackOne(a, 1, "both", 10)
		trackOne(b, 1, "both", 10)
		trackOne(b, 1, "second", 15)
	}
	m := MergeTrackers([]*Tracker{a, b}, 1)
	assert.Equal(t, []Weighted{{Name("both"), 4, 60}}, m.ByBytes)
	assert.EqualValues(t, 9, m.All.Requests)
}

func TestTrackerClonesAreIndependent(t *testing.T) {
	tr := NewTracker(TrackerOptions{ByCost: true, ByBytes: true})
	trackOne(tr, 1, "k", 10)
	c := tr.Clone()
	trackOne(tr, 1, "k", 10)
	assert.EqualValues(t, 10, MergeTrackers([]*Tracker{c}, 1).ByBytes[0].Weight)
	assert.EqualValues(t, 20, MergeTrackers([]*Tracker{tr}, 1).ByBytes[0].Weight)
	assert.Equal(t, Cost(10), MergeTrackers([]*Tracker{c}, 1).ByCost[0].Weight)
}

func TestTrackerTellsLongKeysApart(t *testing.T) {
	tr := NewTracker(TrackerOptions{ByBytes: true})
	stem := strings.Repeat("x", KeyMax)
	for _, key := range []string{"", stem[1:], stem, stem + "1", stem + "2", stem + "22", "a\x00\r\n"} {
		trackOne(tr, 1, key, 10)
		trackOne(tr, 1, key, 10)
	}
	m := MergeTrackers([]*Tracker{tr}, 10)
	require.Len(t, m.ByBytes, 7)
	lengths := make([]int, 0, 7)
	for _, k := range m.ByBytes {
		assert.EqualValues(t, 20, k.Weight)
		assert.LessOrEqual(t, len(k.Name), KeyMax)
		lengths = append(lengths, k.Length)
	}
	slices.Sort(lengths)
	assert.Equal(t, []int{0, 4, KeyMax - 1, KeyMax, KeyMax + 1, KeyMax + 1, KeyMax + 2}, lengths)
}

func TestTrackerAllocatesNothing(t *testing.T) {
	tr := NewTracker(TrackerOptions{ByCost: true, ByBytes: true, Sample: 2})
	keys := make([][]byte, 5000)
	for i := range keys {
		keys[i] = fmt.Append(nil, "key:", i)
	}
	i := 0
	assert.Zero(t, testing.AllocsPerRun(20_000, func() {
		key := keys[i%len(keys)]
		i++
		if tr.Request(i%SlotCount, 100) {
			tr.Key(key, 100, Cost(100))
		}
	}))
}

func TestSlotSet(t *testing.T) {
	var s SlotSet
	assert.Empty(t, s.Ranges())
	for _, slot := range []int{0, 2, 1, 16383, 100, 64, 63} {
		assert.False(t, s.Has(slot))
		assert.True(t, s.Add(slot))
		assert.False(t, s.Add(slot))
		assert.True(t, s.Has(slot))
	}
	assert.Equal(t, [][2]int{{0, 2}, {63, 64}, {100, 100}, {16383, 16383}}, s.Ranges())
}

func BenchmarkTracker(b *testing.B) {
	tr := NewTracker(TrackerOptions{ByCost: true, ByBytes: true})
	keys := make([][]byte, 1<<14)
	for i := range keys {
		keys[i] = fmt.Append(nil, "key:", rand.IntN(1<<14))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if tr.Request(1, 100) {
			tr.Key(keys[i%len(keys)], 100, Cost(100))
		}
	}
}
