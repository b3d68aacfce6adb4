package main

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/stretchr/testify/assert"
)

// tally is what a key has got.
type tally struct {
	key                 string
	hits, reads, writes int
	in, out, cost       float64
	commands, clients   map[string]int
}

// ledger knows the truth.
type ledger struct {
	mu   sync.Mutex // guards the following
	keys map[string]*tally
	hits int
}

func (l *ledger) enter(client string, requests []request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range requests {
		for _, u := range r.uses {
			l.of(u.key).enter(client, strings.ToLower(r.args[0]), u, r.cost)
			l.hits++
		}
	}
}

func (l *ledger) of(key string) *tally {
	if l.keys == nil {
		l.keys = make(map[string]*tally)
	}
	if l.keys[key] == nil {
		l.keys[key] = &tally{key: key, commands: make(map[string]int), clients: make(map[string]int)}
	}
	return l.keys[key]
}

// total is the hits of all keys.
func (l *ledger) total() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hits
}

// by returns the tallies as they are now, those with most of something first.
func (l *ledger) by(most func(*tally) float64) []tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]tally, 0, len(l.keys))
	for _, y := range l.keys {
		all = append(all, *y)
	}
	slices.SortFunc(all, func(a, b tally) int { return cmp.Or(cmp.Compare(most(&b), most(&a)), cmp.Compare(a.key, b.key)) })
	return all
}

func byHits(y *tally) float64 { return float64(y.hits) }

// inOrder checks that keys are the first of the ledger, each at most one rank from where
// it belongs. Keys that have the same are in any order.
func (l *ledger) inOrder(t assert.TestingT, keys []string, most func(*tally) float64) bool {
	truth := l.by(most)
	ok := assert.Len(t, keys, 10) && assert.Greater(t, len(truth), 10)
	for i := 0; ok && i < len(keys); i++ {
		at := slices.IndexFunc(truth, func(y tally) bool { return y.key == keys[i] })
		ok = assert.GreaterOrEqual(t, at, 0, keys[i]) && assert.Equal(t, i, slices.Index(keys, keys[i]), "%s comes twice", keys[i]) &&
			assert.GreaterOrEqual(t, most(&truth[at]), most(&truth[i+1]), "%d: %s, the %dth in truth: %v", i, keys[i], at, keys) &&
			assert.LessOrEqual(t, most(&truth[at]), most(&truth[max(0, i-1)]), "%d: %s, the %dth in truth: %v", i, keys[i], at, keys)
	}
	return ok
}
