package chaos

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// How many violations of one fault are kept, and how many of them may be alike. The
// others are counted.
const (
	mostViolations = 20
	mostAlike      = 3
)

// tally counts what happens during one fault, of all clients.
type tally struct {
	mu sync.Mutex
	// Guarded by mu.
	requests   int
	kinds      map[string]*errorKind
	violations []string
	alike      map[string]int // violations by kind
	short      map[string]*shortage
	dropped    int       // violations that were not kept
	recovered  time.Time // when all shards succeeded again; zero until then
	failed     time.Time // when the last request with an error was sent
}

// errorKind is all errors that look alike.
type errorKind struct {
	count  int
	sample string
	shards map[uint8]int // how often for which set of shards
	late   int           // sent after the recovery
}

// shortage is all problems that are excused by the same losses, or not; see problem.
type shortage struct {
	first []problem // mostAlike at most
	count int
	lost  int64 // acknowledged writes, of all
}

// turn is the part of a tally that one batch makes.
type turn struct {
	start    time.Time
	replies  int
	errors   []failure
	problems []problem
}

// failure is an error reply.
type failure struct {
	text   string
	shards uint8
}

func (t *turn) fail(text string, shards uint8) {
	t.errors = append(t.errors, failure{text, shards})
}

func (t *turn) violation(format string, args ...any) {
	t.problems = append(t.problems, bad(format, args...))
}

// reset forgets everything, for the next fault.
func (t *tally) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests, t.kinds, t.recovered, t.failed = 0, map[string]*errorKind{}, time.Time{}, time.Time{}
	t.violations, t.alike, t.dropped = nil, map[string]int{}, 0
	t.short = map[string]*shortage{}
}

// begin starts a batch.
func (t *tally) begin() turn { return turn{start: time.Now()} }

// end adds a batch.
func (t *tally) end(b *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests += b.replies
	late := !t.recovered.IsZero() && b.start.After(t.recovered)
	for _, f := range b.errors {
		t.failureLocked(f, late)
		if b.start.After(t.failed) {
			t.failed = b.start
		}
	}
	for _, p := range b.problems {
		t.problemLocked(p)
	}
}

func (t *tally) failureLocked(f failure, late bool) {
	name := kindOf(f.text)
	k := t.kinds[name]
	if k == nil {
		k = &errorKind{sample: f.text, shards: map[uint8]int{}}
		t.kinds[name] = k
	}
	k.count++
	k.shards[f.shards]++
	if late {
		k.late++
	}
}

// problemLocked takes a problem: a violation, or what may be excused in the end.
func (t *tally) problemLocked(p problem) {
	if p.short == 0 {
		t.violationLocked(p.text)
		return
	}
	s := t.short[p.slots()]
	if s == nil {
		s = &shortage{}
		t.short[p.slots()] = s
	}
	s.count++
	s.lost += p.lost
	if len(s.first) < mostAlike {
		s.first = append(s.first, p)
	}
}

func (t *tally) violationLocked(text string) {
	kind := kindOf(text)
	t.alike[kind]++
	if len(t.violations) == mostViolations || t.alike[kind] > mostAlike {
		t.dropped++
		return
	}
	t.violations = append(t.violations, text)
}

// violation adds one that belongs to no batch.
func (t *tally) violation(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.violationLocked(fmt.Sprintf(format, args...))
}

// problem adds one that belongs to no batch.
func (t *tally) problem(p problem) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.problemLocked(p)
}

// lastFailure returns when the last request with an error was sent, zero without any.
func (t *tally) lastFailure() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed
}

// recover notes that all shards succeed again. Errors of requests that are sent after
// that are violations.
func (t *tally) recover() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.recovered = time.Now()
}

// judgeLocked makes violations of what the losses of Redis itself do not excuse, and adds
// the writes of the rest to what was lost.
func (t *tally) judgeLocked(r *Result) {
	slots := map[uint16]bool{}
	for _, l := range r.Own {
		slots[l.Slot] = true
	}
	for _, name := range slices.Sorted(maps.Keys(t.short)) {
		s := t.short[name]
		if s.first[0].excused(slots) {
			r.Lost += s.lost
			continue
		}
		for _, p := range s.first {
			t.violationLocked(p.text)
		}
		t.dropped += s.count - len(s.first)
	}
}

// fill writes the counts to a result: errors by kind, most frequent first, and the
// violations that follow from them. What Redis itself has lost is in the result already.
func (t *tally) fill(r *Result, affected uint8) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r.Requests = t.requests
	t.judgeLocked(r)
	for _, name := range slices.Sorted(maps.Keys(t.kinds)) {
		k := t.kinds[name]
		stray := 0
		for shards, n := range k.shards {
			if shards&affected == 0 {
				stray += n
			}
		}
		if stray > 0 {
			t.violationLocked(fmt.Sprintf("%d errors for shards that the fault does not touch, such as %q", stray, k.sample))
		}
		if k.late > 0 {
			t.violationLocked(fmt.Sprintf("%d errors after the recovery, such as %q", k.late, k.sample))
		}
		r.Errors += k.count
		r.Stray += stray
		r.Kinds = append(r.Kinds, Kind{Name: name, Count: k.count, Sample: k.sample})
	}
	slices.SortStableFunc(r.Kinds, func(a, b Kind) int { return cmp.Compare(b.Count, a.Count) })
	r.Violations = slices.Clone(t.violations)
	if t.dropped > 0 {
		r.Violations = append(r.Violations, fmt.Sprintf("and %d more", t.dropped))
	}
}
