package hotkey

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

var epoch = time.Unix(1_700_000_000, 0)

// site is where a loop counts.
type site struct {
	where   string
	counter *Counter
	slots   *Slots
	largest Largest
}

// rig is a collector with its counters, a clock, and what was truly hit.
type rig struct {
	*Collector
	sites []*site
	now   int64 // since epoch
	spare *Counts
	truth []map[string]uint64 // by interval
}

// newRig makes counters, each named after its place; one name may come several times, as for loops.
func newRig(o Options, where ...string) *rig {
	o.CommandName = func(n uint16) string { return fmt.Sprint("command", n) }
	o.ClientName = func(n uint32) string { return fmt.Sprint("client", n) }
	r := &rig{Collector: NewCollector(o)}
	r.random = rand.New(rand.NewPCG(1, 1))
	for _, w := range where {
		r.sites = append(r.sites, &site{where: w, counter: NewCounter(0), slots: new(Slots)})
	}
	r.truth = []map[string]uint64{{}}
	return r
}

func (r *rig) wall() time.Time { return epoch.Add(time.Duration(r.now)) }

// hit is n uses of a key, as that many hits of weight 1.
func (r *rig) hit(site int, key string, n int) {
	for range n {
		r.sites[site].counter.Hit(&Hit{Key: []byte(key), Hash: Hash([]byte(key)), Weight: 1, Now: r.now, Command: 1, Client: 1})
	}
	r.truth[len(r.truth)-1][key] += uint64(n)
}

// use is one hit as given, at the present time.
func (r *rig) use(site int, h Hit) {
	h.Hash, h.Now, h.Weight = Hash(h.Key), r.now, max(1, h.Weight)
	r.sites[site].counter.Hit(&h)
}

func (r *rig) offer(site int, key string, size int) {
	r.sites[site].largest.Offer([]byte(key), Hash([]byte(key)), 5, 2, size, r.now)
}

// pass lets time go on.
func (r *rig) pass(d time.Duration) { r.now += int64(d) }

// end lets time go on and ends the interval then, as the proxy does.
func (r *rig) end(d time.Duration) *Report {
	r.pass(d)
	for _, s := range r.sites {
		n := s.counter.Cut(r.spare, r.now)
		r.Add(s.where, n, r.now, r.wall())
		n.Clear()
		r.spare = n
		r.AddRest(s.slots, &s.largest, r.now, r.wall())
		s.slots.Clear()
		s.largest.Clear()
	}
	r.truth = append(r.truth, map[string]uint64{})
	return r.Merge(r.wall())
}

// trueCount is what a key got in the last n intervals.
func (r *rig) trueCount(key string, n int) (sum uint64) {
	for i := max(0, len(r.truth)-1-n); i < len(r.truth)-1; i++ {
		sum += r.truth[i][key]
	}
	return sum
}

func (r *Report) find(name string) (k Key, found bool) {
	for _, k := range r.Keys {
		if string(k.Name) == name {
			return k, true
		}
	}
	return Key{}, false
}

// get is a key that has to be listed.
func (r *Report) get(t testing.TB, name string) Key {
	t.Helper()
	k, found := r.find(name)
	if !found {
		t.Fatalf("%q is not listed", name)
	}
	return k
}

func names(keys []Key) (all []string) {
	for _, k := range keys {
		all = append(all, string(k.Name))
	}
	return all
}
