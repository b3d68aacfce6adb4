package redis

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// mover moves one slot in several ways while sessions are at work on it.
type mover struct {
	c    *testredis.Cluster
	slot uint16
	on   *troupe
	step int // keys that move at once
}

// begin opens the slot to the next master.
func (m *mover) begin(t *testing.T) (from, to *testredis.Node) {
	t.Helper()
	nodes := m.c.Nodes()
	from = m.c.Master(m.slot)
	for i, n := range nodes {
		if n == from {
			to = nodes[(i+1)%len(nodes)]
		}
	}
	require.NoError(t, m.c.BeginMigrate(m.slot, to))
	return from, to
}

// keys moves up to most keys in small steps while traffic goes on.
func (m *mover) keys(t *testing.T, most int) bool {
	t.Helper()
	for moved := 0; moved < most; {
		n, err := m.c.MigrateKeys(m.slot, m.step)
		require.NoError(t, err)
		if moved += n; n < m.step {
			break
		}
		if !m.on.goesOn(t, 1) {
			return false
		}
	}
	return true
}

// whole moves everything in one go.
func (m *mover) whole(t *testing.T) bool {
	t.Helper()
	m.begin(t)
	require.NoError(t, m.c.FinishMigrate(m.slot))
	return m.on.goesOn(t, 2)
}

// slow leaves the slot open, half of its keys on each side, for a while.
func (m *mover) slow(t *testing.T) bool {
	t.Helper()
	m.begin(t)
	if !m.on.goesOn(t, 2) || !m.keys(t, 30) || !m.on.goesOn(t, 2) {
		return false
	}
	if !m.keys(t, 1000) {
		return false
	}
	require.NoError(t, m.c.FinishMigrate(m.slot))
	return m.on.goesOn(t, 2)
}

// destinationFirst tells the new owner and lets the old one find out late.
func (m *mover) destinationFirst(t *testing.T) bool {
	t.Helper()
	_, to := m.begin(t)
	if !m.keys(t, 1000) {
		return false
	}
	to.MustDo(t, "CLUSTER", "SETSLOT", m.slot, "NODE", to.ID())
	ok := m.on.goesOn(t, 4)
	require.NoError(t, m.c.FinishMigrate(m.slot))
	return ok
}

// sourceFirst tells the old owner first. Until the new one knows each sends clients to
// the other.
func (m *mover) sourceFirst(t *testing.T) bool {
	t.Helper()
	from, to := m.begin(t)
	if !m.keys(t, 1000) {
		return false
	}
	from.MustDo(t, "CLUSTER", "SETSLOT", m.slot, "NODE", to.ID())
	ok := m.on.goesOn(t, 2)
	require.NoError(t, m.c.FinishMigrate(m.slot))
	return ok
}

// cancelled moves some keys, then all of them back, and closes the slot where it was.
// Redis itself is wrong about keys that move back under a client that follows an ASK,
// so the sessions pause for that part.
func (m *mover) cancelled(t *testing.T) bool {
	t.Helper()
	nodes := m.c.Nodes()
	from := m.c.Master(m.slot)
	to := nodes[0]
	if to == from {
		to = nodes[1]
	}
	to.MustDo(t, "CLUSTER", "SETSLOT", m.slot, "IMPORTING", from.ID())
	from.MustDo(t, "CLUSTER", "SETSLOT", m.slot, "MIGRATING", to.ID())
	for range 3 {
		m.carry(t, from, to, m.step)
		if !m.on.goesOn(t, 1) {
			return false
		}
	}
	m.on.gate.Lock()
	defer m.on.gate.Unlock()
	from.MustDo(t, "CLUSTER", "SETSLOT", m.slot, "STABLE") // or it would send the keys away again
	m.carry(t, to, from, 10000)
	to.MustDo(t, "CLUSTER", "SETSLOT", m.slot, "STABLE")
	return true
}

// carry moves up to n keys between two nodes.
func (m *mover) carry(t *testing.T, from, to *testredis.Node, n int) {
	t.Helper()
	keys := from.MustDo(t, "CLUSTER", "GETKEYSINSLOT", m.slot, n).([]any)
	if len(keys) > 0 {
		from.MustDo(t, append(cmd("MIGRATE", "127.0.0.1", to.Port(), "", 0, 5000, "KEYS"), keys...)...)
	}
}

func TestEffectsKeepTheirOrderOnASlotThatMoves(t *testing.T) {
	c := testredis.Shared(t, testredis.Options{})
	p := startProxy(t, proxyOptions{loops: 2}, c.Addrs()...).ready(t)
	const slot = 4243
	var actors []*actor
	for i := range 6 {
		a := newActor(t, p.Addr, fmt.Sprintf("session%d-", i), slot, uint64(i), i%2 == 1)
		a.deepest = 30
		if i >= 4 {
			a.deepest = 150
		}
		actors = append(actors, a)
	}
	m := &mover{c: c, slot: slot, on: perform(t, actors...), step: 10}
	for _, move := range []func(*testing.T) bool{m.whole, m.slow, m.cancelled, m.destinationFirst, m.whole} {
		if !move(t) {
			break
		}
	}
	m.on.finish(t, p.Addr)
}

// While each of two nodes sends clients to the other, MOVED is the reply once the hops are
// used up; what was answered so must not have been executed, nor upset the order.
func TestEffectsKeepTheirOrderWhenTheSourceIsToldFirst(t *testing.T) {
	c := testredis.Shared(t, testredis.Options{})
	p := startProxy(t, proxyOptions{}, c.Addrs()...).ready(t)
	const slot = 4244
	var actors []*actor
	for i := range 4 {
		a := newActor(t, p.Addr, fmt.Sprintf("session%d-", i), slot, uint64(100+i), i%2 == 1)
		a.redirect, a.deepest = true, 20
		actors = append(actors, a)
	}
	m := &mover{c: c, slot: slot, on: perform(t, actors...), step: 20}
	for range 2 {
		if !m.sourceFirst(t) {
			break
		}
	}
	m.on.finish(t, p.Addr)
}

// halfMoved opens a slot and moves the given keys, the others stay.
func halfMoved(t *testing.T, c *testredis.Cluster, slot uint16, moved ...string) (from, to *testredis.Node) {
	t.Helper()
	m := &mover{c: c, slot: slot}
	from, to = m.begin(t)
	for _, k := range moved {
		from.MustDo(t, "MIGRATE", "127.0.0.1", to.Port(), k, 0, 5000)
	}
	return from, to
}

func TestMultiKeyCommandsOnAHalfMovedSlot(t *testing.T) {
	p, c := sharedProxy(t)
	const slot = 4245
	far := key(12000, "far")
	a, b, list, none, none2, twice := key(slot, "a"), key(slot, "b"), key(slot, "list"), key(slot, "none"), key(slot, "none2"), key(slot, "twice")
	conn := connect(t, p.Addr)
	must(t, conn, "MSET", a, "A", b, "B", far, "F", twice, "0")
	must(t, conn, "RPUSH", list, "x")
	halfMoved(t, c, slot, a, list)
	tests := []struct {
		args []any
		want any
	}{
		{cmd("MGET", a, b), []any{"A", "B"}},
		{cmd("MGET", b, a, b, a), []any{"B", "A", "B", "A"}},
		{cmd("MGET", none, none2), []any{nil, nil}},
		{cmd("MGET", none, b, a), []any{nil, "B", "A"}},
		{cmd("MGET", list, b), []any{nil, "B"}}, // MGET does not mind the type, GET does
		{cmd("MGET", b, far, a, none, far), []any{"B", "F", "A", nil, "F"}},
		{cmd("EXISTS", a, b, a, none), int64(3)},
		{cmd("EXISTS", none, none2), int64(0)},
		{cmd("TOUCH", b, far, a), int64(3)},
		{cmd("MSET", twice, "1", a, "A2", twice, "2", b, "B2", twice, "3"), "OK"},
		{cmd("MGET", twice, a, b), []any{"3", "A2", "B2"}},
		{cmd("MSET", none, "N", none2, "N2"), "OK"},
		{cmd("MGET", none2, none), []any{"N2", "N"}},
		{cmd("MSET", far, "F2", none, "N3", b, "B3", a, "A3"), "OK"},
		{cmd("MGET", a, b, none, far), []any{"A3", "B3", "N3", "F2"}},
		{cmd("DEL", none, none, b, key(slot, "never")), int64(2)},
		{cmd("EXISTS", none, b, a), int64(1)},
		{cmd("UNLINK", a, a, none2, far), int64(3)},
		{cmd("MGET", a, none2, far, twice), []any{nil, nil, nil, "3"}},
	}
	var running sync.WaitGroup
	for _, proto := range []int{2, 3} {
		for _, args := range [][]any{
			cmd("RENAME", twice, list), cmd("MSETNX", twice, 1, list, 2), cmd("SINTERSTORE", key(slot, "z"), twice, list),
			cmd("EVAL", bothScript, "2", twice, list, "x"), cmd("EVAL", bothScript, "2", key(slot, "e1"), key(slot, "e2"), "x"),
			cmd("LMOVE", list, twice, "LEFT", "RIGHT"), cmd("COPY", key(slot, "e1"), key(slot, "e2")),
		} {
			other := connect(t, p.Addr)
			must(t, other, "HELLO", proto)
			running.Go(func() {
				v, err := other.Do(args...)
				assert.ErrorContains(t, err, "TRYAGAIN ", "%q: %v", args, v)
			})
		}
	}
	running.Wait()
	for _, tt := range tests {
		v, err := conn.Do(tt.args...)
		assert.NoError(t, err, "%q", tt.args)
		assert.Equal(t, tt.want, v, "%q", tt.args)
	}
	require.NoError(t, c.FinishMigrate(slot))
	assert.Equal(t, []any{nil, nil, "3"}, must(t, conn, "MGET", a, b, twice))
	assert.Equal(t, []any{"x"}, must(t, conn, "LRANGE", list, 0, -1))
}

// The same commands in one pipeline: each sees what those before it did.
func TestPipelineOnAHalfMovedSlotTakesEffectInOrder(t *testing.T) {
	p, c := sharedProxy(t)
	const slot = 4246
	a, b, d := key(slot, "a"), key(slot, "b"), key(slot, "d")
	conn := connect(t, p.Addr)
	must(t, conn, "MSET", a, "0", b, "0")
	halfMoved(t, c, slot, a)
	require.NoError(t, conn.Send(
		cmd("MSET", a, 1, b, 1), cmd("SET", b, 2), cmd("MGET", a, b), cmd("SET", a, 3), cmd("MGET", b, a),
		cmd("DEL", a, b), cmd("APPEND", b, "x"), cmd("MSET", b, "y", d, "z"), cmd("GET", b), cmd("RENAME", b, d), cmd("SET", d, "last"),
		cmd("MGET", a, b, d), cmd("SET", b, "end"), cmd("EXISTS", a, b, d)))
	got := receive(t, conn, 14)
	_, refused := got[9].(testredis.Error)
	bs := any("y")
	if !refused {
		bs = nil
	}
	assert.Equal(t, []any{"OK", "OK", []any{"1", "2"}, "OK", []any{"2", "3"}, int64(2), int64(1), "OK", "y"}, got[:9])
	assert.Equal(t, []any{"OK", []any{nil, bs, "last"}, "OK", int64(2)}, got[10:])
	require.NoError(t, c.FinishMigrate(slot))
	assert.Equal(t, []any{nil, "end", "last"}, must(t, conn, "MGET", a, b, d))
}

// While nothing moves nothing is refused: this holds the model to the servers.
func TestEffectsOfPipelinesWhileNothingMoves(t *testing.T) {
	p, _ := sharedProxy(t)
	var actors []*actor
	for i := range 4 {
		actors = append(actors, newActor(t, p.Addr, fmt.Sprintf("session%d-", i), 4247, uint64(200+i), i%2 == 1))
	}
	on := perform(t, actors...)
	on.goesOn(t, 100)
	on.finish(t, p.Addr)
	for _, a := range actors {
		assert.Zero(t, a.refused)
	}
}

// A slot is opened and closed again at once. A command that was told to try again must
// not be overtaken by one with the same keys that comes when the slot is closed.
func TestCancelledMigrationKeepsTheOrderOfMultiKeyCommands(t *testing.T) {
	p, c := sharedProxy(t)
	const slot = 4249
	from := c.Master(slot)
	to := c.Nodes()[2]
	there, never := key(slot, "there"), key(slot, "never")
	conn := connect(t, p.Addr)
	must(t, conn, "SET", there, "")
	done := make(chan struct{})
	toggled := make(chan error, 1)
	go func() {
		defer close(toggled)
		for {
			select {
			case <-done:
				return
			default:
			}
			for _, args := range [][]any{cmd("CLUSTER", "SETSLOT", slot, "MIGRATING", to.ID()), cmd("PING"), cmd("CLUSTER", "SETSLOT", slot, "STABLE"), cmd("PING")} {
				if _, err := from.Do(args...); err != nil {
					toggled <- err
					return
				}
			}
		}
	}()
	const append1 = "redis.call('APPEND', KEYS[1], ARGV[1]); return ARGV[1]"
	want := ""
	refused := 0
	for round := range 3 {
		var cmds [][]any
		for i := range 200 {
			cmds = append(cmds, cmd("EVAL", append1, 2, there, never, fmt.Sprintf("%d.%d ", round, i)))
		}
		require.NoError(t, conn.Send(cmds...))
		for _, v := range receive(t, conn, len(cmds)) {
			if e, ok := v.(testredis.Error); ok {
				require.Contains(t, string(e), "TRYAGAIN ")
				refused++
				continue
			}
			want += v.(string)
		}
	}
	close(done)
	require.NoError(t, <-toggled)
	from.MustDo(t, "CLUSTER", "SETSLOT", slot, "STABLE")
	t.Log(refused, "TRYAGAIN")
	got := must(t, conn, "GET", there).(string)
	if want != got {
		i := 0
		for i < len(got) && got[i] == want[i] {
			i++
		}
		assert.Fail(t, "appended in another order", "after %d bytes: %.60q, not %.60q", i, got[i:], want[i:])
	}
}
