package redis

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// A node that says TRYAGAIN to one key alone makes no sense, but nobody may wait for it
// for ever.
func TestTryAgainForOneKeyAloneIsTheReply(t *testing.T) {
	t.Parallel()
	n := startStub(t)
	n.does(func(c *stubConn, args []string) bool {
		return (args[0] == "MGET" || args[0] == "DEL") && c.say(tryAgainReply)
	})
	p := startProxy(t, proxyOptions{}, n.Addr).ready(t)
	conn := connect(t, p.Addr)
	require.NoError(t, conn.Send(cmd("MGET", "{t}a", "{t}b"), cmd("DEL", "{t}c"), cmd("GET", "{t}d")))
	for range 2 {
		got := receiveWithin(t, conn, overdue)
		assert.Contains(t, fmt.Sprint(got), "TRYAGAIN ")
		assert.IsType(t, testredis.Error(""), got)
	}
	assert.Equal(t, "{t}d", receiveWithin(t, conn, overdue))
}

// Comparing every key of one command with every key of another would hold up the loop
// for minutes, so large sets count as overlapping: that costs one round trip.
func TestLargeKeySetsAreNotComparedKeyByKey(t *testing.T) {
	var a, b keySet
	for i := range 1 << 20 {
		a.add([]byte(fmt.Sprint("a", i)))
		b.add([]byte(fmt.Sprint("b", i)))
	}
	a.write = true
	start := time.Now()
	assert.True(t, a.conflicts(&b))
	assert.Less(t, time.Since(start), time.Second)

	var c keySet
	c.add([]byte("c"))
	assert.False(t, a.conflicts(&c) && !contains(&a, &c), "one key is looked for also among many")
}

func contains(k, one *keySet) bool {
	for _, h := range k.hashes {
		if h == one.hashes[0] {
			return true
		}
	}
	return false
}

// What a session needed while a slot moved is not kept by each of ten thousand.
func TestOrderKeepsNoMemory(t *testing.T) {
	p, _ := sharedProxy(t)
	must(t, connect(t, p.Addr), "PING")
	require.Len(t, p.allWorkers(), 1)
	p.onWorkers(func(w *worker) {
		s := &session{w: w}
		for range 600 {
			r := w.newRequest(s, pingInfo, kindPlain)
			s.away = append(s.away, away{r: r})
		}
		for len(s.away) > 0 {
			s.back(s.away[0].r)
		}
		assert.Nil(t, s.away)

		for range 2 * maxSpareWholes {
			w.handBack(make([]whole, 1, 8))
		}
		assert.Len(t, w.wholes, maxSpareWholes)
		large := make([]whole, 1)
		large[0].keys.hashes = make([]uint32, 0, 1<<20)
		w.wholes = nil
		w.handBack(large)
		assert.Empty(t, w.wholes)
	})
}
