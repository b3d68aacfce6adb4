package redis

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// RESP2 and RESP3 go over different connections to a node: a command of the new
// version must not overtake one of the old.
func TestProtocolSwitchKeepsOrder(t *testing.T) {
	p, _ := sharedProxy(t)
	c := connect(t, p.Addr)
	const rounds = 100
	for i := range rounds {
		require.NoError(t, c.Send(
			cmd("GET", "warm"), cmd("SET", "k", fmt.Sprint("a", i)), cmd("HELLO", 3), cmd("GET", "k"), cmd("SET", "k", fmt.Sprint("b", i)),
			cmd("RESET"), cmd("GET", "k"), cmd("APPEND", "k", "x"), cmd("HELLO", 3), cmd("APPEND", "k", "y"), cmd("HELLO", 2), cmd("GET", "k"),
		))
		got := receive(t, c, 12)
		assert.Equal(t, fmt.Sprint("a", i), got[3])
		assert.Equal(t, []any{"OK", "RESET", fmt.Sprint("b", i)}, got[4:7])
		assert.Equal(t, fmt.Sprintf("b%dxy", i), got[11])
	}
}

// ledger is one client that pipelines on keys of its own in a slot that moves.
type ledger struct {
	set, text, count, list string
	sent                   int
}

// batch is n rounds of commands whose replies tell in what order they came.
func (l *ledger) batch(n int) (cmds [][]any, want []any) {
	for range n {
		l.sent++
		cmds = append(cmds,
			cmd("SET", l.set, l.sent), cmd("APPEND", l.text, fmt.Sprintf("%06d", l.sent)), cmd("INCR", l.count),
			cmd("RPUSH", l.list, l.sent), cmd("GET", l.set))
		want = append(want, "OK", int64(6*l.sent), int64(l.sent), int64(l.sent), fmt.Sprint(l.sent))
	}
	return cmds, want
}

func (l *ledger) check(t *testing.T, c *testredis.Conn) {
	t.Helper()
	var text strings.Builder
	list := []any{}
	for i := 1; i <= l.sent; i++ {
		fmt.Fprintf(&text, "%06d", i)
		list = append(list, fmt.Sprint(i))
	}
	assert.Equal(t, fmt.Sprint(l.sent), must(t, c, "GET", l.set))
	assert.Equal(t, text.String(), must(t, c, "GET", l.text), "every append once and in order")
	assert.Equal(t, fmt.Sprint(l.sent), must(t, c, "GET", l.count))
	assert.Equal(t, list, must(t, c, "LRANGE", l.list, 0, -1), "every push once and in order")
}

func TestPipelinesKeepTheirOrderWhileTheSlotMovesBackAndForth(t *testing.T) {
	p, c := sharedProxy(t)
	const slot, sessions = 4242, 4
	done := make(chan struct{})
	var running sync.WaitGroup
	ledgers := make([]*ledger, sessions)
	for i := range ledgers {
		l := &ledger{set: key(slot, fmt.Sprint("s", i)), text: key(slot, fmt.Sprint("t", i)), count: key(slot, fmt.Sprint("c", i)), list: key(slot, fmt.Sprint("l", i))}
		ledgers[i] = l
		conn := connect(t, p.Addr)
		running.Go(func() {
			for more := true; more; {
				select {
				case <-done:
					more = false
				default:
				}
				cmds, want := l.batch(20)
				if !assert.NoError(t, conn.Send(cmds...)) {
					return
				}
				for j := range want {
					v, err := conn.Receive()
					if !assert.NoError(t, err, "%v", cmds[j]) || !assert.Equal(t, want[j], v, "%v", cmds[j]) {
						return
					}
				}
			}
		})
	}
	nodes := c.Nodes()
	for i := range 9 {
		if !assert.NoError(t, c.MigrateSlot(slot, nodes[(i+1)%3])) {
			break
		}
	}
	close(done)
	running.Wait()
	conn := connect(t, p.Addr)
	for _, l := range ledgers {
		l.check(t, conn)
		t.Log("rounds", l.sent)
	}
	moved, ask, _, _, _ := p.upstream(t)
	assert.NotZero(t, moved)
	assert.NotZero(t, ask)
}

func TestAskIsFollowedInTheMiddleOfAMigration(t *testing.T) {
	p, c := sharedProxy(t)
	const slot = 777
	from, to := c.Master(slot), c.Nodes()[2]
	conn := connect(t, p.Addr)
	old, moves, fresh := key(slot, "old"), key(slot, "moves"), key(slot, "fresh")
	must(t, conn, "SET", old, "1")
	must(t, conn, "SET", moves, "1")
	require.NoError(t, c.BeginMigrate(slot, to))
	from.MustDo(t, "MIGRATE", "127.0.0.1", to.Port(), moves, 0, 5000)

	assert.Equal(t, "1", must(t, conn, "GET", old), "present: the old owner answers")
	assert.Equal(t, "1", must(t, conn, "GET", moves), "gone over: by ASK")
	assert.Nil(t, must(t, conn, "GET", fresh), "absent: by ASK")
	assert.Equal(t, int64(2), must(t, conn, "INCR", moves))
	assert.Equal(t, "OK", must(t, conn, "SET", fresh, "f"))
	require.NoError(t, conn.Send(cmd("GET", fresh), cmd("GET", old), cmd("PING"), cmd("SET", "elsewhere", 1), cmd("GET", moves)))
	assert.Equal(t, []any{"f", "1", "PONG", "OK", "2"}, receive(t, conn, 5))

	moved, ask, _, _, _ := p.upstream(t)
	assert.Zero(t, moved)
	assert.GreaterOrEqual(t, ask, uint64(6))
	require.NoError(t, c.FinishMigrate(slot))
	assert.Equal(t, []any{"1", "2", "f"}, must(t, conn, "MGET", old, moves, fresh))
	require.NoError(t, c.MigrateSlot(slot, from))
}

func TestTryAgainIsTriedUntilTheKeysAreTogether(t *testing.T) {
	p, c := sharedProxy(t)
	const slot = 778
	from, to := c.Master(slot), c.Nodes()[2]
	conn := connect(t, p.Addr)
	a, b := key(slot, "a"), key(slot, "b")
	for range 5 {
		must(t, conn, "MSET", a, "1", b, "2")
		require.NoError(t, c.BeginMigrate(slot, to))
		from.MustDo(t, "MIGRATE", "127.0.0.1", to.Port(), a, 0, 5000)
		before := infoField(t, from, "errorstats", "errorstat_TRYAGAIN")
		require.NoError(t, conn.Send(cmd("MGET", a, b), cmd("PING"), cmd("GET", b)))
		eventually(t, func() bool { return infoField(t, from, "errorstats", "errorstat_TRYAGAIN") != before }, "asked in the middle")
		_, err := c.MigrateKeys(slot, 10)
		require.NoError(t, err)
		assert.Equal(t, []any{[]any{"1", "2"}, "PONG", "2"}, receive(t, conn, 3))
		require.NoError(t, c.FinishMigrate(slot))
		require.NoError(t, c.MigrateSlot(slot, from))
	}
}

func TestKeysThatStayApartAreDoneOneByOneWhereThatIsPossible(t *testing.T) {
	p, c := sharedProxy(t)
	const slot = 779
	from, to := c.Master(slot), c.Nodes()[2]
	conn := connect(t, p.Addr)
	a, b := key(slot, "a"), key(slot, "b")
	must(t, conn, "MSET", a, "1", b, "2")
	require.NoError(t, c.BeginMigrate(slot, to))
	from.MustDo(t, "MIGRATE", "127.0.0.1", to.Port(), a, 0, 5000)
	assert.Contains(t, errorOf(t, conn, "RENAME", a, b), "TRYAGAIN ", "this cannot be cut")
	assert.Equal(t, []any{"1", "2"}, must(t, conn, "MGET", a, b))
	assert.Equal(t, []any{"2", nil, "1"}, must(t, conn, "MGET", b, "elsewhere", a), "as a part of a command over several slots")
	assert.Equal(t, "1", must(t, conn, "GET", a))
	require.NoError(t, c.FinishMigrate(slot))
	assert.Equal(t, []any{"1", "2"}, must(t, conn, "MGET", a, b))
	require.NoError(t, c.MigrateSlot(slot, from))
}
