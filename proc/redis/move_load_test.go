package redis

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// traveller is a client that works, and checks every reply, while it is moved about.
type traveller struct {
	name   string
	number int
	c      *testredis.Conn
	rng    *rand.Rand
	count  int64 // what its counter stands at
	worst  time.Duration
	rounds int
}

// ask sends a pipeline and expects these replies.
func (v *traveller) ask(cmds [][]any, want []any) error {
	began := time.Now()
	if err := v.c.Send(cmds...); err != nil {
		return fmt.Errorf("%s: send: %w", v.name, err)
	}
	for i := range cmds {
		got, err := v.c.Receive()
		if err != nil {
			return fmt.Errorf("%s: reply %d of %d, to %.100v: %w", v.name, i, len(cmds), cmds[i], err)
		}
		if !assert.ObjectsAreEqual(want[i], got) {
			return fmt.Errorf("%s: reply %d of %d, to %.100v: got %.200v, want %.200v", v.name, i, len(cmds), cmds[i], got, want[i])
		}
	}
	v.worst = max(v.worst, time.Since(began))
	return nil
}

func (v *traveller) key(name string) string { return fmt.Sprintf("%s:%d:%s", v.name, v.number, name) }

// incr is n commands of a ledger: each value comes once, in order.
func (v *traveller) incr(n int) (cmds [][]any, want []any) {
	for range n {
		v.count++
		cmds = append(cmds, cmd("INCR", v.key("n")))
		want = append(want, v.count)
	}
	return cmds, want
}

// The works of travellers, by name.
var travelWorks = map[string]func(*traveller) error{
	"single": func(v *traveller) error { return v.ask(v.incr(1)) },
	"pipeline": func(v *traveller) error {
		return v.ask(v.incr(1 + v.rng.IntN(200)))
	},
	"split": func(v *traveller) error {
		set, get, want := cmd("MSET"), cmd("MGET"), []any{}
		for i := range 20 {
			k, value := v.key(fmt.Sprint(i)), fmt.Sprint(v.rounds, ":", i)
			set, get, want = append(set, k, value), append(get, k), append(want, value)
		}
		cmds, replies := v.incr(3)
		return v.ask(append(cmds, set, get, cmd("CLIENT", "GETNAME")), append(replies, "OK", want, v.name))
	},
	"large": func(v *traveller) error {
		value := strings.Repeat(string(rune('a'+v.rounds%26)), 100_000+v.rng.IntN(400_000))
		return v.ask([][]any{cmd("SET", v.key("v"), value), cmd("GET", v.key("v")), cmd("SET", v.key("v"), "")}, []any{"OK", value, "OK"})
	},
	"resp3": func(v *traveller) error {
		cmds, want := v.incr(5)
		cmds = append(cmds, cmd("HSET", v.key("h"), "f", v.rounds), cmd("HGETALL", v.key("h")), cmd("HDEL", v.key("h"), "f"))
		want = append(want, int64(1), []any{"f", fmt.Sprint(v.rounds)}, int64(1))
		return v.ask(cmds, want)
	},
	"muted": func(v *traveller) error {
		v.count += 2
		cmds := [][]any{cmd("CLIENT", "REPLY", "SKIP"), cmd("INCR", v.key("n")), cmd("CLIENT", "REPLY", "OFF"), cmd("INCR", v.key("n")), cmd("CLIENT", "REPLY", "ON")}
		return v.silent(cmds, "OK")
	},
}

// silent sends commands one by one, so that the client moves between them, of which only
// the last one is answered.
func (v *traveller) silent(cmds [][]any, want any) error {
	for _, c := range cmds {
		if err := v.c.Send(c); err != nil {
			return fmt.Errorf("%s: send: %w", v.name, err)
		}
	}
	if got, err := v.c.Receive(); err != nil || got != want {
		return fmt.Errorf("%s: got %v, %w", v.name, got, err)
	}
	return nil
}

// dribble sends INCRs byte by byte, and checks the replies.
func dribble(t testing.TB, addr string, stop *atomic.Bool) error {
	c := dialWire(t, addr)
	for n := 1; !stop.Load(); n++ {
		for _, b := range []byte(commands("INCR dribble")) {
			if _, err := c.Write([]byte{b}); err != nil {
				return fmt.Errorf("dribble: %w", err)
			}
		}
		want := fmt.Sprintf(":%d\r\n", n)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, []byte(want)) {
			return fmt.Errorf("dribble: got %q, want %q: %w", got, want, err)
		}
	}
	return nil
}

// TestClientsAtWorkMoveBackAndForth has clients of every kind work while they are moved
// between two proxies again and again: no reply is lost, doubled, wrong or out of order,
// and no connection breaks.
func TestClientsAtWorkMoveBackAndForth(t *testing.T) {
	for _, loops := range []int{1, 2} {
		t.Run(fmt.Sprint(loops, " loops"), func(t *testing.T) { travel(t, loops, 30) })
	}
}

func travel(t *testing.T, loops, moves int) {
	a, b := startTwins(t, proxyOptions{loops: loops})
	var stop atomic.Bool
	var wg sync.WaitGroup
	var all []*traveller
	failed := make(chan error, 1000)
	for name, work := range travelWorks {
		for i := range 5 {
			v := &traveller{name: name, number: i, c: connect(t, a.Addr), rng: rand.New(rand.NewPCG(uint64(i), 1))}
			all = append(all, v)
			must(t, v.c, "CLIENT", "SETNAME", name)
			if name == "resp3" {
				must(t, v.c, "HELLO", 3)
			}
			wg.Go(func() {
				for ; !stop.Load(); v.rounds++ {
					if err := work(v); err != nil {
						failed <- err
						return
					}
				}
			})
		}
	}
	wg.Go(func() {
		if err := dribble(t, a.Addr, &stop); err != nil {
			failed <- err
		}
	})
	// Those who come while others move find somebody who accepts.
	var now atomic.Pointer[testProxy]
	now.Store(a)
	wg.Go(func() {
		for !stop.Load() {
			c, err := testredis.Dial(now.Load().Addr)
			if err == nil {
				_, err = c.Do("PING")
				c.Close()
			}
			if err != nil {
				failed <- fmt.Errorf("newcomer: %w", err)
				return
			}
		}
	})

	var worst time.Duration
	for range moves {
		now.Store(b)
		worst = max(worst, moveAll(t, a, b))
		a, b = b, a
		require.Empty(t, failed)
		before := a.counter("redis.total")
		eventually(t, func() bool { return a.counter("redis.total") > before+500 || len(failed) > 0 }, "the load goes on")
	}
	stop.Store(true)
	wg.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	t.Logf("the longest of %d moves of %d clients took %v", moves, len(all)+1, worst)
	for _, v := range all {
		t.Logf("%s %d: %d rounds, the longest took %v", v.name, v.number, v.rounds, v.worst)
		if v.count > 0 {
			assert.Equal(t, fmt.Sprint(v.count), must(t, v.c, "GET", v.key("n")), v.name)
		}
	}
	assert.Zero(t, a.counter("downstream.cx_protocol_error")+b.counter("downstream.cx_protocol_error"))
}

// TestMovesDelayNobodyForLong prints how long clients wait for their replies while they
// and many idle ones are moved, and while nobody is.
func TestMovesDelayNobodyForLong(t *testing.T) {
	a, b := startTwins(t, proxyOptions{})
	conns := idle(t, a.Addr, min(1000, (descriptorLimit(t)-openDescriptors(t)-300)/2))
	const busy = 50
	var stop, moved atomic.Bool
	var wg sync.WaitGroup
	failed := make(chan error, busy)
	var worst [2]atomic.Int64 // while nobody moves, and else
	for i := range busy {
		v := &traveller{name: "busy", number: i, c: connect(t, a.Addr)}
		wg.Go(func() {
			pace := time.NewTicker(2 * time.Millisecond)
			defer pace.Stop()
			for !stop.Load() {
				<-pace.C
				which := &worst[0]
				if moved.Load() {
					which = &worst[1]
				}
				v.worst = 0
				if err := v.ask(v.incr(4)); err != nil {
					failed <- err
					return
				}
				for old := which.Load(); int64(v.worst) > old && !which.CompareAndSwap(old, int64(v.worst)); old = which.Load() {
				}
			}
		})
	}
	goOn := func() {
		before := a.counter("redis.total")
		eventually(t, func() bool { return a.counter("redis.total") > before+10*busy || len(failed) > 0 }, "the load goes on")
	}
	for range 10 {
		goOn()
	}
	moved.Store(true)
	var longest time.Duration
	for range 10 {
		longest = max(longest, moveAll(t, a, b))
		a, b = b, a
		goOn()
	}
	stop.Store(true)
	wg.Wait()
	require.Empty(t, failed)
	t.Logf("the longest of 10 moves of %d clients took %v; the slowest reply took %v, without moves %v",
		len(conns)+busy, longest, time.Duration(worst[1].Load()), time.Duration(worst[0].Load()))
}
