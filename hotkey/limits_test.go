package hotkey

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The bound of chance holds also when the weight of the hits has changed within an interval.
func TestSamplingErrorWhenTheWeightChangesWithinAnInterval(t *testing.T) {
	const rounds, truth, weight = 300, 20_000, 33
	inside := 0
	for range rounds {
		r := newRig(Options{}, "a")
		for i := range 1000 { // a quiet part, of which all is looked at
			r.use(0, Hit{Key: fmt.Append(nil, "quiet", i%20), Weight: 1, Command: 1})
		}
		for range truth { // a burst, of which a sample is
			if rand.IntN(weight) == 0 {
				r.use(0, Hit{Key: []byte("burst"), Weight: weight, Command: 1})
			}
		}
		k := keyOf(t, r.end(10*time.Second), "burst")
		if math.Abs(float64(k.Count)-truth) <= float64(k.Error+k.SamplingError) {
			inside++
		}
	}
	assert.GreaterOrEqual(t, float64(inside)/rounds, 0.90, "the true count is to be within the bounds in 95 of 100 cases")
}

func keyOf(t *testing.T, r *Report, name string) Key {
	t.Helper()
	for _, k := range r.Keys {
		if string(k.Name) == name {
			return k
		}
	}
	require.Fail(t, "not listed", name)
	return Key{}
}

// Of many clients, one with more than a third of the hits is among those that are listed,
// and not with less than it had; and three are told apart exactly.
func TestFrequentClientsAreListed(t *testing.T) {
	r := newRig(Options{}, "a")
	truth := map[string]int{}
	for range 10_000 { // one of ten clients has two fifths of the hits, the others share the rest evenly
		client := uint32(1)
		if rand.IntN(5) > 1 {
			client = uint32(2 + rand.IntN(9))
		}
		truth[fmt.Sprint("client", client)]++
		r.use(0, Hit{Key: []byte("k"), Command: 1, Client: client})
	}
	k := keyOf(t, r.end(10*time.Second), "k")
	require.NotEmpty(t, k.Clients)
	assert.Equal(t, "client1", k.Clients[0].Name)
	assert.GreaterOrEqual(t, int(k.Clients[0].Hits), truth["client1"])
	r = newRig(Options{}, "a")
	for i := range 1000 {
		r.use(0, Hit{Key: []byte("k"), Command: 1, Client: 1 + uint32(i%5)/2})
	}
	k = keyOf(t, r.end(10*time.Second), "k")
	assert.Equal(t, []Part{{"client1", 400}, {"client2", 400}, {"client3", 200}}, k.Clients)
}

// An hour of a key that is used 1.2 million times a second, by MGETs that name it often.
func TestCountsDoNotWrap(t *testing.T) {
	r := newRig(Options{}, "a")
	const each = 1 << 20
	for range 4100 {
		r.use(0, Hit{Key: []byte("k"), Weight: each, Command: 1, Client: 1})
	}
	k := keyOf(t, r.end(time.Hour), "k")
	assert.GreaterOrEqual(t, k.Count, uint64(math.MaxUint32), "it may stop, but not begin anew")
	require.Len(t, k.Commands, 1)
	require.Len(t, k.Clients, 1)
	assert.GreaterOrEqual(t, k.Commands[0].Hits, uint64(math.MaxUint32))
	assert.GreaterOrEqual(t, k.Clients[0].Hits, uint64(math.MaxUint32))
}

// The hits of all loops and of up to ten intervals are more than 32 bits hold.
func TestSumsOfPartsDoNotWrap(t *testing.T) {
	r := newRig(Options{}, "a", "a")
	for site := range 2 {
		r.use(site, Hit{Key: []byte("k"), Weight: 3 << 30, Command: 1, Client: 1})
	}
	k := keyOf(t, r.end(time.Hour), "k")
	assert.EqualValues(t, 6<<30, k.Count)
	assert.EqualValues(t, 6<<30, k.Commands[0].Hits)
	assert.EqualValues(t, 6<<30, k.Clients[0].Hits)
}

func TestSlotCountsDoNotWrap(t *testing.T) {
	r := newRig(Options{}, "a")
	for range 3 {
		r.sites[0].slots.Request(7, true, 10, 1<<31)
	}
	got := r.end(time.Hour).SlotsByRequests
	require.Len(t, got, 1)
	assert.GreaterOrEqual(t, got[0].Requests, uint64(math.MaxUint32), "it may stop, but not begin anew")
}

// A key of exactly KeyMax bytes is not cut, so nothing of it is left out.
func TestANameOfKeyMaxBytesIsShownWhole(t *testing.T) {
	name := make(Name, KeyMax)
	for i := range name {
		name[i] = 'a'
	}
	name[KeyMax-1] = 0xc3
	assert.Contains(t, name.String(), `\xc3`)
}

// Requests whose bytes are counted for a key do not depend on how long the interval is:
// a reset just before the end of one must not make a peak that never was.
func TestAPeakIsNotMadeByAShortInterval(t *testing.T) {
	r := newRig(Options{}, "a")
	r.end(10*time.Second - 2*time.Millisecond)
	r.Reset() // HOTKEY RESET, 2 ms before the ticker
	r.hit(0, "k", 10)
	k := keyOf(t, r.end(2*time.Millisecond), "k")
	for range 6 {
		r.hit(0, "k", 10)
		k = keyOf(t, r.end(10*time.Second), "k")
	}
	assert.Less(t, k.Peak, 100.0, "one a second")
}

// Whatever the traffic, and when options change, the true count of a listed key, at the places
// where it was seen, is within its error.
func TestErrorsHoldForRandomTraffic(t *testing.T) {
	for seed := range 6 {
		rnd := rand.New(rand.NewPCG(uint64(seed), 1))
		places := 1 + rnd.IntN(4)
		var where []string
		for i := range places * (1 + rnd.IntN(2)) {
			where = append(where, fmt.Sprint("node", i%places))
		}
		intervals := 1 + rnd.IntN(5)
		r := newRig(Options{Capacity: 1 + rnd.IntN(40), Interval: time.Second, Window: time.Duration(intervals) * time.Second}, where...)
		type at struct{ key, place string }
		var history []map[at]uint64
		cold := 200 + rnd.IntN(30_000)
		for range 12 {
			truth := map[at]uint64{}
			for range rnd.IntN(30_000) {
				name := fmt.Sprint("cold", rnd.IntN(cold))
				site := int(Hash([]byte(name)) % uint64(places))
				switch rnd.IntN(4) {
				case 0:
					name = fmt.Sprint("hot", int(rnd.ExpFloat64()*30))
					site = rnd.IntN(places)
				case 1:
					name = fmt.Sprint("moving", len(history)/2, int(rnd.ExpFloat64()*60))
					site = (int(rnd.ExpFloat64()*60) + len(history)) % places
				}
				if len(where) > places && rnd.IntN(2) == 0 {
					site += places
				}
				weight := 1
				if rnd.IntN(100) == 0 {
					weight = 1 + rnd.IntN(50)
				}
				r.use(site, Hit{Key: []byte(name), Weight: weight, Command: 1})
				truth[at{name, where[site]}] += uint64(weight)
			}
			history = append(history, truth)
			if len(history) > intervals {
				history = history[1:]
			}
			rep := r.end(time.Second)
			bad := 0
			for _, k := range rep.Keys {
				var all uint64
				for _, h := range history {
					for _, w := range where[:places] {
						all += h[at{string(k.Name), w}]
					}
				}
				if k.Count > all+k.Error {
					bad++
					t.Errorf("seed %d: %s count %d error %d true everywhere %d", seed, k.Name, k.Count, k.Error, all)
				}
				here := uint64(0)
				for _, h := range history {
					here += h[at{string(k.Name), k.Node}]
				}
				if k.Count > 0 && here > k.Count+k.Error {
					bad++
					t.Errorf("seed %d: %s count %d error %d true at %s alone %d", seed, k.Name, k.Count, k.Error, k.Node, here)
				}
			}
			if bad > 0 {
				break
			}
			if rnd.IntN(6) == 0 {
				r.Configure(Options{Capacity: 1 + rnd.IntN(300), Interval: time.Second, Window: time.Duration(intervals) * time.Second})
			}
		}
	}
}

// docs/hotkeys.md: 15,000 keys a second are looked at in any case.
func TestALoopWithIdlePeersLooksAtItsKeys(t *testing.T) {
	s := NewSampler(0)
	s.SetOthers(0) // there are seven, and they are idle
	for now := int64(0); now < int64(time.Second); now += int64(100 * time.Millisecond) {
		for range 2000 { // 20,000 a second
			s.Take(1)
		}
		s.Pace(now)
	}
	assert.Equal(t, 1, s.Weight(), "all of 20,000 a second are to be looked at")
}
