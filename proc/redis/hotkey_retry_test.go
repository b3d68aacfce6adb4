package redis

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api/redis"
)

func TestRedirectedRequestsAreCountedOnceAtTheNodeTheyWereSentTo(t *testing.T) {
	for _, tt := range []struct {
		line string
		keys []string
	}{
		{"GET {t}a", []string{"{t}a"}},
		{"MGET {t}a {t}b", []string{"{t}a", "{t}b"}},
		{"SET {t}a 1", []string{"{t}a"}},
		{"MSET {t}a 1 {u}b 2", []string{"{t}a", "{u}b"}},
	} {
		for _, kind := range []string{"MOVED", "ASK"} {
			t.Run(kind+" "+tt.line, func(t *testing.T) {
				var bounced atomic.Int32
				nodes := startWires(t, 2, 1, func(nodes []*wireNode, c *wireConn, args []string) {
					switch {
					case c.at == 0:
						bounced.Add(1)
						c.say(redirectTo(kind, args, nodes[1]))
					case args[0] == "MGET":
						c.say("*2\r\n$1\r\na\r\n$1\r\nb\r\n")
					default:
						c.say("+OK\r\n")
					}
				})
				p := startProxy(t, proxyOptions{}, nodes[0].Addr).ready(t).still(t)
				must(t, connect(t, p.Addr), argsOf(tt.line)...)
				require.Positive(t, bounced.Load())
				got := p.counted()
				assert.Len(t, got, len(tt.keys))
				for _, name := range tt.keys {
					assert.EqualValues(t, 1, got[name].Count, name)
					assert.Equal(t, nodes[0].Addr, got[name].Node)
				}
			})
		}
	}
}

func TestRequestsTriedAgainAreCountedOnce(t *testing.T) {
	for _, line := range []string{"MGET {t}a {t}b", "MSET {t}a 1 {t}b 2", "DEL {t}a {t}b", "RENAME {t}a {t}b"} {
		for _, times := range []int{2, -1} {
			t.Run(fmt.Sprint(line, times), func(t *testing.T) {
				s := newShelf(times)
				s.data["{t}a"] = "A"
				nodes := startWires(t, 1, 1, s.script)
				p := startProxy(t, proxyOptions{}, nodes[0].Addr).ready(t).still(t)
				_, _ = connect(t, p.Addr).Do(argsOf(line)...) // RENAME may fail
				require.Greater(t, len(s.all()), 1)
				assert.Equal(t, map[string]int{"{t}a": 1, "{t}b": 1}, p.hits())
			})
		}
	}
}

func TestReadsAskedAgainAfterALostConnectionAreCountedOnce(t *testing.T) {
	var broken atomic.Bool
	n := startStub(t)
	n.does(func(c *stubConn, args []string) bool {
		if args[0] == "GET" && !broken.Swap(true) {
			c.Close()
			return true
		}
		return false
	})
	p := startProxy(t, proxyOptions{}, n.Addr).ready(t).still(t)
	assert.Equal(t, "k", must(t, connect(t, p.Addr), "GET", "k"))
	require.Equal(t, 2, n.count("GET"))
	assert.Equal(t, map[string]int{"k": 1}, p.hits())
}

func TestRequestsRefusedBecauseANodeRestsAreNotCounted(t *testing.T) {
	n := startStub(t)
	p := startProxy(t, proxyOptions{}, n.Addr).ready(t).still(t)
	conn := connect(t, p.Addr)
	must(t, conn, "GET", "k")
	n.leave()
	eventually(t, func() bool {
		_, err := conn.Do("GET", "trying")
		return err != nil && strings.Contains(err.Error(), "not reachable")
	}, "the node rests")
	p.resetHotKeys()
	for _, line := range []string{"GET k", "MGET a b", "SET k 1", "MGET {a}1 {a}2"} {
		assert.Contains(t, errorOf(t, conn, argsOf(line)...), "not reachable")
	}
	assert.Empty(t, p.hits())
}

// A node that does not answer shows which keys it is asked for.
func TestRequestsWithoutAReplyAreCounted(t *testing.T) {
	n := startStub(t)
	n.does(func(_ *stubConn, args []string) bool { return args[0] == "GET" })
	p := startProxy(t, proxyOptions{}, n.Addr).ready(t).still(t)
	conn := connect(t, p.Addr)
	require.NoError(t, conn.Send(cmd("GET", "k"), cmd("GET", "k")))
	eventually(t, func() bool { return n.count("GET") == 2 }, "sent")
	k := p.counted()["k"]
	assert.EqualValues(t, 2, k.Count)
	assert.Zero(t, k.BytesOut)
}

// The bytes of a reply that comes when the interval of its request is over are the key's
// all the same.
func TestBytesOfRepliesThatComeInTheNextIntervalAreCounted(t *testing.T) {
	n := startStub(t)
	hold := n.holds("GET")
	p := startProxy(t, proxyOptions{}, n.Addr).ready(t).still(t)
	conn := connect(t, p.Addr)
	require.NoError(t, conn.Send(cmd("GET", "k")))
	eventually(t, func() bool { return n.count("GET") > 0 }, "sent")
	p.mergeOnce()
	require.EqualValues(t, 0, p.hotKeys().Keys[0].BytesOut)
	close(hold)
	receive(t, conn, 1)
	p.mergeOnce()
	require.Len(t, p.hotKeys().Keys, 1)
	assert.EqualValues(t, 1, p.hotKeys().Keys[0].Count)
	assert.EqualValues(t, len("$1\r\nk\r\n"), p.hotKeys().Keys[0].BytesOut)
}

// Late replies to requests that have timed out find nothing that they could harm.
func TestLargeLateRepliesDoNoHarm(t *testing.T) {
	release := make(chan struct{})
	n := startStub(t)
	n.does(func(c *stubConn, args []string) bool {
		if args[0] != "GET" || args[1] != "late" {
			return false
		}
		n.running.Go(func() {
			select {
			case <-release:
			case <-n.ended:
			}
			c.say(bulk(strings.Repeat("v", 100_000)))
		})
		return true
	})
	p := startProxy(t, proxyOptions{requestTimeout: shortLimit}, n.Addr).ready(t)
	conn := connect(t, p.Addr)
	assert.Contains(t, errorOf(t, conn, "GET", "late"), "timed out")
	close(release)
	eventually(t, func() bool {
		_, err := conn.Do("GET", "k")
		return err == nil
	}, "it serves")
	got := p.hits()
	assert.Equal(t, 1, got["late"])
	assert.Positive(t, got["k"])
}

func TestReadsFromReplicasAreCountedThere(t *testing.T) {
	master, replica := startStub(t), startStub(t)
	for _, n := range []*stub{master, replica} {
		n.setSlots(slotsWithReplicas(master, replica))
	}
	p := startProxy(t, proxyOptions{read: redis.ReadStrategy_BOTH}, master.Addr).ready(t).still(t)
	conn := connect(t, p.Addr)
	for range 100 {
		must(t, conn, "GET", "k")
	}
	for range 20 {
		must(t, conn, "SET", "k", 1)
	}
	require.Equal(t, 50, replica.count("GET"))
	k := p.counted()["k"]
	assert.EqualValues(t, 120, k.Count)
	assert.Equal(t, master.Addr, k.Node, "70 of them")
	assert.EqualValues(t, 100, k.Reads)
	assert.EqualValues(t, 20, k.Writes)
}
