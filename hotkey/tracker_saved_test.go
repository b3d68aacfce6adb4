package hotkey

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// moved is what another process gets of a result.
func moved(t testing.TB, m *Tracked) *Tracked {
	t.Helper()
	data, err := json.Marshal(m)
	require.NoError(t, err)
	got := new(Tracked)
	require.NoError(t, json.Unmarshal(data, got))
	return got
}

func TestTrackedIsTheSameInAnotherProcess(t *testing.T) {
	for _, o := range []TrackerOptions{{}, {ByCost: true}, {ByCost: true, ByBytes: true}, {ByBytes: true, Sample: 2}} {
		tr := NewTracker(o)
		empty := MergeTrackers([]*Tracker{tr}, 10)
		assert.Equal(t, empty, moved(t, empty))
		for i := range 100 {
			trackOne(tr, 1, fmt.Sprint("k", i%7), 100)
		}
		trackOne(tr, 1, "\x00\xff\"", 100)
		trackOne(tr, 1, strings.Repeat("é", KeyMax), 100)
		m := MergeTrackers([]*Tracker{tr}, 10)
		assert.Equal(t, m, moved(t, m))
	}
}

// TestTrackedAddsUp: cut in two anywhere, a session finds what it finds in one piece. There are
// so few keys that the tables, whose hash is another one in each process, forget none.
func TestTrackedAddsUp(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	o := TrackerOptions{ByCost: true, ByBytes: true}
	whole, halves := NewTracker(o), [2]*Tracker{NewTracker(o), NewTracker(o)}
	for i := range 2000 {
		key, bytes := strings.Repeat(fmt.Sprint("key", random.IntN(20)), 1+30*random.IntN(2)), uint64(random.IntN(5000))
		trackOne(whole, 1, key, bytes)
		trackOne(halves[i/700%2], 1, key, bytes)
	}
	first := MergeTrackers(halves[:1], MaxTracked)
	second := MergeTrackers(halves[1:], MaxTracked)
	before := moved(t, first)
	assert.Equal(t, MergeTrackers([]*Tracker{whole}, 64), second.Plus(moved(t, first), 64))
	assert.Equal(t, before, first, "it is only read")
	assert.Equal(t, second, second.Plus(MergeTrackers(nil, 1), MaxTracked))
}

func TestTrackedIsBounded(t *testing.T) {
	var all []*Tracker
	for i := range 3 {
		tr := NewTracker(TrackerOptions{ByCost: true, ByBytes: true})
		for k := range 1000 {
			trackOne(tr, 1, fmt.Sprintf("%0150d", k*3+i), 100)
		}
		all = append(all, tr)
	}
	m := MergeTrackers(all, 1<<20)
	require.Greater(t, len(m.ByBytes), MaxTracked)
	data, err := json.Marshal(m)
	require.NoError(t, err)
	t.Logf("%d bytes", len(data))
	assert.Less(t, len(data), 1<<20)
	assert.Len(t, moved(t, m).ByBytes, MaxTracked)
}

func TestTrackedOfNoUseChangesNothing(t *testing.T) {
	tooMany, err := json.Marshal(savedTracked{ByCost: make([]savedWeighted, MaxTracked+1)})
	require.NoError(t, err)
	for _, data := range []string{
		``, `[]`, `{"all":5}`, `{"by_cost":[{"name":"YQ==","length":2}]}`, `{"by_bytes":[{"name":"","length":-1}]}`,
		`{"by_bytes":[{"name":"YQ==","length":1,"weight":-1}]}`, string(tooMany),
	} {
		m := Tracked{All: Usage{Requests: 7}}
		assert.Error(t, json.Unmarshal([]byte(data), &m), data)
		assert.Equal(t, Tracked{All: Usage{Requests: 7}}, m)
	}
}

func FuzzTracked(f *testing.F) {
	f.Add([]byte(`{"all":{"Requests":1,"Bytes":2,"Cost":3},"by_cost":[{"name":"YQ==","length":1,"weight":9}],"by_bytes":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := new(Tracked)
		if json.Unmarshal(data, m) != nil {
			return
		}
		assert.Equal(t, m, moved(t, m))
		own := MergeTrackers([]*Tracker{NewTracker(TrackerOptions{ByCost: true, ByBytes: true})}, 5)
		assert.LessOrEqual(t, len(own.Plus(m, 5).ByCost), 5)
	})
}
