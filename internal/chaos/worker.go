package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"samaritan/internal/testredis"
)

// Pauses of a client between its batches. They keep the load to a part of a core.
const (
	pauseMin = 4 * time.Millisecond
	pauseMax = 16 * time.Millisecond
)

// worker is one client of the load: a goroutine that owns its link and its accounts.
// While the gate is shut, the suite owns them.
type worker struct {
	// Immutable.
	id     int
	dial   func() (Link, error)
	next   func(w *worker) []request // makes a batch
	pauses [2]time.Duration          // least and most
	gate   *sync.RWMutex
	tally  *tally
	rand   *rand.Rand

	// Owned as said above.
	link     Link
	keys     keyspace
	accounts [Shards]*account // of a writer
	lossy    bool
	mayClose bool
	serial   int64 // of check values and tokens
	batch    []request
	cmds     [][]any
}

// run sends batches until the context ends, and closes the link.
func (w *worker) run(ctx context.Context) {
	defer w.hangUp()
	for ctx.Err() == nil {
		w.gate.RLock()
		if ctx.Err() == nil {
			w.step()
		}
		w.gate.RUnlock()
		span := w.pauses[1] - w.pauses[0]
		_ = pause(ctx, w.pauses[0]+time.Duration(w.rand.Int64N(int64(span)+1))) // its error ends the loop
	}
}

// hangUp closes the link, if there is one.
func (w *worker) hangUp() {
	if w.link != nil {
		_ = w.link.Close() // broken or not, it is gone
		w.link = nil
	}
}

// step sends one batch and takes its replies.
func (w *worker) step() {
	if w.link == nil {
		l, err := w.dial()
		if err != nil {
			w.tally.violation("client %d cannot connect: %v", w.id, err)
			return
		}
		w.link = l
	}
	w.batch = w.next(w)
	w.cmds = w.cmds[:0]
	for _, r := range w.batch {
		w.cmds = append(w.cmds, r.args)
	}
	t := w.tally.begin()
	err := w.link.Exchange(w.cmds, func(i int, v any) { w.reply(&t, &w.batch[i], v); t.replies++ })
	if err != nil {
		w.broken(&t, err)
	}
	w.tally.end(&t)
}

// reply takes the reply to one request.
func (w *worker) reply(t *turn, r *request, v any) {
	if e, ok := v.(testredis.Error); ok {
		t.fail(string(e), r.shards)
		if r.failed != nil {
			r.failed(certain(string(e)))
		}
		return
	}
	if p := r.done(v); !p.ok() {
		p.text = fmt.Sprintf("client %d: %v %v: %s", w.id, r.args[0], r.args[min(1, len(r.args)-1)], p.text)
		t.problems = append(t.problems, p)
	}
}

// broken takes the end of the link: all without a reply are open.
func (w *worker) broken(t *turn, err error) {
	for i := t.replies; i < len(w.batch); i++ {
		if f := w.batch[i].failed; f != nil {
			f(false)
		}
	}
	w.hangUp()
	r := w.batch[min(t.replies, len(w.batch)-1)]
	switch {
	case errors.Is(err, errHang):
		t.violation("client %d hangs: %v %v: %v", w.id, r.args[0], r.args[min(1, len(r.args)-1)], err)
	case w.mayClose:
		t.fail("connection closed: "+err.Error(), allShards)
	default:
		t.violation("client %d: the daemon closed the connection, at reply %d of %d: %v", w.id, t.replies, len(w.batch), err)
	}
}

// begin takes a new round. The gate is shut.
func (w *worker) begin(k keyspace, f Fault, writer bool) {
	w.keys, w.lossy, w.mayClose = k, f.MayLose, f.MayClose
	if !writer {
		return
	}
	for shard := range Shards {
		w.accounts[shard] = newAccount(k, w.id, shard, f.MayLose)
	}
}

// write makes the next batch of a writer.
func write(w *worker) []request {
	b := w.batch[:0]
	if w.rand.IntN(4) == 0 {
		return w.sequence(b)
	}
	for range w.depth() {
		b = append(b, w.anything())
	}
	return b
}

// depth draws how many commands are sent at once: often one, at most a hundred.
func (w *worker) depth() int {
	switch n := w.rand.IntN(20); {
	case n < 9:
		return 1
	case n < 18:
		return 2 + w.rand.IntN(15)
	}
	return 17 + w.rand.IntN(84)
}

// sequence makes a pipeline on one key or two, whose order shows: SET k 1 to n
// and a GET, or elements at the end of a text and a list.
func (w *worker) sequence(b []request) []request {
	shard := w.rand.IntN(Shards)
	a, n := w.accounts[shard], w.depth()
	if w.rand.IntN(2) == 0 {
		i := w.rand.IntN(registersPerShard)
		for range n {
			b = append(b, a.set(shard, i, 0))
		}
		return append(b, a.get(shard, i))
	}
	for range (n + 1) / 2 {
		b = append(b, a.append(shard), a.push(shard))
	}
	return b
}

// anything draws one request.
func (w *worker) anything() request {
	shard := w.rand.IntN(Shards)
	a := w.accounts[shard]
	switch w.rand.IntN(18) {
	case 0, 1:
		return a.increment(shard)
	case 2:
		return a.incrementShared(shard)
	case 3:
		return a.push(shard)
	case 4:
		return a.pushShared(shard)
	case 5:
		return a.append(shard)
	case 6, 7:
		return a.set(shard, w.rand.IntN(registersPerShard), w.size())
	case 8:
		return a.get(shard, w.rand.IntN(registersPerShard))
	case 9:
		return setMany(bit(shard), w.registersOf(shard), w.rand.IntN(100))
	case 10:
		return setMany(allShards, w.registersOver(), w.rand.IntN(100))
	case 11:
		return readRegisters(bit(shard), w.registersOf(shard))
	case 12:
		return readRegisters(allShards, w.registersOver())
	case 13, 14:
		return w.setCheck(shard)
	case 15:
		return w.getChecks(shard, false)
	case 16:
		return w.countChecks()
	}
	return w.echo()
}

// allShards is the set of all.
const allShards = 1<<Shards - 1

// registersOf returns the registers of a shard, which share a slot.
func (w *worker) registersOf(shard int) []*register {
	var rs []*register
	for i := range w.accounts[shard].registers {
		rs = append(rs, &w.accounts[shard].registers[i])
	}
	return rs
}

// registersOver returns one register of each shard.
func (w *worker) registersOver() []*register {
	i := w.rand.IntN(registersPerShard)
	var rs []*register
	for shard := range Shards {
		rs = append(rs, &w.accounts[shard].registers[i])
	}
	return rs
}

// readRegisters reads them with one MGET.
func readRegisters(shards uint8, rs []*register) request {
	var keys []string
	var check []func(any) problem
	for _, r := range rs {
		keys = append(keys, r.key)
		check = append(check, r.readNow)
	}
	return getMany(shards, keys, check)
}

// size draws the size of a value's filling: mostly small, seldom some 100 KiB.
func (w *worker) size() int {
	switch n := w.rand.IntN(400); {
	case n == 0:
		return 32<<10 + w.rand.IntN(96<<10)
	case n < 10:
		return w.rand.IntN(16 << 10)
	}
	return w.rand.IntN(200)
}

// setCheck sets a check value, as any client may.
func (w *worker) setCheck(shard int) request {
	keys := w.keys.checks(shard, w.rand.IntN(1<<10))
	key := keys[w.rand.IntN(len(keys))]
	w.serial++
	return request{
		args: []any{"SET", key, value(key, w.id, w.serial, w.size())}, shards: bit(shard),
		done: isOK,
	}
}

// isOK checks the reply to a SET.
func isOK(v any) problem {
	if v != "OK" {
		return bad("the reply is %s, not OK", show(v))
	}
	return problem{}
}

// getChecks reads one check value, the ones of one slot, or one of each shard. A
// replica may be behind, and have none.
func (w *worker) getChecks(shard int, replica bool) request {
	slot := w.rand.IntN(1 << 10)
	keys, shards := w.keys.checks(shard, slot), bit(shard)
	switch w.rand.IntN(3) {
	case 0:
		return request{args: []any{"GET", keys[0]}, shards: shards, done: belongs(keys[0], w.lossy || replica)}
	case 1:
		keys, shards = nil, allShards
		for s := range Shards {
			keys = append(keys, w.keys.checks(s, slot)[0])
		}
	}
	var check []func(any) problem
	for _, k := range keys {
		check = append(check, belongs(k, w.lossy || replica))
	}
	return getMany(shards, keys, check)
}

// belongs checks that a value belongs to its key.
func belongs(key string, mayMiss bool) func(v any) problem {
	return func(v any) problem {
		switch {
		case v == nil && mayMiss:
			return problem{}
		case v == nil:
			return gone(key, "the reply is null, not a value")
		}
		_, _, what := parseValue(v, key)
		return problem{text: what}
	}
}

// countChecks asks how many check values of three shards exist: all.
func (w *worker) countChecks() request {
	args := []any{"EXISTS"}
	var keys []string
	slot := w.rand.IntN(1 << 10)
	for s := range Shards {
		for _, k := range w.keys.checks(s, slot) {
			args, keys = append(args, k), append(keys, k)
		}
	}
	want := int64(len(keys))
	return request{args: args, shards: allShards, done: func(v any) problem {
		n, ok := v.(int64)
		switch {
		case !ok || n > want || n < 0:
			return bad("the reply is %s, not %d", show(v), want)
		case n < want && !w.lossy:
			return problem{text: fmt.Sprintf("the reply is %d, not %d", n, want), short: int(want - n), keys: keys}
		}
		return problem{}
	}}
}

// echo sends a text that nobody else sends. The daemon answers it by itself, in
// between the replies of nodes.
func (w *worker) echo() request {
	w.serial++
	token := "echo-" + strconv.Itoa(w.id) + "-" + strconv.FormatInt(w.serial, 10)
	return request{args: []any{"ECHO", token}, done: func(v any) problem {
		if v != token {
			return bad("the reply is %s", show(v))
		}
		return problem{}
	}}
}

// read makes the next batch of a reader.
func read(w *worker) []request {
	b := w.batch[:0]
	for range w.depth() {
		if w.rand.IntN(10) == 0 {
			b = append(b, w.echo())
			continue
		}
		b = append(b, w.getChecks(w.rand.IntN(Shards), true))
	}
	return b
}
