package chaos

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"samaritan/internal/testredis"
)

// chunk is how many commands the suite sends at once.
const chunk = 60

// newRound removes the keys of the last round and puts down what the next one needs:
// counters that begin with their base, and check values. The gate is shut.
func (s *Suite) newRound(f Fault) error {
	s.keys.round++
	for _, w := range s.workers {
		w.begin(s.keys, f, slices.Contains(s.writers, w))
	}
	var cmds [][]any
	for _, k := range s.old {
		cmds = append(cmds, []any{"UNLINK", k})
	}
	s.old = nil
	for _, w := range s.writers {
		for _, a := range w.accounts {
			s.old = append(s.old, a.keys()...)
		}
	}
	cmds = append(cmds, foundation(s.keys, s.writers)...)
	return s.ask(cmds, func(i int, v any) error {
		if e, ok := v.(testredis.Error); ok && cmds[i][0] != "UNLINK" { // what stays is only litter
			return fmt.Errorf("%v: %w", cmds[i], e)
		}
		return nil
	})
}

// foundation is the commands that put down what a ledger begins with.
func foundation(keys keyspace, writers []*worker) (cmds [][]any) {
	for _, w := range writers {
		for shard, a := range w.accounts {
			cmds = append(cmds, []any{"SET", a.counterKey, counterBase(w.id, shard)})
		}
	}
	for shard := range Shards {
		for slot := range keys.tags[shard] {
			for _, k := range keys.checks(shard, slot) {
				cmds = append(cmds, []any{"SET", k, value(k, 0, 0, 0)})
			}
		}
	}
	return cmds
}

// ask sends commands over a connection of its own; see the function ask.
func (s *Suite) ask(cmds [][]any, each func(i int, v any) error) error {
	return ask(s.env.Daemon.Addr(), s.conns, cmds, each)
}

// ask sends commands over a connection of its own, and stops after the first error
// that each returns.
func ask(addr string, open *atomic.Int64, cmds [][]any, each func(i int, v any) error) error {
	l, err := DialRaw(addr, 2, replyLimit, open)
	if err != nil {
		return err
	}
	var first error
	done := 0
	for part := range slices.Chunk(cmds, chunk) {
		err := l.Exchange(part, func(i int, v any) {
			if err := each(done+i, v); err != nil && first == nil {
				first = err
			}
		})
		if err = errors.Join(err, first); err != nil {
			return errors.Join(err, l.Close())
		}
		done += len(part)
	}
	return l.Close()
}

// final is one key of the ledger, and what its value in the end says.
type final struct {
	key   string
	cmd   []any
	check func(v any) (lost int64, problems []problem)
}

// verify compares the ledger with what the cluster holds. It returns how many
// acknowledged writes the cluster has lost, when it may. The gate is shut.
func (s *Suite) verify(f Fault) (lost int64) {
	if s.env.Daemon.Running() != nil {
		return 0
	}
	return settle(s.tally, finals(s.keys, s.writers, f.MayLose), s.ask)
}

// settle reads all keys by ask, and tells the tally what is wrong with them. It returns how
// many acknowledged writes are missing that may be.
func settle(t *tally, finals []final, ask func([][]any, func(int, any) error) error) (lost int64) {
	var cmds [][]any
	for _, f := range finals {
		cmds = append(cmds, f.cmd)
	}
	err := ask(cmds, func(i int, v any) error {
		if e, ok := v.(testredis.Error); ok {
			t.violation("key %s cannot be read in the end: %v", finals[i].key, e)
			return nil
		}
		n, problems := finals[i].check(v)
		lost += n
		for _, p := range problems {
			p.text = fmt.Sprintf("key %s in the end: %s", finals[i].key, p.text)
			t.problem(p)
		}
		return nil
	})
	if err != nil {
		t.violation("the ledger cannot be checked: %v", err)
	}
	return lost
}

// finals returns all keys that the ledger of the writers knows.
func finals(keys keyspace, writers []*worker, lossy bool) (all []final) {
	for shard := range Shards {
		var accounts []*account
		for _, w := range writers {
			a := w.accounts[shard]
			accounts = append(accounts, a)
			all = append(all, a.finals(lossy)...)
		}
		all = append(all, sharedFinals(accounts, lossy)...)
		for slot := range keys.tags[shard] {
			for _, k := range keys.checks(shard, slot) {
				all = append(all, finalCheck(k, lossy))
			}
		}
	}
	return all
}

// finals returns the keys of one client.
func (a *account) finals(lossy bool) []final {
	all := []final{
		finalCounter(a.counterKey, a.counter),
		finalList(a.listKey, []*journal{&a.list}, lossy),
		finalText(a.textKey, &a.text, lossy),
	}
	for i := range a.registers {
		all = append(all, finalRegister(&a.registers[i]))
	}
	return all
}

// sharedFinals returns the keys that all clients of a shard share.
func sharedFinals(accounts []*account, lossy bool) []final {
	sum, key := newMeter(0, lossy), accounts[0].sharedCounterKey
	sum.shared = true
	values := map[int64]bool{}
	var twice []problem
	var journals []*journal
	for _, a := range accounts {
		sum.add(a.sharedCounter)
		journals = append(journals, &a.sharedList)
		for _, v := range a.sharedValues {
			if values[v] && !lossy {
				// Which is what they do when the counter begins anew, too.
				twice = append(twice, gone(key, "two clients got %d from INCR", v))
			}
			values[v] = true
		}
	}
	counter := finalCounter(key, sum)
	check := counter.check
	counter.check = func(v any) (int64, []problem) {
		lost, problems := check(v)
		return lost, append(problems, twice...)
	}
	return []final{counter, finalList(accounts[0].sharedListKey, journals, lossy)}
}

// one makes a list of problems of one that may be empty.
func one(p problem) []problem {
	if p.ok() {
		return nil
	}
	return []problem{p}
}

func finalCounter(key string, m meter) final {
	return final{key, []any{"GET", key}, func(v any) (int64, []problem) {
		var n int64
		if text, ok := v.(string); ok {
			if _, err := fmt.Sscan(text, &n); err != nil {
				return 0, one(bad("not a number: %s", show(v)))
			}
		} else if v != nil {
			return 0, one(bad("not a number: %s", show(v)))
		}
		lost, p := m.final(n)
		return lost, one(p.of(key))
	}}
}

func finalList(key string, journals []*journal, lossy bool) final {
	return final{key, []any{"LRANGE", key, 0, -1}, func(v any) (int64, []problem) {
		items, ok := v.([]any)
		if !ok {
			return 0, one(bad("not a list: %s", show(v)))
		}
		var elements []string
		for _, item := range items {
			elements = append(elements, fmt.Sprint(item))
		}
		return compare(key, elements, journals, lossy)
	}}
}

func finalText(key string, j *journal, lossy bool) final {
	return final{key, []any{"GET", key}, func(v any) (int64, []problem) {
		text, ok := v.(string)
		if !ok && v != nil {
			return 0, one(bad("not a text: %s", show(v)))
		}
		if text != "" && !strings.HasSuffix(text, textSeparator) {
			return 0, one(bad("the text ends in the middle of an element"))
		}
		elements := strings.FieldsFunc(text, func(r rune) bool { return string(r) == textSeparator })
		return compare(key, elements, []*journal{j}, lossy)
	}}
}

func finalRegister(r *register) final {
	return final{r.key, []any{"GET", r.key}, func(v any) (int64, []problem) {
		lost, p := r.read(v)
		if p.short > 0 {
			p.lost = 1
		}
		if lost {
			return 1, one(p)
		}
		return 0, one(p)
	}}
}

func finalCheck(key string, lossy bool) final {
	return final{key, []any{"GET", key}, func(v any) (int64, []problem) {
		return 0, one(belongs(key, lossy)(v))
	}}
}

// Result is what happened during one fault.
type Result struct {
	Name, Help string
	Duration   time.Duration // of all of it, with the checks
	Requests   int           // replies, errors included
	Errors     int           // error replies
	Kinds      []Kind        // errors by kind, most frequent first
	Stray      int           // errors for shards that were not touched

	Touched, Untouched         int           // how many shards
	GapTouched, GapUntouched   time.Duration // longest time without a success
	P50Untouched, P99Untouched time.Duration // of one GET or INCR
	Recovery                   time.Duration // from when the cluster was whole until all shards succeeded for good

	Lost       int64     // acknowledged writes that the cluster lost: those it may lose, and those of slots in Own
	Own        []OwnLoss // what Redis was seen to lose by itself
	OwnRounds  int       // in how many rounds
	Violations []string
}

// Kind is all errors that look alike.
type Kind struct {
	Name   string
	Count  int
	Sample string
}

// OK reports whether there was no violation.
func (r *Result) OK() bool { return len(r.Violations) == 0 }
