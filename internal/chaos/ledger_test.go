package chaos

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

func TestMeterNoticesRepliesThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		name    string
		lossy   bool
		unsure  int64
		replies []any
		problem string // of the last reply
	}{
		{"one by one", false, 0, []any{int64(101), int64(102)}, ""},
		{"doubled", false, 0, []any{int64(101), int64(103)}, "executed twice"},
		{"doubled where losing is allowed", true, 0, []any{int64(101), int64(103)}, "executed twice"},
		{"lost", false, 0, []any{int64(101), int64(101)}, "lost"},
		{"lost where that is allowed", true, 0, []any{int64(101), int64(101)}, ""},
		{"open one executed", false, 1, []any{int64(102), int64(103)}, ""},
		{"open one not executed", false, 1, []any{int64(101), int64(102)}, ""},
		{"open one executed late", false, 1, []any{int64(101), int64(103)}, ""},
		{"open one executed twice", false, 1, []any{int64(103)}, "executed twice"},
		{"backwards within what is open", false, 5, []any{int64(105), int64(104)}, "after 105"},
		{"another counter", false, 0, []any{int64(7)}, "lost, or a reply of another command"},
		{"another type", false, 0, []any{"101"}, "not a number"},
		{"null", false, 0, []any{nil}, "not a number"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMeter(100, c.lossy)
			m.unsure(c.unsure)
			for i, v := range c.replies {
				problem := m.ack(v, 1)
				if i < len(c.replies)-1 || c.problem == "" {
					assert.Empty(t, problem)
					continue
				}
				assert.Contains(t, problem.text, c.problem)
			}
		})
	}
}

func TestMeterInTheEnd(t *testing.T) {
	for _, c := range []struct {
		lossy   bool
		final   int64
		lost    int64
		problem string
	}{
		{false, 10, 0, ""},
		{false, 13, 0, ""},
		{false, 14, 0, "1 executed twice"},
		{false, 9, 0, "1 lost"},
		{true, 9, 1, ""},
		{true, 14, 0, "1 executed twice"},
	} {
		m := newMeter(0, c.lossy)
		m.ack(int64(10), 10)
		m.unsure(3)
		lost, problem := m.final(c.final)
		assert.Equal(t, c.lost, lost, "%+v", c)
		if c.problem == "" {
			assert.Empty(t, problem, "%+v", c)
		} else {
			assert.Contains(t, problem.text, c.problem, "%+v", c)
		}
	}
}

func TestSharesOfACounterAddUp(t *testing.T) {
	sum, a, b := newMeter(0, false), newMeter(0, false), newMeter(0, false)
	assert.Empty(t, a.ackShared(int64(1), 1))
	assert.Empty(t, b.ackShared(int64(2), 1))
	assert.Empty(t, a.ackShared(int64(3), 1))
	assert.Empty(t, b.ackShared(int64(4), 1))
	b.unsure(1)
	sum.add(a)
	sum.add(b)
	_, problem := sum.final(5)
	assert.Empty(t, problem)
	_, problem = sum.final(6)
	assert.Contains(t, problem.text, "1 executed twice")
	assert.Contains(t, a.ackShared(int64(3), 1).text, "after 3")
}

func TestTwoClientsMustNotGetTheSameValue(t *testing.T) {
	k := keyspace{tags: slotTags()}
	a, b := newAccount(k, 0, 0, false), newAccount(k, 1, 0, false)
	assert.Empty(t, a.incrementShared(0).done(int64(1)))
	assert.Empty(t, b.incrementShared(0).done(int64(1)))
	_, problems := sharedFinals([]*account{a, b}, false)[0].check("2")
	require.Len(t, problems, 1)
	assert.Equal(t, "two clients got 1 from INCR", problems[0].text)
}

func TestJournalAgainstWhatIsThere(t *testing.T) {
	// Client 1 has sent 0 to 4: 0, 1 and 4 are acknowledged, 2 is open, 3 is not executed.
	fates := []fate{acked, acked, open, never, acked}
	for _, c := range []struct {
		name     string
		elements string
		lossy    bool
		lost     int64
		problem  string
	}{
		{"without the open one", "c1-0 c1-1 c1-4 c2-0", false, 0, ""},
		{"with the open one", "c1-0 c1-1 c1-2 c1-4 c2-0", false, 0, ""},
		{"the open one late", "c1-0 c1-1 c1-4 c1-2 c2-0", false, 0, ""},
		{"clients in any order", "c1-0 c2-0 c1-1 c1-4", false, 0, ""},
		{"lost", "c1-0 c1-4 c2-0", false, 0, "1 acknowledged elements are missing, the first is c1-1"},
		{"lost where that is allowed", "c1-0 c2-0", true, 2, ""},
		{"doubled", "c1-0 c1-1 c1-1 c1-4 c2-0", false, 0, "c1-1 is there twice"},
		{"doubled where losing is allowed", "c1-0 c1-1 c1-1 c1-4 c2-0", true, 0, "c1-1 is there twice"},
		{"an open one doubled", "c1-0 c1-1 c1-2 c1-2 c1-4 c2-0", false, 0, "c1-2 is there twice"},
		{"reordered", "c1-1 c1-0 c1-4 c2-0", false, 0, "c1-0 comes after c1-1"},
		{"executed against the error's word", "c1-0 c1-1 c1-3 c1-4 c2-0", false, 0, "c1-3 is there, but its error said"},
		{"of another client", "c1-0 c1-1 c1-4 c2-0 c3-0", false, 0, `"c3-0" is there, which nobody sent`},
		{"never sent", "c1-0 c1-1 c1-4 c2-0 c1-5", false, 0, `"c1-5" is there, which nobody sent`},
		{"damaged", "c1-0 c1-1 c1-4 c2-0 c1-01", false, 0, `"c1-01" is there, which nobody sent`},
	} {
		t.Run(c.name, func(t *testing.T) {
			journals := []*journal{{client: 1, fates: fates}, {client: 2, fates: []fate{acked}}}
			lost, problems := compare("k", strings.Fields(c.elements), journals, c.lossy)
			assert.Equal(t, c.lost, lost)
			if c.problem == "" {
				assert.Empty(t, problems)
				return
			}
			require.Len(t, problems, 1)
			assert.Contains(t, problems[0].text, c.problem)
		})
	}
}

func TestTextIsComparedByElements(t *testing.T) {
	j := &journal{client: 1, fates: []fate{acked, acked}}
	check := finalText("k", j, false).check
	for text, want := range map[any]string{
		"c1-0,c1-1,":   "",
		"c1-0,c1-1":    "in the middle of an element",
		"c1-1,c1-0,":   "comes after",
		"c1-0,":        "missing",
		nil:            "missing",
		int64(3):       "not a text",
		"c1-0,c1-1,x,": "nobody sent",
	} {
		_, problems := check(text)
		if want == "" {
			assert.Empty(t, problems)
			continue
		}
		require.Len(t, problems, 1, "%v", text)
		assert.Contains(t, problems[0].text, want)
	}
}

func TestRegisterAgainstWhatIsRead(t *testing.T) {
	at := func(n int64) string { return value("k", 1, n, 3) }
	for _, c := range []struct {
		name    string
		read    any
		lossy   bool
		lost    bool
		problem string
	}{
		{"the last acknowledged one", at(3), false, false, ""},
		{"a later open one", at(5), false, false, ""},
		{"an earlier open one", at(2), false, false, "value 2, but 3 was acknowledged"},
		{"an earlier one", at(1), false, false, "value 1, but 3 was acknowledged"},
		{"an earlier one where losing is allowed", at(1), true, true, ""},
		{"nothing", nil, false, false, "not a value"},
		{"nothing where losing is allowed", nil, true, true, ""},
		{"one that its error said is not set", at(4), false, false, "value 4, which was sent later, or whose error said"},
		{"one not sent yet", at(6), false, false, "which was not sent"},
		{"another client's", value("k", 2, 3, 3), false, false, "of client 2"},
		{"another key's", value("l", 1, 3, 3), false, false, "a value of key l"},
		{"another request's", int64(7), false, false, "not a value"},
		{"another text", "OK", false, false, "not a value of ours"},
		{"cut short", at(3)[:len(at(3))-1], false, false, "damaged"},
		{"changed inside", strings.Replace(at(3), "|def", "|xyz", 1), false, false, "damaged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := register{key: "k", client: 1, lossy: c.lossy}
			for range 5 {
				r.next(3)
			}
			assert.Empty(t, r.ack(1, "OK"))
			r.unsure(2)
			assert.Empty(t, r.ack(3, "OK"))
			r.unsure(5)
			lost, problem := r.read(c.read)
			assert.Equal(t, c.lost, lost)
			if c.problem == "" {
				assert.Empty(t, problem)
			} else {
				assert.Contains(t, problem.text, c.problem)
			}
		})
	}
}

func TestRegisterThatWasNeverSetIsNull(t *testing.T) {
	r := register{key: "k", client: 1}
	_, problem := r.read(nil)
	assert.Empty(t, problem)
}

func TestMultiKeySetIsOpenForAllKeysAfterAnyError(t *testing.T) {
	a := newAccount(keyspace{tags: slotTags()}, 1, 0, false)
	r := setMany(bit(0), []*register{&a.registers[0], &a.registers[1]}, 0)
	r.failed(true)
	for i := range 2 {
		_, problem := a.registers[i].read(r.args[2+2*i])
		assert.Empty(t, problem)
	}
}

func TestCertainErrors(t *testing.T) {
	for text, want := range map[string]bool{
		"MOVED 1 127.0.0.1:7000":                                                                        true,
		"CLUSTERDOWN Hash slot not served":                                                              true,
		"CLUSTERDOWN The cluster is down":                                                               true,
		"READONLY You can't write against a read only replica.":                                         true,
		"LOADING Redis is loading the dataset in memory":                                                true,
		"TRYAGAIN Multiple keys request during rehashing of slot":                                       true,
		"ERR samaritan: node 127.0.0.1:7000 is not reachable: dial tcp: refused":                        true,
		"ERR samaritan: the slot map of the cluster is not known yet: why":                              true,
		"ERR samaritan: node 127.0.0.1:7000 timed out: no reply within 1s":                              false,
		"ERR samaritan: connection to node 127.0.0.1:7000 lost before the reply: EOF":                   false,
		"ERR samaritan: connection to node 127.0.0.1:7000 closed: 127.0.0.1:7000 is not reachable: why": false,
		"ERR something else": false,
		"":                   false,
	} {
		assert.Equal(t, want, certain(text), text)
	}
}

func TestErrorsThatDifferInNumbersAreOfOneKind(t *testing.T) {
	for _, c := range [][2]string{
		{"MOVED 12 127.0.0.1:7000", "MOVED 13 127.0.0.1:7001"},
		{"ERR samaritan: node 10.0.0.1:7000 timed out: no reply within 1s", "ERR samaritan: node 10.0.0.2:7000 timed out: no reply within 1s"},
		{"ERR samaritan: node [::1]:7000 is gone", "ERR samaritan: node [fd00::2]:7001 is gone"},
	} {
		assert.Equal(t, kindOf(c[0]), kindOf(c[1]))
	}
	assert.Equal(t, "CLUSTERDOWN Hash slot not served", kindOf("CLUSTERDOWN Hash slot not served"))
}

// fakeRedis is a server of one process that can be told to do wrong.
type fakeRedis struct {
	data  map[string]any // int64, string, []string
	wrong string
	count map[string]int // by what is wrong
}

// every reports whether it is time to do wrong.
func (f *fakeRedis) every(wrong string, n int) bool {
	if !slices.Contains(strings.Split(f.wrong, " and "), wrong) {
		return false
	}
	f.count[wrong]++
	return f.count[wrong]%n == 0
}

// wiped is the slot whose keys the fake deletes now and then.
var wiped = ShardSlots(0)[1]

// wipe deletes them, as a node does that loses the slot.
func (f *fakeRedis) wipe() {
	maps.DeleteFunc(f.data, func(key string, _ any) bool { return testredis.Slot(key) == wiped })
}

// Exchange answers a pipeline, as a link does.
func (f *fakeRedis) Exchange(cmds [][]any, each func(i int, v any)) error {
	if f.every("reordered", 3) { // executed from the last to the first
		replies := make([]any, len(cmds))
		for i := len(cmds) - 1; i >= 0; i-- {
			replies[i] = f.do(cmds[i])
		}
		for i, v := range replies {
			each(i, v)
		}
		return nil
	}
	var replies []any
	for _, c := range cmds {
		replies = append(replies, f.do(c))
	}
	if n := len(replies); n > 1 && f.every("swapped", 3) {
		replies[n-1], replies[n-2] = replies[n-2], replies[n-1]
	}
	if f.every("hung", 50) {
		return errHang
	}
	if f.every("closed", 50) {
		return fmt.Errorf("closed")
	}
	for i, v := range replies {
		each(i, v)
	}
	return nil
}

func (f *fakeRedis) Close() error { return nil }

// do executes one command, or does wrong.
func (f *fakeRedis) do(cmd []any) any {
	write := slices.Contains([]any{"INCR", "RPUSH", "APPEND", "SET"}, cmd[0])
	if write && f.every("wiped", 900) {
		f.wipe()
	}
	switch {
	case write && testredis.Slot(cmd[1].(string)) == wiped && cmd[0] != "SET" && f.every("doubled there", 50):
		f.execute(cmd)
		return f.execute(cmd)
	case write && f.every("lost", 200):
		before := f.copyOf(cmd[1].(string))
		v := f.execute(cmd)
		f.data[cmd[1].(string)] = before
		return v
	case write && cmd[0] != "SET" && f.every("doubled", 200):
		v := f.execute(cmd)
		f.execute(cmd)
		return v
	case write && f.every("failed", 20): // which is not wrong: nobody knows
		if f.count["failed"]%40 == 0 {
			f.execute(cmd)
		}
		return testredis.Error("ERR samaritan: connection to node A lost before the reply: EOF")
	case write && f.every("liar", 200):
		f.execute(cmd)
		return testredis.Error("ERR samaritan: node A is not reachable: no")
	case cmd[0] == "MGET" && f.every("null", 20):
		return []any{nil}
	}
	return f.execute(cmd)
}

// copyOf returns the value of a key; lists are copied by appending to them.
func (f *fakeRedis) copyOf(key string) any { return f.data[key] }

// execute does what Redis does.
func (f *fakeRedis) execute(cmd []any) any {
	key := fmt.Sprint(cmd[1])
	arg := func(i int) string { return fmt.Sprint(cmd[i]) }
	switch cmd[0] {
	case "INCR":
		n, _ := f.data[key].(int64)
		f.data[key] = n + 1
		return n + 1
	case "RPUSH":
		list, _ := f.data[key].([]string)
		f.data[key] = append(slices.Clone(list), arg(2))
		return int64(len(list) + 1)
	case "APPEND":
		text, _ := f.data[key].(string)
		f.data[key] = text + arg(2)
		return int64(len(text) + len(arg(2)))
	case "SET":
		f.data[key] = arg(2)
		return "OK"
	case "MSET":
		for i := 1; i < len(cmd); i += 2 {
			f.data[arg(i)] = arg(i + 1)
		}
		return "OK"
	case "MGET":
		var all []any
		for _, k := range cmd[1:] {
			all = append(all, f.execute([]any{"GET", k}))
		}
		return all
	case "EXISTS":
		var n int64
		for _, k := range cmd[1:] {
			if _, ok := f.data[fmt.Sprint(k)]; ok {
				n++
			}
		}
		return n
	case "LRANGE":
		list, _ := f.data[key].([]string)
		all := []any{}
		for _, e := range list {
			all = append(all, e)
		}
		return all
	case "ECHO":
		return key
	case "GET":
		switch v := f.data[key].(type) {
		case nil:
			return nil
		case int64:
			return fmt.Sprint(v)
		default:
			return v
		}
	}
	return testredis.Error("ERR unknown command")
}

// TestLoadCatchesAServerThatDoesWrong runs the real load, of one client, against a
// fake.
func TestLoadCatchesAServerThatDoesWrong(t *testing.T) {
	for _, c := range []struct {
		wrong string
		lossy bool
		want  string // in a violation; "" for none
	}{
		{"nothing", false, ""},
		{"nothing", true, ""},
		{"failed", false, ""},
		{"lost", false, "acknowledged"},
		{"lost", true, ""},
		{"doubled", false, "twice"},
		{"doubled", true, "twice"},
		{"liar", false, "error said that it was not executed"},
		{"reordered", false, "client 1"},
		{"swapped", false, "client 1"},
		{"null", false, "not an array of as many values as keys"},
		{"hung", false, "hangs"},
		{"closed", false, "the daemon closed the connection"},
	} {
		t.Run(fmt.Sprint(c.wrong, " lossy ", c.lossy), func(t *testing.T) {
			r := runFake(c.wrong, c.lossy)
			violations, lost := r.Violations, r.Lost
			if c.want == "" {
				assert.Empty(t, violations)
				assert.Equal(t, c.lossy && c.wrong == "lost", lost > 0)
				return
			}
			assert.Contains(t, strings.Join(violations, "\n"), c.want)
		})
	}
}

// runFake lets one writer do some hundred batches, and then checks its ledger. Redis was
// seen to lose the given slots.
func runFake(wrong string, lossy bool, own ...uint16) (r Result) {
	f := &fakeRedis{data: map[string]any{}, count: map[string]int{}}
	s := &Suite{tally: &tally{}, keys: keyspace{tags: slotTags()}, options: Options{Seed: 1}}
	s.tally.reset()
	w := s.hireOne(1, func() (Link, error) { return f, nil }, write)
	s.writers = s.workers
	w.begin(s.keys, Fault{MayLose: lossy}, true)
	for shard, a := range w.accounts {
		f.data[a.counterKey] = counterBase(1, shard)
		for slot := range s.keys.tags[shard] {
			for _, k := range s.keys.checks(shard, slot) {
				f.data[k] = value(k, 0, 0, 0)
			}
		}
	}
	f.wrong = wrong
	for range 400 {
		w.step()
	}
	f.wrong = ""
	for _, one := range finals(s.keys, s.writers, lossy) {
		n, problems := one.check(f.execute(one.cmd))
		r.Lost += n
		for _, p := range problems {
			s.tally.problem(p)
		}
	}
	for _, slot := range own {
		r.Own = append(r.Own, OwnLoss{Slot: slot})
	}
	s.tally.fill(&r, math.MaxUint8)
	return r
}

func TestEveryShardHasItsTags(t *testing.T) {
	tags := slotTags()
	for shard := range Shards {
		require.Len(t, tags[shard], len(ShardSlots(shard)))
		for i, slot := range ShardSlots(shard) {
			assert.Equal(t, slot, testredis.Slot("x"+tags[shard][i]+"y"))
		}
	}
}

func FuzzParseElement(f *testing.F) {
	f.Add("c1-2")
	f.Add("c-1--2")
	f.Fuzz(func(t *testing.T, text string) {
		if client, n, ok := parseElement(text); ok {
			assert.Equal(t, text, elementText(client, n))
		}
	})
}

func FuzzParseValue(f *testing.F) {
	f.Add(value("k", 1, 2, 30), "k")
	f.Add("k|1|2|0|", "k")
	f.Fuzz(func(t *testing.T, text, key string) {
		client, n, problem := parseValue(text, key)
		if problem == "" && !strings.Contains(key, "|") {
			assert.Contains(t, value(key, client, n, len(text)), fmt.Sprintf("|%d|%d|", client, n))
		}
	})
}
