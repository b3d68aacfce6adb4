package redis

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// actor is a session that pipelines random commands on keys of its own, so that every
// reply is known beforehand.
type actor struct {
	name     string
	conn     *testredis.Conn
	rng      *rand.Rand
	model    keyspace
	strings  []string // in the slot that moves, as are lists and sets
	lists    []string
	sets     []string
	counters []string
	rest     []string        // strings in slots that stay
	redirect bool            // MOVED and ASK may be replies: the hops were used up
	unknown  map[string]bool // keys of commands that may have been executed in part
	deepest  int             // most commands of a batch

	commands, refused, bounced, serial int
}

// sentCommand is a command on its way.
type sentCommand struct {
	args []string
	skip bool // has no reply
	got  any
}

func newActor(t *testing.T, addr, name string, slot uint16, seed uint64, resp3 bool) *actor {
	t.Helper()
	a := &actor{
		name: name, conn: connect(t, addr), rng: rand.New(rand.NewPCG(seed, uint64(slot))), model: keyspace{},
		unknown: map[string]bool{}, deepest: 80,
	}
	make := func(kind string, n int) (keys []string) {
		for i := range n {
			keys = append(keys, key(slot, fmt.Sprint(name, kind, i)))
		}
		return keys
	}
	a.strings, a.lists, a.sets, a.counters = make("s", 5), make("l", 3), make("z", 3), make("c", 2)
	for i := range 4 {
		a.rest = append(a.rest, key(uint16(2000+4000*i), name))
	}
	if resp3 {
		must(t, a.conn, "HELLO", 3)
	}
	return a
}

func pickOf(rng *rand.Rand, from []string) string { return from[rng.IntN(len(from))] }

// some is a list of n keys, repetitions possible.
func (a *actor) some(from []string, n int) (keys []string) {
	for range n {
		keys = append(keys, pickOf(a.rng, from))
	}
	return keys
}

// value is different each time, and tells its place.
func (a *actor) value() string {
	a.serial++
	return fmt.Sprintf("%d.", a.serial)
}

// pairs are keys with values.
func (a *actor) pairs(keys []string) (args []string) {
	for _, k := range keys {
		args = append(args, k, a.value())
	}
	return args
}

// next makes a random command.
func (a *actor) next() []string {
	s := pickOf(a.rng, a.strings)
	l, l2 := pickOf(a.rng, a.lists), pickOf(a.rng, a.lists)
	z, z2, z3 := pickOf(a.rng, a.sets), pickOf(a.rng, a.sets), pickOf(a.rng, a.sets)
	several := 2 + a.rng.IntN(3)
	switch a.rng.IntN(34) {
	case 0, 1, 2:
		return []string{"SET", s, a.value()}
	case 3, 4:
		return []string{"APPEND", s, a.value()}
	case 5, 6:
		return []string{"INCR", pickOf(a.rng, a.counters)}
	case 7, 8:
		return []string{"RPUSH", l, a.value()}
	case 9, 10:
		return []string{"GET", s}
	case 11, 12, 13:
		return append([]string{"MSET"}, a.pairs(a.some(a.strings, several))...)
	case 14, 15, 16:
		return append([]string{"MGET"}, a.some(a.strings, several)...)
	case 17:
		return append([]string{"DEL"}, a.some(append(a.strings, a.lists...), several)...)
	case 18:
		return append([]string{"UNLINK"}, a.some(append(a.strings, a.sets...), several)...)
	case 19:
		return append([]string{"EXISTS"}, a.some(append(a.strings, a.lists...), several)...)
	case 20:
		return append([]string{"TOUCH"}, a.some(append(a.strings, a.sets...), several)...)
	case 21:
		return []string{"RENAME", s, pickOf(a.rng, a.strings)}
	case 22:
		return []string{"SADD", z, fmt.Sprint(a.rng.IntN(9))}
	case 23:
		return []string{[]string{"SINTERSTORE", "SUNIONSTORE"}[a.rng.IntN(2)], z, z2, z3}
	case 24:
		return []string{"SMEMBERS", z}
	case 25:
		if l == l2 {
			return []string{"LRANGE", l, "0", "-1"}
		}
		return []string{"LMOVE", l, l2, "LEFT", "RIGHT"}
	case 26:
		return []string{"LPOP", l}
	case 27:
		// Over many slots, the one that moves among them, more than once.
		return append([]string{"MSET"}, a.pairs(append(a.some(a.rest, 3), a.some(a.strings, 2)...))...)
	case 28:
		keys := append(a.some(a.rest, 3), a.some(a.strings, 3)...)
		a.rng.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		return append([]string{"MGET"}, keys...)
	case 29:
		return append([]string{"DEL"}, append(a.some(a.rest, 1), a.some(a.strings, 2)...)...)
	case 30:
		return []string{"EVAL", bothScript, "2", s, pickOf(a.rng, a.strings), a.value()}
	case 31:
		return []string{"SET", pickOf(a.rng, a.rest), a.value()}
	case 32:
		if z == z2 {
			return []string{"SCARD", z}
		}
		return []string{"SMOVE", z, z2, fmt.Sprint(a.rng.IntN(9))}
	}
	return []string{"GETDEL", s}
}

// batch sends some commands in one write and checks all replies.
func (a *actor) batch(t *testing.T) bool {
	var sent []sentCommand
	var cmds [][]any
	for range 1 + a.rng.IntN(a.deepest) {
		args := a.next()
		skip := a.rng.IntN(20) == 0 && len(effectsKeys(args)) == 1
		if skip {
			cmds = append(cmds, cmd("CLIENT", "REPLY", "SKIP"))
		}
		sent = append(sent, sentCommand{args: args, skip: skip && !a.redirect})
		if skip && a.redirect {
			cmds = cmds[:len(cmds)-1] // what became of it could not be told
		}
		line := make([]any, len(args))
		for i, arg := range args {
			line[i] = arg
		}
		cmds = append(cmds, line)
	}
	if !assert.NoError(t, a.conn.Send(cmds...)) {
		return false
	}
	for i, e := range sent {
		a.commands++
		if e.skip {
			a.model.do(e.args)
			continue
		}
		v, err := receiveOne(a.conn)
		sent[i].got = v
		if !assert.NoError(t, err, "%s: reply %d of %d", a.name, i, len(sent)) || !a.judge(t, e.args, v) {
			t.Logf("%s: the commands before: %q", a.name, contextOf(sent, i))
			return false
		}
	}
	return a.clear(t)
}

func contextOf(sent []sentCommand, i int) (lines []string) {
	for _, e := range sent[max(0, i-12) : i+1] {
		lines = append(lines, fmt.Sprint(e.args, " ", e.got))
	}
	return lines
}

// receiveOne reads a reply; an error reply is a value.
func receiveOne(c *testredis.Conn) (any, error) {
	v, err := c.Receive()
	if e, ok := err.(testredis.Error); ok {
		return e, nil
	}
	return v, err
}

var redirection = regexp.MustCompile(`^(MOVED|ASK) \d+ \S+$`)

// judge compares one reply with the model's.
func (a *actor) judge(t *testing.T, args []string, got any) bool {
	keys := effectsKeys(args)
	if e, ok := got.(testredis.Error); ok {
		switch {
		case regexp.MustCompile("^TRYAGAIN ").MatchString(string(e)) && len(keys) > 1 && !splittable(args[0]):
			a.refused++
			return true // not executed
		case a.redirect && redirection.MatchString(string(e)):
			a.bounced++
			if splittable(args[0]) && len(keys) > 1 && slices.Contains([]string{"MSET", "DEL", "UNLINK"}, args[0]) {
				a.doubt(keys)
			}
			return true
		}
	}
	if slices.ContainsFunc(keys, func(k string) bool { return a.unknown[k] }) {
		a.doubt(keys)
		return true
	}
	want := a.model.do(args)
	if list, ok := got.([]any); ok && args[0] == "SMEMBERS" {
		slices.SortFunc(list, func(x, y any) int { return cmpString(x, y) })
	}
	return assert.Equal(t, want, got, "%s: reply %d, to %q", a.name, a.commands, args)
}

func cmpString(x, y any) int {
	a, b := fmt.Sprint(x), fmt.Sprint(y)
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (a *actor) doubt(keys []string) {
	for _, k := range keys {
		a.unknown[k] = true
	}
}

// clear deletes the keys whose value is in doubt. Those that cannot be reached now stay
// in doubt.
func (a *actor) clear(t *testing.T) bool {
	for k := range a.unknown {
		_, err := a.conn.Do("DEL", k)
		if e, ok := err.(testredis.Error); ok && a.redirect && redirection.MatchString(string(e)) {
			continue
		}
		if !assert.NoError(t, err) {
			return false
		}
		delete(a.model, k)
		delete(a.unknown, k)
	}
	return true
}

// settle compares all keys with the model, over another connection.
func (a *actor) settle(t *testing.T, c *testredis.Conn) {
	t.Helper()
	require.Eventually(t, func() bool { return !a.clear(t) || len(a.unknown) == 0 }, patience, time.Millisecond)
	for _, k := range slices.Concat(a.strings, a.counters, a.rest) {
		assert.Equal(t, a.model.do([]string{"GET", k}), must(t, c, "GET", k), "%s at the end", k)
	}
	for _, k := range a.lists {
		assert.Equal(t, a.model.do([]string{"LRANGE", k, "0", "-1"}), must(t, c, "LRANGE", k, 0, -1), "%s at the end", k)
	}
	for _, k := range a.sets {
		got := must(t, c, "SMEMBERS", k).([]any)
		slices.SortFunc(got, cmpString)
		assert.Equal(t, a.model.do([]string{"SMEMBERS", k}), got, "%s at the end", k)
	}
}

// troupe is a number of actors at work.
type troupe struct {
	actors  []*actor
	gate    sync.RWMutex // held shared during a batch
	batches atomic.Int64
	stop    chan struct{}
	failed  chan struct{} // closed when one of them has failed
	once    sync.Once
	running sync.WaitGroup
}

// perform starts the actors; they go on until end.
func perform(t *testing.T, actors ...*actor) *troupe {
	t.Helper()
	tr := &troupe{actors: actors, stop: make(chan struct{}), failed: make(chan struct{})}
	for _, a := range actors {
		tr.running.Go(func() { tr.play(t, a) })
	}
	t.Cleanup(tr.end)
	return tr
}

func (tr *troupe) play(t *testing.T, a *actor) {
	for {
		select {
		case <-tr.stop:
			return
		case <-tr.failed:
			return
		default:
		}
		tr.gate.RLock()
		ok := a.batch(t)
		tr.gate.RUnlock()
		if !ok {
			tr.once.Do(func() { close(tr.failed) })
			return
		}
		tr.batches.Add(1)
	}
}

// goesOn waits until n more batches are done. False means that somebody failed.
func (tr *troupe) goesOn(t *testing.T, n int) bool {
	t.Helper()
	from := tr.batches.Load()
	failed := func() bool {
		select {
		case <-tr.failed:
			return true
		default:
			return false
		}
	}
	require.Eventually(t, func() bool { return failed() || tr.batches.Load() >= from+int64(n) }, patience, 500*time.Microsecond, "the sessions go on")
	return !failed()
}

func (tr *troupe) end() {
	tr.once.Do(func() { close(tr.failed) })
	tr.running.Wait()
}

// finish ends the performance and compares everything with the models.
func (tr *troupe) finish(t *testing.T, addr string) {
	t.Helper()
	close(tr.stop)
	tr.running.Wait()
	c := connect(t, addr)
	for _, a := range tr.actors {
		if !t.Failed() {
			a.settle(t, c)
		}
		t.Logf("%s: %d commands, %d TRYAGAIN, %d hops used up", a.name, a.commands, a.refused, a.bounced)
	}
}
