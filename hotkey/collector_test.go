package hotkey

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnEmptyCollectorHasAnEmptyReport(t *testing.T) {
	c := NewCollector(Options{})
	r := c.Report()
	require.NotNil(t, r)
	assert.Equal(t, &Report{SampleRate: 1}, r)

	r = c.Merge(epoch)
	assert.Same(t, r, c.Report())
	assert.Equal(t, epoch, r.Time)
	assert.Equal(t, 10*time.Second, r.Interval, "the default, as nobody has measured one")
	assert.Equal(t, 10*time.Second, r.Window)
	assert.Zero(t, r.Hits)
	assert.Zero(t, r.QPS)
	assert.EqualValues(t, 1, r.SampleRate)
	assert.Empty(t, r.Keys)
	assert.Empty(t, r.SlotsByRequests)
	assert.Empty(t, r.SlotsByBytes)
	assert.Empty(t, r.Values)

	c.AddRest(nil, nil, 0, epoch)
	c.AddRest(new(Slots), new(Largest), 0, epoch)
	c.Add("a", new(Counts), 0, epoch)
	assert.Empty(t, c.Merge(epoch.Add(time.Second)).Keys)
}

func TestReportHasAllThatIsKnownOfAKey(t *testing.T) {
	r := newRig(Options{Interval: 10 * time.Second, Window: 20 * time.Second}, "a", "b")
	r.pass(time.Second)
	for range 30 {
		r.use(0, Hit{Key: []byte("k"), Slot: 9, Command: 1, Client: 1, Bytes: 10})
	}
	r.sites[0].counter.Replied(Hash([]byte("k")), 999)
	r.pass(time.Second)
	for range 10 {
		r.use(0, Hit{Key: []byte("k"), Slot: 9, Command: 2, Client: 2, Bytes: 5, Write: true})
	}
	for range 60 {
		r.use(1, Hit{Key: []byte("other"), Slot: 10, Command: 3})
	}
	for range 40 {
		r.use(0, Hit{Key: []byte("third"), Slot: 11, Command: 3, Client: 3})
	}
	rep := r.end(8 * time.Second)
	assert.EqualValues(t, 140, rep.Hits)
	assert.InDelta(t, 14, rep.QPS, 1e-9)
	assert.EqualValues(t, 1, rep.SampleRate)
	assert.Equal(t, 10*time.Second, rep.Interval)
	assert.Equal(t, 10*time.Second, rep.Window)
	assert.Equal(t, 3, rep.Tracked)
	k := rep.get(t, "k")
	k.Heat = 0 // chance
	assert.Equal(t, Key{
		Name: Name("k"), Length: 1, Hash: hashText(Hash([]byte("k"))), Slot: 9, Node: "a", QPS: 4, Peak: 4, Count: 40,
		NodeShare: 0.5, Share: 40.0 / 140, Reads: 30, Writes: 10, BytesIn: 350, BytesOut: 999,
		Commands: []Part{{"command1", 30}, {"command2", 10}}, Clients: []Part{{"client1", 30}, {"client2", 10}},
		FirstSeen: epoch.Add(time.Second), LastSeen: epoch.Add(2 * time.Second),
	}, k)
	assert.Equal(t, "b", rep.get(t, "other").Node)
	assert.Empty(t, rep.get(t, "other").Clients, "nobody has said who")
	assert.Positive(t, rep.get(t, "other").Heat)
}

func TestWindowsOfSeveralIntervals(t *testing.T) {
	for _, n := range []int{1, 2, 10} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			r := newRig(Options{Interval: time.Second, Window: time.Duration(n) * time.Second}, "a")
			for i := range 25 {
				r.hit(0, "k", i+1)
				r.hit(0, "background", 1)
				rep := r.end(time.Second)
				k := rep.get(t, "k")
				have := min(i+1, n)
				assert.Equal(t, r.trueCount("k", n), k.Count)
				assert.Zero(t, k.Error)
				assert.Equal(t, k.Count+uint64(have), rep.Hits)
				assert.InDelta(t, i+1, k.QPS, 1e-9)
				assert.InDelta(t, i+1, k.Peak, 1e-9)
				assert.Equal(t, time.Duration(have)*time.Second, rep.Window)
				assert.Equal(t, k.Count, k.Commands[0].Hits)
				assert.Equal(t, k.Count, k.Reads)
			}
			for i := range n {
				k := r.end(time.Second).get(t, "k")
				assert.Equal(t, r.trueCount("k", n), k.Count, "%d intervals later", i+1)
				assert.Zero(t, k.QPS)
				assert.InDelta(t, 25, k.Peak, 1e-9)
				assert.Equal(t, epoch, k.FirstSeen)
				assert.Equal(t, epoch.Add(24*time.Second), k.LastSeen)
			}
		})
	}
}

func TestOptionsAreRoundedToWholeIntervals(t *testing.T) {
	for _, tt := range []struct {
		interval, window time.Duration
		want             int
	}{
		{0, 0, 2},
		{time.Second, 0, 2},
		{time.Second, 1, 1},
		{time.Second, time.Second, 1},
		{time.Second, time.Second + 1, 2},
		{time.Second, time.Minute, 10},
		{time.Hour, time.Second, 1},
		{-1, -1, 2},
		{0, time.Minute, 6},
	} {
		assert.Equal(t, tt.want, Options{Interval: tt.interval, Window: tt.window}.complete().intervals(), "%v", tt)
	}
}

func TestConfigureTakesEffectFromTheNextMerge(t *testing.T) {
	o := Options{Interval: time.Second, Window: 2 * time.Second, Capacity: 5}
	r := newRig(o, "a")
	round := func(window, listed int) {
		t.Helper()
		for i := range 20 {
			r.hit(0, "key"+strconv.Itoa(i), 20-i)
		}
		rep := r.end(time.Second)
		require.Len(t, rep.Keys, listed)
		assert.Equal(t, 20, rep.Tracked)
		for i, k := range rep.Keys {
			assert.Equal(t, "key"+strconv.Itoa(i), string(k.Name))
			assert.EqualValues(t, window*(20-i), k.Count)
			assert.Zero(t, k.Error)
		}
		assert.EqualValues(t, window*210, rep.Hits)
		assert.Equal(t, time.Duration(window)*time.Second, rep.Window)
	}
	round(1, 5)
	round(2, 5)
	round(2, 5)
	o.Window, o.Capacity = 5*time.Second, 12
	r.Configure(o)
	round(2, 12) // the interval in front was let go of already
	round(3, 12)
	round(4, 12)
	round(5, 12)
	round(5, 12)
	o.Window, o.Capacity = time.Second, 2
	r.Configure(o)
	round(5, 2)
	round(1, 2)
	o.Window, o.Capacity = 10*time.Second, 1000
	r.Configure(o)
	round(1, 20)
	round(2, 20)
	r.Configure(Options{})
	round(3, 20)
	round(2, 20)
}

func TestKeysOfSeveralPlacesAndLoops(t *testing.T) {
	r := newRig(Options{Interval: time.Second, Window: 2 * time.Second}, "a", "b", "a", "b")
	r.hit(0, "k", 10)
	r.hit(2, "k", 20)
	r.hit(1, "k", 25)
	r.hit(3, "other", 75)
	k := r.end(time.Second).get(t, "k")
	assert.EqualValues(t, 55, k.Count)
	assert.Equal(t, "a", k.Node, "30 of 55")
	assert.EqualValues(t, 1, k.NodeShare)
	assert.InDelta(t, 55.0/130, k.Share, 1e-9)
	r.hit(3, "k", 30)
	k = r.end(time.Second).get(t, "k")
	assert.Equal(t, "b", k.Node, "it has moved")
	assert.InDelta(t, 55.0/130, k.NodeShare, 1e-9)
	assert.EqualValues(t, 85, k.Count)
	assert.Zero(t, k.Error)
	k = r.end(time.Second).get(t, "k")
	assert.EqualValues(t, 1, k.NodeShare)
	assert.EqualValues(t, 30, k.Count)
}

func TestPeakIsTheHighestRateOfAnInterval(t *testing.T) {
	r := newRig(Options{Interval: time.Second, Window: 2 * time.Second}, "a")
	for _, tt := range []struct {
		hits      int
		took      time.Duration
		qps, peak float64
	}{{100, time.Second, 100, 100}, {10, time.Second, 10, 100}, {500, 10 * time.Second, 50, 100}, {100, 500 * time.Millisecond, 200, 200}, {0, time.Second, 0, 200}} {
		r.hit(0, "k", tt.hits)
		k := r.end(tt.took).get(t, "k")
		assert.InDelta(t, tt.qps, k.QPS, 1e-9)
		assert.InDelta(t, tt.peak, k.Peak, 1e-9)
	}
}

func TestHeatIsHalvedForEachIdleMinuteUntilTheKeyIsForgotten(t *testing.T) {
	r := newRig(Options{Interval: 10 * time.Second, Window: 20 * time.Second}, "a")
	r.hit(0, "k", 1_000_000)
	heat := r.end(10*time.Second).get(t, "k").Heat
	assert.EqualValues(t, 255, heat)
	last := epoch
	for {
		rep := r.end(10 * time.Second)
		want := 255 >> int(rep.Time.Sub(last)/time.Minute)
		k, found := rep.find("k")
		if want == 0 {
			assert.False(t, found, "forgotten")
			assert.Zero(t, rep.Tracked)
			break
		}
		require.True(t, found)
		assert.EqualValues(t, want, k.Heat, rep.Time.Sub(last))
		assert.Equal(t, last, k.LastSeen)
	}
	r.hit(0, "k", 1)
	k := r.end(time.Second).get(t, "k")
	assert.Equal(t, epoch.Add(time.Duration(r.now)-time.Second), k.FirstSeen, "it is new")
	assert.InDelta(t, 1, k.Peak, 1e-9)
	assert.EqualValues(t, 1, k.Heat)
}

// A use puts an end to idleness: minutes count anew from then on.
func TestHeatIsHalvedOnceForEachMinute(t *testing.T) {
	r := newRig(Options{Interval: time.Second, Window: time.Second}, "a")
	r.hit(0, "k", 1_000_000)
	r.end(time.Second)
	assert.EqualValues(t, 63, r.end(2*time.Minute).get(t, "k").Heat)
	r.pass(30 * time.Second)
	r.hit(0, "k", 1)
	heat := r.end(time.Second).get(t, "k").Heat
	assert.Contains(t, []uint8{31, 63, 64}, heat)
	assert.Equal(t, heat, r.end(50*time.Second).get(t, "k").Heat)
	assert.Equal(t, heat/2, r.end(20*time.Second).get(t, "k").Heat)
	assert.Equal(t, heat/16, r.end(3*time.Minute).get(t, "k").Heat, "several at once")
}

func TestKeysAreOrderedByHitsThenHeatThenAge(t *testing.T) {
	r := newRig(Options{Interval: time.Second, Window: time.Second, Capacity: 10}, "a")
	r.hit(0, "hot before", 100_000)
	r.hit(0, "less hot before", 2000)
	r.end(time.Second)
	r.hit(0, "c", 1)
	r.hit(0, "b", 1)
	r.hit(0, "most", 3)
	r.pass(1)
	r.hit(0, "later", 1)
	rep := r.end(time.Second)
	assert.Equal(t, []string{"most", "later", "b", "c", "hot before", "less hot before"}, names(rep.Keys))
	assert.Zero(t, rep.get(t, "hot before").Count)
	assert.Zero(t, rep.get(t, "hot before").Share)
	assert.Zero(t, rep.get(t, "hot before").Error)
}

func TestTheCollectorRemembersABoundedNumberOfKeys(t *testing.T) {
	var where []string
	for i := range 20 {
		where = append(where, fmt.Sprint("node", i))
	}
	o := Options{Interval: time.Second, Window: 3 * time.Second, Capacity: 100}
	r := newRig(o, where...)
	bound := func(capacity int) int { return 2 * max(256, 4*capacity) }
	check := func(capacity int) {
		t.Helper()
		for i := range 100_000 {
			r.hit(i%20, "key"+strconv.Itoa(i), 1+btoi(i%1000 == 0)*20)
		}
		rep := r.end(time.Second)
		assert.LessOrEqual(t, rep.Tracked, bound(capacity))
		assert.LessOrEqual(t, len(r.keys), bound(capacity))
		require.Len(t, rep.Keys, capacity)
		for _, k := range rep.Keys[:min(capacity, 100)] {
			n, _ := strconv.Atoi(string(k.Name[3:]))
			assert.Zero(t, n%1000, "the frequent ones come first")
		}
	}
	check(100)
	check(100)
	o.Capacity = 10
	r.Configure(o)
	check(10)
	o.Capacity = 1000
	r.Configure(o)
	check(1000)
	o.Capacity = 50
	r.Configure(o)
	check(50)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestResetForgetsEverything(t *testing.T) {
	r := newRig(Options{Interval: time.Second}, "a")
	r.hit(0, "old", 10)
	r.offer(0, "old", 5000)
	r.sites[0].slots.Request(1, true, 1, 1)
	before := r.end(time.Second)
	r.hit(0, "unmerged", 3)
	n := r.sites[0].counter.Cut(nil, r.now)
	r.Add("a", n, r.now, r.wall())
	r.Reset()
	assert.Equal(t, &Report{SampleRate: 1}, r.Report())
	require.Len(t, before.Keys, 1, "whoever has it may go on reading")
	r.hit(0, "new", 2)
	rep := r.end(time.Second)
	assert.Equal(t, []string{"new"}, names(rep.Keys))
	assert.EqualValues(t, 2, rep.Hits)
	assert.Empty(t, rep.Values)
	assert.Empty(t, rep.SlotsByRequests)
	assert.Equal(t, time.Second, rep.Window)
}

func TestReportsDoNotChange(t *testing.T) {
	r := newRig(Options{Interval: time.Second, Window: 3 * time.Second}, "a")
	var reports []*Report
	var texts []string
	for i := range 12 {
		for j := range 300 {
			r.hit(0, "key"+strconv.Itoa((i*37+j)%500), 1+j%3)
		}
		r.offer(0, "large"+strconv.Itoa(i%3), 2000+100*((i*7)%5))
		r.sites[0].slots.Request(uint16(i), false, 10, 1)
		rep := r.end(20 * time.Second)
		text, err := json.Marshal(rep)
		require.NoError(t, err)
		reports, texts = append(reports, rep), append(texts, string(text))
	}
	r.Reset()
	for i, rep := range reports {
		text, err := json.Marshal(rep)
		require.NoError(t, err)
		assert.Equal(t, texts[i], string(text))
	}
}

// The clock of the system may be set; that of the loops goes on.
func TestTimeOfDayMayRunBackwards(t *testing.T) {
	r := newRig(Options{Interval: 10 * time.Second, Window: 20 * time.Second}, "a")
	wall := epoch
	end := func(step time.Duration) *Report {
		r.now += int64(10 * time.Second)
		wall = wall.Add(step)
		n := r.sites[0].counter.Cut(nil, r.now)
		r.Add("a", n, r.now, wall)
		r.AddRest(r.sites[0].slots, &r.sites[0].largest, r.now, wall)
		r.truth = append(r.truth, map[string]uint64{})
		return r.Merge(wall)
	}
	r.hit(0, "k", 10)
	r.offer(0, "v", 2000)
	end(10 * time.Second)
	r.hit(0, "k", 5)
	rep := end(-time.Hour)
	k := rep.get(t, "k")
	assert.EqualValues(t, 15, k.Count)
	assert.InDelta(t, 0.5, k.QPS, 1e-9)
	assert.Equal(t, 10*time.Second, rep.Interval)
	assert.GreaterOrEqual(t, rep.Window, time.Duration(0))
	assert.Len(t, rep.Values, 1)
	assert.Positive(t, k.Heat)
	for range 3 {
		r.hit(0, "k", 5)
		k = end(10*time.Second).get(t, "k")
		assert.EqualValues(t, 10, k.Count)
	}
	assert.False(t, k.LastSeen.Before(k.FirstSeen))
}

// Cutting, merging, reading and changing the options go on at the same time.
func TestCollectorServesSeveralGoroutines(t *testing.T) {
	c := NewCollector(Options{Interval: time.Millisecond, Capacity: 20})
	var running sync.WaitGroup
	for g := range 3 {
		running.Go(func() {
			counter, slots := NewCounter(0), new(Slots)
			var spare *Counts
			var largest Largest
			for i := range 60 {
				for j := range 500 {
					key := strconv.AppendInt(nil, int64(j*j%300), 10)
					counter.Hit(&Hit{Key: key, Hash: Hash(key), Weight: 1, Now: int64(i)})
				}
				slots.Request(uint16(i), true, 1, 1)
				largest.Offer([]byte("v"), 1, 1, 1, 2000+i, int64(i))
				spare = counter.Cut(spare, int64(i))
				c.Add(fmt.Sprint("node", g), spare, int64(i), epoch)
				c.AddRest(slots, &largest, int64(i), epoch)
				slots.Clear()
			}
		})
	}
	running.Go(func() {
		for i := range 40 {
			c.Merge(epoch.Add(time.Duration(i) * time.Second))
			c.Configure(Options{Interval: time.Second, Window: time.Duration(i%12) * time.Second, Capacity: i})
		}
		c.Reset()
	})
	running.Go(func() {
		for range 2000 {
			r := c.Report()
			for i := range r.Keys {
				assert.NotEmpty(t, r.Keys[i].Name.String())
			}
			assert.True(t, slices.IsSortedFunc(r.Keys, func(a, b Key) int { return compare(b.Count, a.Count) }))
		}
	})
	running.Wait()
}
