package config

import (
	"cmp"
	"container/heap"
)

// turn is what decides which service is next: less goes first.
type turn struct {
	removed int    // 0 for a removal
	since   uint64 // the Apply since which it waits
	added   int    // 1 for an addition
	name    string
}

func (t turn) compare(o turn) int {
	return cmp.Or(cmp.Compare(t.removed, o.removed), cmp.Compare(t.since, o.since),
		cmp.Compare(t.added, o.added), cmp.Compare(t.name, o.name))
}

// line is the services that wait to be looked at. Each step takes logarithmic time,
// however many there are.
type line struct {
	valid map[string]turn // by name; what is in order and not here is left over
	order turns
}

func newLine() *line { return &line{valid: map[string]turn{}} }

// since returns the Apply since which a service waits, if it does.
func (l *line) since(name string) (uint64, bool) {
	t, ok := l.valid[name]
	return t.since, ok
}

// put gives a service its place, a new one if it had another.
func (l *line) put(t turn) {
	if l.valid[t.name] == t {
		return
	}
	l.valid[t.name] = t
	heap.Push(&l.order, t)
	if len(l.order) > 2*len(l.valid)+64 {
		l.sweep()
	}
}

// first returns whose turn it is.
func (l *line) first() (name string, ok bool) {
	for len(l.order) > 0 {
		if t := l.order[0]; l.valid[t.name] == t {
			return t.name, true
		}
		heap.Pop(&l.order)
	}
	return "", false
}

// leave takes a service out.
func (l *line) leave(name string) { delete(l.valid, name) }

// sweep throws away what is left over.
func (l *line) sweep() {
	l.order = l.order[:0]
	for _, t := range l.valid {
		l.order = append(l.order, t)
	}
	heap.Init(&l.order)
}

// turns implements heap.Interface.
type turns []turn

func (t turns) Len() int           { return len(t) }
func (t turns) Less(i, j int) bool { return t[i].compare(t[j]) < 0 }
func (t turns) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }

// Push implements heap.Interface.
func (t *turns) Push(x any) { *t = append(*t, x.(turn)) }

// Pop implements heap.Interface.
func (t *turns) Pop() any {
	last := len(*t) - 1
	x := (*t)[last]
	*t = (*t)[:last]
	return x
}
