package hotkey

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options of a [Collector].
type Options struct {
	// Capacity is how many keys a report lists; 0 is 50.
	Capacity int
	// Interval is how often Merge is called; 0 is 10 s. It decides over how many intervals the window goes.
	Interval time.Duration
	// Window is the time over which keys are counted, in whole intervals, at least one and
	// at most 10; 0 is two intervals. As each window has half of the one before, hits of a short time are
	// seen together even when an interval ends in the middle of it.
	Window time.Duration
	// CommandName and ClientName give the numbers in a Hit their names. They are called
	// while an interval is merged. nil means that there are none.
	CommandName func(uint16) string
	ClientName  func(uint32) string
	// CommandNumber and ClientNumber are the other way round, for Import. A name may
	// have no number: ok is false, or the number 0; then its hits are those of nobody known.
	CommandNumber func(string) (number uint16, ok bool)
	ClientNumber  func(string) uint32
}

const (
	defaultCapacity = 50
	defaultInterval = 10 * time.Second
	maxIntervals    = 10
	// minOffered is how many keys of a counter are looked at at least, and twice as many are
	// remembered, so that one that comes and goes at the end of the list keeps its counts.
	minOffered  = 256
	slotsListed = 16
	partsOfAKey = 8
)

func (o Options) complete() Options {
	if o.Capacity <= 0 {
		o.Capacity = defaultCapacity
	}
	if o.Interval <= 0 {
		o.Interval = defaultInterval
	}
	if o.Window <= 0 {
		o.Window = 2 * o.Interval
	}
	if o.CommandName == nil {
		o.CommandName = func(uint16) string { return "" }
	}
	if o.ClientName == nil {
		o.ClientName = func(uint32) string { return "" }
	}
	if o.CommandNumber == nil {
		o.CommandNumber = func(string) (uint16, bool) { return 0, false }
	}
	if o.ClientNumber == nil {
		o.ClientNumber = func(string) uint32 { return 0 }
	}
	return o
}

// intervals is how many a window has.
func (o Options) intervals() int {
	return int(min(max(1, (o.Window+o.Interval-1)/o.Interval), maxIntervals))
}

func (o Options) offered() int { return max(minOffered, 4*o.Capacity) }

func (o Options) tracked() int { return 2 * o.offered() }

// Collector merges what counters have counted. Its methods may be called by several
// goroutines.
type Collector struct {
	report atomic.Pointer[Report]

	mu        sync.Mutex // guards the following
	o         Options
	keys      map[uint64]*tracked
	intervals []*interval // of the window, the newest last; that one is being filled
	slots     slotSums    // of the interval that is being filled
	values    []Value
	foreign   bool // keys have come by Import
	random    *rand.Rand
}

// interval is what was counted in one interval.
type interval struct {
	start, end time.Time
	sampled    uint64
	weighted   uint64 // hits
	places     map[string]*place
	forgotten  uint64 // the most hits that a key may have had that is not tracked any more
}

// place is where keys are counted: a node of the cluster.
type place struct {
	hits  uint64
	floor uint64 // the most hits that a key may have had here that was not reported
}

// tracked is what is known of a key.
type tracked struct {
	hash        uint64
	name        Name
	length      int
	node        string // where it was when it was last used
	slot        uint16
	heat        uint8
	sum         uint64 // of counts, as rank has found it
	halved      int    // how often, since last
	first, last time.Time
	peak        float64
	counts      []keyCount // by interval, in the order of Collector.intervals
}

// keyCount is what was counted of a key in one interval.
type keyCount struct {
	count, err, reads, writes, in, out uint64
	chance                             float64 // variance by sampling
	places                             []keyPlace
	commands                           []numberedSum
	clients                            []numberedSum
}

type keyPlace struct {
	name  string
	count uint64
	floor uint64 // of the counters there that have reported the key
}

// clock turns times of a counter into times of day.
type clock struct {
	now  int64
	time time.Time
}

func (c clock) wall(t int64) time.Time { return c.time.Add(time.Duration(t - c.now)) }

// NewCollector makes a collector that has seen nothing.
func NewCollector(o Options) *Collector {
	c := &Collector{o: o.complete(), random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))}
	c.reset()
	return c
}

// Configure changes the options. What is known is kept as far as there is room.
func (c *Collector) Configure(o Options) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.o = o.complete()
}

// Reset forgets everything. What the counters hold is not in it and has to be cut off apart.
func (c *Collector) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reset()
}

func (c *Collector) reset() {
	c.keys = make(map[uint64]*tracked)
	c.intervals = []*interval{newInterval()}
	c.slots = slotSums{}
	c.values = nil
	c.foreign = false
	c.report.Store(&Report{SampleRate: 1})
}

func newInterval() *interval {
	return &interval{places: make(map[string]*place)}
}

// Report returns what the last Merge has found. It is never nil.
func (c *Collector) Report() *Report { return c.report.Load() }

// Add merges what a counter has counted at a place into the interval that is being
// filled. now is the present time on the counter's clock and wall the same as a time of day.
func (c *Collector) Add(where string, n *Counts, now int64, wall time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, cl := c.current(), clock{now, wall}
	at.cover(cl.wall(n.start), cl.wall(n.end))
	if n.sampled == 0 {
		return
	}
	at.sampled += n.sampled
	at.weighted += n.weighted
	p := at.places[where]
	if p == nil {
		p = new(place)
		at.places[where] = p
	}
	p.hits += n.weighted
	chosen, floor := n.largest(c.o.offered())
	p.floor += floor
	for _, i := range chosen {
		c.enter(where, floor, &n.entries[i], uint64(n.sets[i/ways].counts[i%ways]), cl)
	}
}

// AddRest merges what belongs to no key: the requests by slot and the largest values.
// Either may be nil.
func (c *Collector) AddRest(s *Slots, l *Largest, now int64, wall time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s != nil {
		c.slots.add(s)
	}
	if l != nil {
		c.addValues(l, clock{now, wall})
	}
}

// Reply is the size of a reply that came after the end of the interval of its request.
type Reply struct {
	Hash  uint64 // of the key
	Bytes uint64 // includes the weight of the hit
}

// AddReplies adds such replies to the keys that are still known.
func (c *Collector) AddReplies(list []Reply) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range list {
		if t := c.keys[r.Hash]; t != nil {
			t.counts[len(t.counts)-1].out += r.Bytes
		}
	}
}

func (c *Collector) current() *interval { return c.intervals[len(c.intervals)-1] }

// cover makes the interval as long as that of the counter that has counted longest.
func (i *interval) cover(start, end time.Time) {
	if i.start.IsZero() || start.Before(i.start) {
		i.start = start
	}
	if end.After(i.end) {
		i.end = end
	}
}

func (i *interval) length() time.Duration { return max(i.end.Sub(i.start), time.Millisecond) }

// seconds is what hits are divided by to make a rate. A few hits in what a reset has left
// of an interval are no rate.
func (c *Collector) seconds(i *interval) float64 { return max(i.length(), c.o.Interval/10).Seconds() }

// largest returns the indexes of the n entries with the highest counts, and the most
// hits that any other key may have.
func (n *Counts) largest(limit int) (chosen []int, floor uint64) {
	chosen = make([]int, 0, entries)
	for i := range entries {
		if n.sets[i/ways].tags[i%ways] != 0 {
			chosen = append(chosen, i)
		}
	}
	count := func(i int) uint32 { return n.sets[i/ways].counts[i%ways] }
	slices.SortFunc(chosen, func(a, b int) int { return compare(count(b), count(a)) })
	floor = uint64(n.floor())
	if len(chosen) > limit {
		floor = max(floor, uint64(count(chosen[limit])))
		chosen = chosen[:limit]
	}
	return chosen, floor
}

// enter adds what one counter knows of a key.
func (c *Collector) enter(where string, floor uint64, e *entry, count uint64, cl clock) {
	t := c.keys[e.hash]
	if t == nil {
		t = c.adopt(e)
	}
	if t == nil {
		t = &tracked{
			hash: e.hash, name: nameOf(e.name(), int(e.length)), length: int(e.length),
			first: cl.wall(e.first), counts: make([]keyCount, len(c.intervals)),
		}
		c.keys[e.hash] = t
	}
	if last := cl.wall(e.last); last.After(t.last) {
		t.last, t.slot, t.halved = last, e.slot, 0
	}
	k := &t.counts[len(t.counts)-1]
	k.count += count
	k.err += uint64(e.err)
	k.chance += float64(e.chance)
	k.reads += uint64(e.reads)
	k.writes += uint64(e.writes)
	k.in += e.in
	k.out += e.out
	i := slices.IndexFunc(k.places, func(p keyPlace) bool { return p.name == where })
	if i < 0 {
		i = len(k.places)
		k.places = append(k.places, keyPlace{name: where})
	}
	k.places[i].count += count
	k.places[i].floor += floor
	k.commands = addNumbered(k.commands, e.command.sum())
	for _, n := range e.commands {
		k.commands = addNumbered(k.commands, n.sum())
	}
	k.clients = addNumbered(k.clients, e.client.sum())
	for _, n := range e.clients {
		k.clients = addNumbered(k.clients, n.sum())
	}
}

// numberedSum adds up numberedHits.
type numberedSum struct {
	number uint32
	hits   uint64
}

func addNumbered(list []numberedSum, n numberedSum) []numberedSum {
	if n.number == 0 {
		return list
	}
	for i := range list {
		if list[i].number == n.number {
			list[i].hits += n.hits
			return list
		}
	}
	return append(list, n)
}

func (n numberedHits) sum() numberedSum { return numberedSum{n.number, uint64(n.hits)} }

// Merge ends the interval and publishes what was found.
func (c *Collector) Merge(now time.Time) *Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.current()
	if at.start.IsZero() {
		at.start, at.end = now.Add(-c.o.Interval), now // no counter has anything to say
	}
	for _, t := range c.keys {
		c.heat(t, at, now)
	}
	c.pruneValues(now)
	ranked := c.rank()
	r := c.build(ranked, now)
	c.report.Store(r)
	c.advance()
	return r
}

// heat brings the logarithmic counter and the peak of a key up to date.
func (c *Collector) heat(t *tracked, at *interval, now time.Time) {
	k := &t.counts[len(t.counts)-1]
	if k.count > 0 {
		t.heat = grow(t.heat, k.count, c.random)
		t.peak = max(t.peak, float64(k.count)/c.seconds(at))
	}
	for idle := idleMinutes(t.last, now); t.halved < idle && t.heat > 0; t.halved++ {
		t.heat /= 2
	}
}

// rank returns the keys that are worth remembering, hottest first, and forgets the others.
func (c *Collector) rank() []*tracked {
	all := make([]*tracked, 0, len(c.keys))
	for hash, t := range c.keys {
		t.sum = t.count()
		if t.sum == 0 && t.heat == 0 {
			delete(c.keys, hash)
			continue
		}
		all = append(all, t)
	}
	slices.SortFunc(all, compareHeat)
	if limit := c.o.tracked(); len(all) > limit {
		for _, t := range all[limit:] {
			c.forget(t)
		}
		all = all[:limit]
	}
	return all
}

// compareHeat puts the hotter key first.
func compareHeat(a, b *tracked) int {
	if a.sum != b.sum {
		return compare(b.sum, a.sum)
	}
	if a.heat != b.heat {
		return compare(b.heat, a.heat)
	}
	return cmp.Or(b.last.Compare(a.last), slices.Compare(a.name, b.name))
}

// forget stops tracking a key. When it comes back, what it had is missing.
func (c *Collector) forget(t *tracked) {
	for i, at := range c.intervals {
		if n := t.counts[i].count; n > 0 {
			at.forgotten = max(at.forgotten, n+at.missed(&t.counts[i], t.counts[i].seenAt))
		}
	}
	delete(c.keys, t.hash)
}

// missed is how many hits the key may have had in the interval, at the places that seen
// tells, that no counter has reported.
func (i *interval) missed(k *keyCount, seen func(place string) bool) (most uint64) {
	for name, p := range i.places {
		if !seen(name) {
			continue
		}
		unreported := p.floor
		for _, at := range k.places {
			if at.name == name {
				unreported -= min(unreported, at.floor)
			}
		}
		most += unreported
	}
	return most
}

func (k *keyCount) seenAt(place string) bool {
	return slices.ContainsFunc(k.places, func(p keyPlace) bool { return p.name == place })
}

// count is the key's hits in the window.
func (t *tracked) count() (sum uint64) {
	for i := range t.counts {
		sum += t.counts[i].count
	}
	return sum
}

// advance begins the next interval.
func (c *Collector) advance() {
	c.slots = slotSums{}
	keep := c.o.intervals() - 1
	if n := len(c.intervals); n > keep {
		c.intervals = slices.Delete(c.intervals, 0, n-keep)
	}
	c.intervals = append(c.intervals, newInterval())
	for _, t := range c.keys {
		if n := len(t.counts); n > keep {
			t.counts = slices.Delete(t.counts, 0, n-keep)
		}
		t.counts = append(t.counts, keyCount{})
	}
}
