package hotkey

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// use is one hit of a stream.
type use struct {
	key    string
	weight int
}

// model counts the plain way, beside a counter.
type model struct {
	counter *Counter
	hits    map[string]uint64
	hash    map[string]uint64
}

func newModel() *model {
	return &model{counter: NewCounter(0), hits: map[string]uint64{}, hash: map[string]uint64{}}
}

func (m *model) hit(key string, hash uint64, weight int) {
	m.counter.Hit(&Hit{Key: []byte(key), Hash: hash, Weight: weight})
	m.hits[key] += uint64(weight)
	m.hash[key] = hash
}

// check holds a counter to what it promises: the bounds of every key.
func (m *model) check(t testing.TB) {
	t.Helper()
	n := m.counter.counts
	var sum uint64
	for key, truth := range m.hits {
		sum += truth
		set, way := n.find(m.hash[key])
		if way < 0 {
			require.LessOrEqual(t, truth, uint64(n.filter[cell(set, tagOf(m.hash[key]))]), "%q has no entry", key)
			require.LessOrEqual(t, truth, uint64(n.floor()))
			continue
		}
		e, count := &n.entries[set*ways+way], uint64(n.sets[set].counts[way])
		require.Equal(t, key, string(e.name()))
		require.GreaterOrEqual(t, count, truth, "%q: a count is never below the true one", key)
		require.LessOrEqual(t, count-uint64(e.err), truth, "%q: count %d, error %d", key, count, e.err)
		require.EqualValues(t, count-uint64(e.err), e.reads, "%q: reads since it has the entry", key)
	}
	require.Equal(t, sum, n.Hits())
	chosen, _ := n.largest(entries)
	require.LessOrEqual(t, len(chosen), len(m.hits))
	seen := map[uint64]bool{}
	for _, i := range chosen {
		require.False(t, seen[n.entries[i].hash], "a key has two entries")
		seen[n.entries[i].hash] = true
	}
}

// streams are what keys come in, by name. All of them have more keys than fit.
var streams = map[string]func(r *rand.Rand) []use{
	"uniform": func(r *rand.Rand) (all []use) {
		for range 60_000 {
			all = append(all, use{strconv.Itoa(r.IntN(5000)), 1})
		}
		return all
	},
	"Zipf": func(r *rand.Rand) (all []use) {
		z := rand.NewZipf(r, 1.1, 1, 99_999)
		for range 60_000 {
			all = append(all, use{strconv.FormatUint(z.Uint64(), 10), 1})
		}
		return all
	},
	"Zipf with weights": func(r *rand.Rand) (all []use) {
		z := rand.NewZipf(r, 1.1, 1, 99_999)
		for range 60_000 {
			all = append(all, use{strconv.FormatUint(z.Uint64(), 10), 1 + r.IntN(20)})
		}
		return all
	},
	"round robin": func(*rand.Rand) (all []use) {
		for i := range 50_000 {
			all = append(all, use{strconv.Itoa(i % 2500), 1})
		}
		return all
	},
	"each key once": func(*rand.Rand) (all []use) {
		for i := range 15_000 {
			all = append(all, use{strconv.Itoa(i), 1})
		}
		return all
	},
	"bursts": func(r *rand.Rand) (all []use) {
		for range 2000 {
			key := strconv.Itoa(r.IntN(4000))
			for range r.IntN(60) {
				all = append(all, use{key, 1})
			}
		}
		return all
	},
	"one set": func(r *rand.Rand) (all []use) {
		var keys []string
		for i := 0; len(keys) < 200; i++ {
			if key := strconv.Itoa(i); Hash([]byte(key))%sets == 7 {
				keys = append(keys, key)
			}
		}
		for range 50_000 {
			all = append(all, use{keys[min(r.IntN(200), r.IntN(200))], 1 + r.IntN(3)})
		}
		return all
	},
}

func TestCountsAreWithinTheirErrors(t *testing.T) {
	for name, stream := range streams {
		t.Run(name, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed) // the seed of Hash is not in it
			m := newModel()
			for i, u := range stream(rand.New(rand.NewPCG(seed, 0))) {
				m.hit(u.key, Hash([]byte(u.key)), u.weight)
				if i == 5000 {
					m.check(t)
				}
			}
			m.check(t)
			chosen, floor := m.counter.counts.largest(entries)
			assert.LessOrEqual(t, len(chosen), entries)
			assert.Positive(t, floor)
		})
	}
}

// What is more frequent than all that a set can lose has an entry whatever else comes.
func TestFrequentKeysHaveEntriesWhateverElseComes(t *testing.T) {
	m := newModel()
	for i := range 60_000 {
		key := "rare" + strconv.Itoa(i)
		if i%50 == 0 {
			key = "often" + strconv.Itoa(i/50%10)
		}
		m.hit(key, Hash([]byte(key)), 1)
	}
	m.check(t)
	chosen, _ := m.counter.counts.largest(10)
	for _, i := range chosen {
		assert.Contains(t, string(m.counter.counts.entries[i].name()), "often")
	}
}

func TestCountsAreExactWhileThereIsRoom(t *testing.T) {
	m := newModel()
	for i := range 150 { // about one for each set of eight
		key := "key" + strconv.Itoa(i)
		for range 1 + i%7 {
			m.hit(key, Hash([]byte(key)), 1+i%3)
		}
	}
	m.check(t)
	chosen, floor := m.counter.counts.largest(entries)
	assert.Len(t, chosen, 150)
	assert.Zero(t, floor)
	for _, i := range chosen {
		assert.Zero(t, m.counter.counts.entries[i].err)
	}
}

// FuzzCounts reads bytes as a stream: keys that crowd two sets and a few cells of the
// filter, with weights, and interval ends between them.
func FuzzCounts(f *testing.F) {
	f.Add([]byte{1, 0, 2, 0, 3, 0, 255, 0, 1, 9, 254, 1})
	f.Add(bytes.Repeat([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}, 30))
	f.Fuzz(func(t *testing.T, stream []byte) {
		m := newModel()
		var spare *Counts
		for len(stream) >= 2 {
			id, b := stream[0], stream[1]
			stream = stream[2:]
			if id >= 254 {
				m.check(t)
				spare = m.counter.Cut(spare, int64(b))
				if id == 255 {
					spare.Clear()
				}
				m.hits = map[string]uint64{}
				continue
			}
			// Ids 2n and 2n+1 have one tag; of the cells of a set two are used.
			hash := uint64(id&1) | uint64(id>>1&1)<<33 | uint64(id>>2)<<40
			m.hit(string(id), hash, int(b%16)+1)
		}
		m.check(t)
	})
}

func TestAHitIsKeptWithAllThatIsKnownOfIt(t *testing.T) {
	c := NewCounter(100)
	h := Hit{Key: []byte("k"), Hash: Hash([]byte("k")), Weight: 3, Now: 110, Bytes: 10, Slot: 77, Command: 5, Client: 9}
	c.Hit(&h)
	h.Weight, h.Now, h.Bytes, h.Write, h.Command, h.Client = 2, 120, 20, true, 6, 10
	c.Hit(&h)
	c.Replied(h.Hash, 1000)
	c.Replied(Hash([]byte("other")), 5)
	n := c.Cut(nil, 200)
	assert.EqualValues(t, 5, n.Hits())
	assert.EqualValues(t, 2, n.sampled)
	assert.EqualValues(t, 100, n.start)
	assert.EqualValues(t, 200, n.end)
	set, way := n.find(h.Hash)
	require.GreaterOrEqual(t, way, 0)
	assert.EqualValues(t, 5, n.sets[set].counts[way])
	e := n.entries[set*ways+way]
	assert.EqualValues(t, 3*10+2*20, e.in)
	assert.EqualValues(t, 1000, e.out)
	assert.EqualValues(t, 3, e.reads)
	assert.EqualValues(t, 2, e.writes)
	assert.EqualValues(t, 110, e.first)
	assert.EqualValues(t, 120, e.last)
	assert.EqualValues(t, 77, e.slot)
	assert.Equal(t, numberedHits{6, 3}, e.command)
	assert.Equal(t, numberedHits{7, 2}, e.commands[0])
	assert.Equal(t, numberedHits{9, 3}, e.client)
	assert.Equal(t, numberedHits{10, 2}, e.clients[0])
}

// Of more commands and clients than there is room for the frequent ones stay.
func TestTheMostFrequentCommandsAndClientsOfAKeyStay(t *testing.T) {
	c := NewCounter(0)
	for i := range 3000 {
		h := Hit{Key: []byte("k"), Hash: 1, Weight: 1, Command: uint16(100 + i%50), Client: uint32(100 + i%50)}
		if i%2 == 0 {
			h.Command, h.Client = 1, 2
		}
		c.Hit(&h)
	}
	set, way := c.counts.find(1)
	e := &c.counts.entries[set*ways+way]
	hitsOf := func(first numberedHits, others []numberedHits, number uint32) uint32 {
		for _, n := range append([]numberedHits{first}, others...) {
			if n.number == number {
				return n.hits
			}
		}
		return 0
	}
	assert.GreaterOrEqual(t, hitsOf(e.command, e.commands[:], 2), uint32(1500))
	assert.GreaterOrEqual(t, hitsOf(e.client, e.clients[:], 2), uint32(1500))
}

func TestHitsOfUnknownClientsBelongToNoClient(t *testing.T) {
	c := NewCounter(0)
	for i := range 11 {
		h := Hit{Key: []byte("k"), Hash: 1, Weight: 1}
		if i == 10 {
			h.Client = 5
		}
		c.Hit(&h)
	}
	set, way := c.counts.find(1)
	assert.Equal(t, numberedHits{5, 1}, c.counts.entries[set*ways+way].client)
}

func TestNothingIsLeftBehindInSpareMemory(t *testing.T) {
	for _, clear := range []bool{true, false} {
		c := NewCounter(0)
		var spare *Counts
		for round := range 6 {
			for i := range 3000 {
				key := fmt.Append(nil, round, "/", i, "/longer than the names that come after")
				c.Hit(&Hit{Key: key[:len(key)-round], Hash: Hash(key), Weight: 2, Now: int64(round), Bytes: 9, Write: true, Command: 3, Client: 4})
				c.Replied(Hash(key), 100)
			}
			spare = c.Cut(spare, int64(10*round))
			assert.EqualValues(t, 6000, spare.Hits())
			if clear {
				spare.Clear()
				assert.Zero(t, spare.Hits())
				chosen, floor := spare.largest(10)
				assert.Empty(t, chosen)
				assert.Zero(t, floor)
			}
		}
		c.Cut(nil, 1) // the memory that goes on has been used twice
		c.counts = spare
		c.counts.clear(50)
		c.Replied(Hash([]byte("0/0/longer than the names that come after")), 7)
		c.Hit(&Hit{Key: []byte("k"), Hash: Hash([]byte("k")), Weight: 1, Now: 60, Client: 9})
		n := c.Cut(nil, 70)
		chosen, floor := n.largest(10)
		require.Len(t, chosen, 1)
		assert.Zero(t, floor)
		want := entry{hash: Hash([]byte("k")), first: 60, last: 60, reads: 1, length: 1, command: numberedHits{1, 1}, client: numberedHits{9, 1}}
		want.key[0] = 'k'
		assert.Equal(t, want, n.entries[chosen[0]])
		assert.EqualValues(t, 50, n.start)
	}
}

func TestKeysOfAnyLengthAndBytes(t *testing.T) {
	stem := bytes.Repeat([]byte("0123456789abcdef"), KeyMax/16)
	for _, key := range [][]byte{
		{},
		{0},
		[]byte("\r\n\x00\xff"), stem[:KeyMax-1], stem,
		append(bytes.Clone(stem), 'x'), append(bytes.Clone(stem), 'y'), bytes.Repeat([]byte{0xee}, 1<<20),
	} {
		c := NewCounter(0)
		for range 3 {
			c.Hit(&Hit{Key: key, Hash: Hash(key), Weight: 1})
		}
		n := c.Cut(nil, 1)
		chosen, _ := n.largest(10)
		require.Len(t, chosen, 1)
		e := &n.entries[chosen[0]]
		assert.Equal(t, len(key), int(e.length))
		assert.True(t, bytes.Equal(key[:min(len(key), KeyMax)], e.name()))
	}
	c := NewCounter(0)
	for _, tail := range []string{"x", "y", "y"} { // alike as far as they are kept
		key := append(bytes.Clone(stem), tail...)
		c.Hit(&Hit{Key: key, Hash: Hash(key), Weight: 1})
	}
	chosen, _ := c.counts.largest(10)
	assert.Len(t, chosen, 2)
}

func TestBatchCountsAsSingleHitsDo(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	single, batched := []*Counter{NewCounter(0), NewCounter(0)}, []*Counter{NewCounter(0), NewCounter(0)}
	var b Batch
	b.Flush()
	for round := range 400 {
		for i := range r.IntN(3 * batchSize) {
			key := fmt.Append(nil, "key:", min(r.IntN(4000), r.IntN(4000)))
			h := Hit{
				Key: key, Hash: Hash(key), Weight: 1 + r.IntN(3), Now: int64(round), Bytes: i, Slot: uint16(i),
				Command: uint16(i % 9), Client: uint32(i % 7), Write: i%2 == 0,
			}
			at := r.IntN(2)
			single[at].Hit(&h)
			*b.Add(batched[at]) = h
		}
		b.Flush()
	}
	for i := range single {
		assert.Equal(t, single[i].counts, batched[i].counts)
	}
}

func TestBatchLetsGoOfKeys(t *testing.T) {
	var b Batch
	c := NewCounter(0)
	for i := range 3 * batchSize {
		*b.Add(c) = Hit{Key: []byte("k"), Hash: 1, Weight: 1}
		if i == batchSize-1 {
			assert.Zero(t, c.counts.Hits(), "it waits")
		}
	}
	b.Flush()
	assert.EqualValues(t, 3*batchSize, c.counts.Hits())
	for i := range b.hits {
		assert.Nil(t, b.hits[i].Key)
	}
	b.Flush()
	assert.EqualValues(t, 3*batchSize, c.counts.Hits())
}

func TestCountingAllocatesNothing(t *testing.T) {
	keys := zipfKeys(100_000, 1.01, 1<<14, 1)
	keys = append(keys, bytes.Repeat([]byte("x"), 1<<20))
	counters := []*Counter{NewCounter(0), NewCounter(0)}
	s, limited := NewSampler(0), NewLimitedSampler(0, 5000)
	var spare *Counts
	var b Batch
	slots, now := new(Slots), int64(0)
	var largest Largest
	spare = counters[0].Cut(nil, 0)
	assert.Zero(t, testing.AllocsPerRun(20, func() {
		for i, key := range keys {
			now += int64(time.Microsecond)
			hash := Hash(key)
			if w := s.Take(1) * max(1, limited.Take(1)); w > 0 {
				h := Hit{Key: key, Hash: hash, Weight: w, Now: now, Command: uint16(i), Client: uint32(i)}
				if i%2 == 0 {
					counters[i/2%2].Hit(&h)
				} else {
					*b.Add(counters[i/2%2]) = h
				}
				slots.Request(uint16(i%SlotCount), false, 10, w)
			}
			counters[0].Replied(hash, 10)
			largest.Offer(key, hash, 1, 1, 1024+i, now)
		}
		b.Flush()
		s.Pace(now)
		limited.Pace(now)
		for _, c := range counters {
			spare = c.Cut(spare, now)
			spare.Clear()
		}
		slots.Clear()
		largest.Clear()
	}))
}

func TestHashTellsKeysApart(t *testing.T) {
	assert.Equal(t, Hash([]byte("a")), Hash([]byte("a")))
	assert.NotEqual(t, Hash([]byte("a")), Hash([]byte("b")))
	assert.Equal(t, Hash(nil), Hash([]byte{}))
	assert.Len(t, hashText(0), 16)
	assert.Equal(t, "00000000000000ff", hashText(255))
}
