package hotkey

import (
	"slices"
	"strings"
)

// Tracked is what the trackers of several goroutines have found together.
type Tracked struct {
	All      Usage // of all requests
	Selected Usage // of those in selected slots
	Sampled  Usage // of those, the ones whose keys were looked at
	// ByCost and ByBytes are the heaviest keys, heaviest first; nil when that measure was
	// not asked for.
	ByCost, ByBytes []Weighted
}

// Weighted is a key with what was counted for it.
type Weighted struct {
	// Name is its first KeyMax bytes, Length how long it is.
	Name   Name
	Length int
	// Weight is the key's cost or bytes: what was surely its own in the requests looked at,
	// scaled up by the ratio of the sample. What it had before it came into the table, or
	// had lost with its place there, is missing; for the heaviest keys that is next to
	// nothing.
	Weight uint64
}

// MergeTrackers adds up trackers of one session, whose options are the same, and picks
// the heaviest keys, k of each measure at most. It changes none of them.
func MergeTrackers(all []*Tracker, k int) *Tracked {
	var m Tracked
	var byCost, byBytes []*trackTable
	var sample uint64
	for _, t := range all {
		m.All.add(t.all)
		m.Selected.add(t.selected)
		m.Sampled.add(t.sampled)
		sample = t.o.Sample
		if t.byCost != nil {
			byCost = append(byCost, t.byCost)
		}
		if t.byBytes != nil {
			byBytes = append(byBytes, t.byBytes)
		}
	}
	m.ByCost = heaviest(byCost, k, sample)
	m.ByBytes = heaviest(byBytes, k, sample)
	return &m
}

// heaviest adds up the weights of each key over all tables.
func heaviest(tables []*trackTable, k int, sample uint64) []Weighted {
	if len(tables) == 0 {
		return nil
	}
	type id struct {
		hash   uint64
		length int
	}
	index := make(map[id]int)
	list := []Weighted{}
	for _, t := range tables {
		t.each(func(e *trackEntry) {
			at, known := index[id{e.hash, e.length}]
			if !known {
				at = len(list)
				index[id{e.hash, e.length}] = at
				list = append(list, Weighted{Name: slices.Clone(e.name()), Length: e.length})
			}
			list[at].Weight += (e.weight - e.inherited) * sample
		})
	}
	return firstWeighted(list, k)
}

// firstWeighted sorts a list and cuts it.
func firstWeighted(list []Weighted, k int) []Weighted {
	slices.SortFunc(list, func(a, b Weighted) int {
		if c := compare(b.Weight, a.Weight); c != 0 {
			return c
		}
		return strings.Compare(string(a.Name), string(b.Name))
	})
	return slices.Clip(list[:min(k, len(list))])
}

// Plus adds up what two processes have found one after the other for a session, and picks
// the k heaviest keys of each measure. Weights stay lower bounds as far as keys can be told
// apart: of those longer than KeyMax the hash is of one process only, so of two that
// begin alike and are as long as one another one is taken for the other. It changes neither.
func (m *Tracked) Plus(o *Tracked, k int) *Tracked {
	sum := *m
	sum.All.add(o.All)
	sum.Selected.add(o.Selected)
	sum.Sampled.add(o.Sampled)
	sum.ByCost = addWeighted(m.ByCost, o.ByCost, k)
	sum.ByBytes = addWeighted(m.ByBytes, o.ByBytes, k)
	return &sum
}

// addWeighted is nil when both lists are.
func addWeighted(a, b []Weighted, k int) []Weighted {
	if a == nil && b == nil {
		return nil
	}
	type id struct {
		name   string
		length int
	}
	index := make(map[id]int, len(a))
	list := append([]Weighted{}, a...)
	for i := range a {
		index[id{string(a[i].Name), a[i].Length}] = i
	}
	for _, w := range b {
		if at, ok := index[id{string(w.Name), w.Length}]; ok {
			list[at].Weight += w.Weight
		} else {
			list = append(list, w)
		}
	}
	return firstWeighted(list, k)
}

// each calls fn for every key.
func (t *trackTable) each(fn func(*trackEntry)) {
	for i := range t {
		for j := range t[i] {
			if e := &t[i][j]; e.weight > 0 {
				fn(e)
			}
		}
	}
}
