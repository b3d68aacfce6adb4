package stats

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// Carried has the totals of the process before this one and reports them as samples, so
// that [Gather] adds up both, and a counter goes on where it was. It does so as long as
// the service exists; numbers of an endpoint go on only while it has some in this process, as
// that is how long an endpoint is known.
//
// It belongs behind all other sources: what a name is, is for this process to say. Its
// methods may be called from any goroutine.
type Carried struct {
	exists func(service string) bool

	totals atomic.Pointer[[]total] // not changed any more

	mu        sync.Mutex // orders changes of totals; guards the following
	forgotten map[string]bool
}

// NewCarried has nothing at first. exists tells which services there are; nil: all.
func NewCarried(exists func(service string) bool) *Carried {
	if exists == nil {
		exists = func(string) bool { return true }
	}
	c := &Carried{exists: exists, forgotten: make(map[string]bool)}
	c.totals.Store(new([]total))
	return c
}

// Set takes what [Totals] has returned in the other process, as often as that has news.
// Nothing goes back by it: of what is there already the larger number holds. With an error
// (data that are cut, of another version, not valid, too many) nothing has changed.
func (c *Carried) Set(data []byte) error {
	news, err := decodeTotals(data)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.without(news)
	index := make(map[sampleKey]int, len(all))
	for i := range all {
		index[all[i].key()] = i
	}
	for _, old := range *c.totals.Load() {
		if i, ok := index[old.key()]; !ok {
			all = append(all, old)
		} else {
			all[i] = all[i].atLeast(&old)
		}
	}
	if len(all) > maxTotalsSeries {
		return fmt.Errorf("add totals: %d of them are more than %d", len(all), maxTotalsSeries)
	}
	c.totals.Store(&all)
	return nil
}

// Forget drops the totals of a service for good: when it is removed, or begins to count
// anew, what it had would look like an increase.
func (c *Carried) Forget(service string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgotten[service] = true
	all := c.without(*c.totals.Load())
	c.totals.Store(&all)
}

// without leaves out what was forgotten. It returns a list of its own.
func (c *Carried) without(list []total) []total {
	all := make([]total, 0, len(list))
	for _, t := range list {
		if !c.forgotten[t.Service] {
			all = append(all, t)
		}
	}
	return all
}

// Stats implements [Source].
func (c *Carried) Stats(emit func(Sample)) {
	exists := make(map[string]bool)
	for _, t := range *c.totals.Load() {
		there, asked := exists[t.Service]
		if !asked {
			there = t.Service == "" || c.exists(t.Service)
			exists[t.Service] = there
		}
		if there {
			emit(t.sample())
		}
	}
}

// sample is t as it is reported.
func (t *total) sample() Sample {
	s := t.Sample
	s.Attached = s.Endpoint != ""
	if s.Kind == Distribution {
		s.Hist = t.histogram()
	}
	return s
}

func (t *total) histogram() *Histogram {
	h := &Histogram{sum: t.sum, max: t.max}
	for _, b := range t.buckets {
		h.buckets[b.index] = b.count
		h.count += b.count
	}
	return h
}

// atLeast is t, or what there was before where that is more.
func (t *total) atLeast(old *total) total {
	if t.Kind != old.Kind || t.scale() != old.scale() {
		return *old
	}
	both := *t
	both.Value = max(t.Value, old.Value)
	both.sum, both.max = max(t.sum, old.sum), max(t.max, old.max)
	both.buckets = largerBuckets(t.buckets, old.buckets)
	return both
}

// largerBuckets merges two ascending lists; where both have a bucket the larger count holds.
func largerBuckets(a, b []bucketTotal) []bucketTotal {
	all := make([]bucketTotal, 0, max(len(a), len(b)))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].index < b[0].index:
			all, a = append(all, a[0]), a[1:]
		case a[0].index > b[0].index:
			all, b = append(all, b[0]), b[1:]
		default:
			all, a, b = append(all, bucketTotal{a[0].index, max(a[0].count, b[0].count)}), a[1:], b[1:]
		}
	}
	return append(append(all, a...), b...)
}
