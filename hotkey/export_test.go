package hotkey

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// successor is a collector for the same places in another process, where commands and
// clients have other numbers.
func successor(t testing.TB, from *rig, o Options) *rig {
	t.Helper()
	data, err := from.Export()
	require.NoError(t, err)
	var where []string
	for _, s := range from.sites {
		where = append(where, s.where)
	}
	r := newRig(o, where...)
	r.renumber()
	r.now = from.now
	for _, s := range r.sites {
		s.counter = NewCounter(r.now)
	}
	require.NoError(t, r.Import(data))
	for _, interval := range from.truth {
		r.truth = append(r.truth, maps.Clone(interval))
	}
	return r
}

// renumber lets the number n mean what n+100 means to others.
func (r *rig) renumber() {
	name := func(n uint32, what string) string { return fmt.Sprint(what, n+100) }
	number := func(name, what string) (n uint32) {
		_, err := fmt.Sscanf(name, what+"%d", &n)
		if err != nil || n < 101 {
			return 0
		}
		return n - 100
	}
	o := r.o
	o.CommandName = func(n uint16) string { return name(uint32(n), "command") }
	o.ClientName = func(n uint32) string { return name(n, "client") }
	o.CommandNumber = func(s string) (uint16, bool) { n := number(s, "command"); return uint16(n), n > 0 }
	o.ClientNumber = func(s string) uint32 { return number(s, "client") }
	r.Configure(o)
}

// use counts n hits that only the test's numbers tell apart.
func (r *rig) useAs(site int, key string, n int, command uint16, client uint32) {
	for range n {
		r.use(site, Hit{Key: []byte(key), Command: command, Client: client, Bytes: 10, Slot: 77, Write: command%2 == 0})
	}
	r.truth[len(r.truth)-1][key] += uint64(n)
}

// asText is a report without what is different in each process.
func asText(t testing.TB, r *Report) string {
	t.Helper()
	c := *r
	c.Time = c.Time.UTC()
	c.Keys = append([]Key{}, r.Keys...)
	for i := range c.Keys {
		k := &c.Keys[i]
		k.Hash = ""
		k.FirstSeen, k.LastSeen = k.FirstSeen.UTC(), k.LastSeen.UTC()
	}
	c.Values = append([]Value{}, r.Values...)
	for i := range c.Values {
		c.Values[i].Seen = c.Values[i].Seen.UTC()
	}
	text, err := json.MarshalIndent(c, "", " ")
	require.NoError(t, err)
	return string(text)
}

// withoutChance leaves out the heat, which grows by chance, and the order that it makes; and
// what moved the values, for which offer has one number in every process.
func withoutChance(t testing.TB, r *Report) string {
	t.Helper()
	c := *r
	c.Keys, c.Values = slices.Clone(r.Keys), slices.Clone(r.Values)
	for i := range c.Keys {
		c.Keys[i].Heat = 0
	}
	slices.SortFunc(c.Keys, func(a, b Key) int { return slices.Compare(a.Name, b.Name) })
	for i := range c.Values {
		c.Values[i].Command = ""
	}
	return asText(t, &c)
}

var longKey = strings.Repeat("long:", 40)

// warm is a collector with two intervals behind it and some hits in a third.
func warm() *rig {
	r := newRig(Options{Interval: time.Second, Window: 3 * time.Second, Capacity: 10}, "n1", "n2", "n1")
	for range 2 {
		r.useAs(0, "hot", 300, 101, 102)
		r.useAs(1, "hot", 20, 102, 103)
		r.useAs(2, "warm", 50, 101, 101)
		r.useAs(1, longKey, 30, 103, 101)
		r.useAs(0, "a\x00\xff\"", 5, 101, 0)
		r.sites[0].slots.Request(77, true, 100, 5)
		r.sites[0].slots.Replied(9, 1000)
		r.offer(0, "large", 5000)
		r.offer(1, longKey, 4000)
		r.end(time.Second)
	}
	r.useAs(0, "hot", 7, 101, 102)
	r.useAs(1, "new", 9, 104, 104)
	return r
}

func TestSuccessorReportsTheSameAtOnce(t *testing.T) {
	parent := warm()
	child := successor(t, parent, Options{Interval: time.Second, Window: 3 * time.Second, Capacity: 10})
	before, after := parent.Report(), child.Report()
	assert.JSONEq(t, asText(t, before), asText(t, after))
	hot := after.get(t, "hot")
	assert.EqualValues(t, 640, hot.Count)
	assert.Equal(t, before.get(t, "hot").Heat, hot.Heat)
	assert.Equal(t, []Part{{"command101", 600}, {"command102", 40}}, hot.Commands)
	assert.Equal(t, []Part{{"client102", 600}, {"client103", 40}}, hot.Clients)
	assert.Equal(t, hashText(Hash([]byte("hot"))), hot.Hash)
	assert.NotZero(t, after.Values)
	assert.NotZero(t, after.SlotsByBytes)
}

// TestSuccessorGoesOn: with the same hits from here on both find the same, whichever of
// them was asked, so nothing that will be needed was left behind.
func TestSuccessorGoesOn(t *testing.T) {
	parent := warm()
	o := Options{Interval: time.Second, Window: 3 * time.Second, Capacity: 10}
	// What the counters hold is brought in first, as the owner of the counters does.
	for _, s := range parent.sites {
		parent.Add(s.where, s.counter.Cut(nil, parent.now), parent.now, parent.wall())
		parent.AddRest(s.slots, &s.largest, parent.now, parent.wall())
		s.slots.Clear()
		s.largest.Clear()
	}
	child := successor(t, parent, o)
	var reports [2]*Report
	for range 4 {
		for i, r := range []*rig{parent, child} {
			shift := uint16(100 * (1 - i)) // the parent's numbers
			r.useAs(0, "hot", 10, 1+shift, uint32(2+shift))
			r.useAs(1, "warm", 20, 2+shift, uint32(2+shift))
			r.useAs(1, longKey, 5, 3+shift, uint32(1+shift))
			r.useAs(2, "later", 6, 5+shift, uint32(9+shift))
			r.offer(0, "large", 4500)
			r.offer(1, longKey, 4500)
			reports[i] = r.end(time.Second)
		}
		assert.JSONEq(t, withoutChance(t, reports[0]), withoutChance(t, reports[1]))
		for _, name := range []string{"hot", "warm"} {
			k := reports[1].get(t, name)
			truth := child.trueCount(name, 3)
			assert.LessOrEqual(t, max(truth, k.Count)-min(truth, k.Count), k.Error, name)
		}
	}
}

func TestHeatCoolsDownAsBefore(t *testing.T) {
	parent := newRig(Options{}, "n")
	parent.hit(0, "k", 10_000)
	heat := parent.end(10*time.Second).get(t, "k").Heat
	require.Greater(t, heat, uint8(8))
	parent.end(70 * time.Second) // one idle minute
	child := successor(t, parent, Options{})
	assert.Equal(t, heat/2, child.Report().get(t, "k").Heat)
	assert.Equal(t, heat/2, child.end(time.Second).get(t, "k").Heat, "the minute counts once")
	assert.Equal(t, heat/4, child.end(60*time.Second).get(t, "k").Heat)
}

// TestLongKeyIsFoundAgain: only its beginning is known, and its hash is another one.
func TestLongKeyIsFoundAgain(t *testing.T) {
	parent := warm()
	parent.end(time.Second)
	child := successor(t, parent, Options{Interval: time.Second, Window: 3 * time.Second, Capacity: 10})
	other := longKey[:KeyMax] + strings.Repeat("x", len(longKey)-KeyMax+1)
	child.useAs(1, longKey, 3, 1, 1)
	child.useAs(1, other, 4, 1, 1)
	child.sites[1].largest.Offer([]byte(longKey), Hash([]byte(longKey)), 5, 2, 4001, child.now)
	r := child.end(time.Second)
	var counts []uint64
	for _, k := range r.Keys {
		if k.Length > KeyMax {
			counts = append(counts, k.Count)
		}
	}
	assert.Equal(t, []uint64{33, 4}, counts, "30 of the window before and 3; the other one is longer")
	sizes := map[int]int{}
	for _, v := range r.Values {
		sizes[v.Length] = v.Size
	}
	assert.Equal(t, map[int]int{len(longKey): 4001, 5: 5000}, sizes)
	assert.Len(t, r.Values, 2)
}

func TestNamesWithoutNumbersAreLeftOut(t *testing.T) {
	parent := warm()
	data, err := parent.Export()
	require.NoError(t, err)
	c := NewCollector(Options{Interval: time.Second, Window: 3 * time.Second})
	require.NoError(t, c.Import(data))
	k := c.Merge(parent.wall()).get(t, "hot")
	assert.EqualValues(t, 640, k.Count)
	assert.Empty(t, k.Commands)
	assert.Empty(t, k.Clients)
}

func TestWindowOfAnotherLengthTakesWhatThereIs(t *testing.T) {
	for _, window := range []int{1, 2, 10} {
		child := successor(t, warm(), Options{Interval: time.Second, Window: time.Duration(window) * time.Second})
		for range 12 {
			child.useAs(0, "hot", 1, 1, 1)
			child.end(time.Second)
		}
		assert.EqualValues(t, window, child.Report().get(t, "hot").Count)
	}
}

func TestExportDoesNotDisturb(t *testing.T) {
	one, two := warm(), warm()
	_, err := one.Export()
	require.NoError(t, err)
	assert.JSONEq(t, withoutChance(t, two.Report()), withoutChance(t, one.Report()))
	assert.JSONEq(t, withoutChance(t, two.end(time.Second)), withoutChance(t, one.end(time.Second)))
}

// TestExportIsBounded: far more keys than are remembered, in counters of many places.
func TestExportIsBounded(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var where []string
	for i := range 20 {
		where = append(where, fmt.Sprint("10.0.0.", i, ":7000"))
	}
	r := newRig(Options{}, where...)
	for range 3 {
		for range 60_000 {
			r.hit(random.IntN(20), fmt.Sprintf("%0100d", random.IntN(20_000)), 1)
		}
		r.end(10 * time.Second)
	}
	for range 60_000 {
		r.hit(random.IntN(20), fmt.Sprintf("%0100d", random.IntN(20_000)), 1)
	}
	for _, s := range r.sites {
		r.Add(s.where, s.counter.Cut(nil, r.now), r.now, r.wall())
	}
	data, err := r.Export()
	require.NoError(t, err)
	t.Logf("%d bytes", len(data))
	assert.Less(t, len(data), 2<<20)
	s, err := decodeSaved(data)
	require.NoError(t, err)
	assert.LessOrEqual(t, len(s.Keys), Options{}.complete().tracked())
}

// spoilt are states that must not be taken, by what is wrong with them.
func spoilt(t testing.TB) map[string][]byte {
	t.Helper()
	r := warm()
	r.end(time.Second)
	good, err := r.Export()
	require.NoError(t, err)
	with := func(change func(*saved)) []byte {
		s, err := decodeSaved(good)
		require.NoError(t, err)
		change(s)
		data, err := json.Marshal(s)
		require.NoError(t, err)
		return data
	}
	return map[string][]byte{
		"nothing":          nil,
		"cut":              good[:len(good)-1],
		"more behind it":   append(append([]byte{}, good...), '1'),
		"something else":   []byte(`{"version":1}`),
		"another version":  with(func(s *saved) { s.Version = 2 }),
		"no interval":      with(func(s *saved) { s.Intervals = nil; s.Keys = nil }),
		"many intervals":   with(func(s *saved) { s.Intervals = make([]savedInterval, maxIntervals+1); s.Keys = nil }),
		"other intervals":  with(func(s *saved) { s.Keys[0].Counts = s.Keys[0].Counts[1:] }),
		"key twice":        with(func(s *saved) { s.Keys = append(s.Keys, s.Keys[0]) }),
		"length":           with(func(s *saved) { s.Keys[0].Length++ }),
		"negative length":  with(func(s *saved) { s.Keys[0].Length = -1 }),
		"long name":        with(func(s *saved) { s.Keys[0].Name = make([]byte, 200); s.Keys[0].Length = 200 }),
		"short long name":  with(func(s *saved) { s.Keys[0].Length = 200 }),
		"slot":             with(func(s *saved) { s.Keys[0].Slot = SlotCount }),
		"halved":           with(func(s *saved) { s.Keys[0].Halved = -1 }),
		"peak":             with(func(s *saved) { s.Keys[0].Peak = -1 }),
		"variance":         with(func(s *saved) { s.Keys[0].Counts[0].Variance = -1 }),
		"slot of slots":    with(func(s *saved) { s.Slots = []savedSlot{{Slot: -1}} }),
		"value":            with(func(s *saved) { s.Values[0].Size = -1 }),
		"many values":      with(func(s *saved) { s.Values = make([]savedValue, 33) }),
		"name of value":    with(func(s *saved) { s.Values[0].Raw = nil }),
		"report":           with(func(s *saved) { s.Report.Tracked = -1 }),
		"report's key":     with(func(s *saved) { s.Report.Keys[0].Raw = nil }),
		"report's value":   with(func(s *saved) { s.Report.Values[0].Slot = SlotCount }),
		"report's slot":    with(func(s *saved) { s.Report.SlotsByBytes = []Slot{{Slot: SlotCount}} }),
		"report's slots":   with(func(s *saved) { s.Report.SlotsByBytes = make([]Slot, slotsListed+1) }),
		"too many keys":    with(func(s *saved) { s.Report.Keys = make([]savedListed, maxSavedKeys+1) }),
		"a heat of 256":    []byte(strings.Replace(string(good), `"heat":`, `"heat":25600`, 1)),
		"a negative count": []byte(strings.Replace(string(good), `"count":`, `"count":-`, 1)),
	}
}

func TestStateOfNoUseChangesNothing(t *testing.T) {
	r := warm()
	r.renumber()
	asked := 0
	o := r.o
	o.ClientNumber = func(string) uint32 { asked++; return 1 }
	r.Configure(o)
	before, err := r.Export()
	require.NoError(t, err)
	for name, data := range spoilt(t) {
		assert.Error(t, r.Import(data), name)
	}
	after, err := r.Export()
	require.NoError(t, err)
	assert.Equal(t, sorted(t, before), sorted(t, after))
	assert.Zero(t, asked, "no name was noted")
}

// sorted is a state as JSON whose lists of places are in order.
func sorted(t *testing.T, data []byte) *saved {
	t.Helper()
	s, err := decodeSaved(data)
	require.NoError(t, err)
	for i := range s.Intervals {
		all := map[string]savedPlace{}
		for _, p := range s.Intervals[i].Places {
			all[p.Name] = p
		}
		s.Intervals[i].Places = nil
		for _, name := range []string{"n1", "n2"} {
			if p, ok := all[name]; ok {
				s.Intervals[i].Places = append(s.Intervals[i].Places, p)
			}
		}
	}
	return s
}

func FuzzImport(f *testing.F) {
	good, err := warm().Export()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"format":"samaritan hot keys","version":1,"intervals":[{}],"report":{}}`))
	for _, data := range spoilt(f) {
		if len(data) < 1<<20 {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newRig(Options{Interval: time.Second}, "n1")
		r.renumber()
		was := r.Report()
		if r.Import(data) != nil {
			assert.Same(t, was, r.Report())
			assert.Empty(t, r.keys)
			return
		}
		r.useAs(0, "hot", 3, 1, 1)
		r.useAs(0, longKey, 3, 1, 1)
		for range 3 {
			r.end(time.Second)
		}
		again, err := r.Export()
		require.NoError(t, err)
		_, err = decodeSaved(again)
		require.NoError(t, err)
	})
}

// BenchmarkExport is of as many keys as are remembered by default.
func BenchmarkExport(b *testing.B) {
	r := newRig(Options{}, "10.0.0.1:7000", "10.0.0.2:7000", "10.0.0.3:7000")
	for range 2 {
		for i := range 30_000 {
			r.hit(i%3, fmt.Sprint("some:key:", i*i%1000), 1)
		}
		r.end(10 * time.Second)
	}
	var data []byte
	b.Run("export", func(b *testing.B) {
		for b.Loop() {
			data, _ = r.Export()
		}
		b.ReportMetric(float64(len(data)), "bytes")
	})
	b.Run("import", func(b *testing.B) {
		c := NewCollector(Options{})
		for b.Loop() {
			require.NoError(b, c.Import(data))
		}
	})
}
