package redis

import (
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// scanWalk is a SCAN loop over several connections in turn that tries again when a node
// is away.
type scanWalk struct {
	conns  []*testredis.Conn
	turn   int
	cursor uint64
	seen   map[string]bool
	pages  int
	errors int
}

func startWalk(conns ...*testredis.Conn) *scanWalk {
	return &scanWalk{conns: conns, seen: make(map[string]bool)}
}

// page takes up one page, and is false at the end of the loop.
func (w *scanWalk) page(t *testing.T, options ...any) bool {
	t.Helper()
	args := append([]any{"SCAN", strconv.FormatUint(w.cursor, 10)}, options...)
	var reply []any
	for began := time.Now(); reply == nil; {
		conn := w.conns[w.turn%len(w.conns)]
		w.turn++
		v, err := conn.Do(args...)
		if e := testredis.Error(""); errors.As(err, &e) {
			w.errors++
			require.Less(t, time.Since(began), patience, "the walk does not go on: %v", err)
			continue
		}
		require.NoError(t, err)
		reply = v.([]any)
	}
	for _, k := range reply[1].([]any) {
		w.seen[k.(string)] = true
	}
	var err error
	w.cursor, err = strconv.ParseUint(reply[0].(string), 10, 63)
	require.NoError(t, err, "a cursor has to stay below 2^63")
	w.pages++
	require.Less(t, w.pages, 20_000, "the loop does not end")
	return w.cursor != 0
}

// steps takes up n pages at most.
func (w *scanWalk) steps(t *testing.T, n int, options ...any) bool {
	t.Helper()
	for range n {
		if !w.page(t, options...) {
			return false
		}
	}
	return true
}

// rest walks to the end and returns all keys of the loop, sorted.
func (w *scanWalk) rest(t *testing.T, options ...any) []string {
	t.Helper()
	for w.page(t, options...) {
	}
	return w.keys()
}

func (w *scanWalk) keys() []string {
	var all []string
	for k := range w.seen {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

func (w *scanWalk) importing() bool { return w.cursor&scanImportBit != 0 }

// durable makes servers keep all that they have acknowledged, also when they are killed.
var durable = []string{"--appendonly", "yes", "--appendfsync", "always"}

// restart kills a node and starts it again at the same address.
func restart(t *testing.T, n *testredis.Node) {
	t.Helper()
	n.Kill()
	require.NoError(t, n.Restart())
}

// A process scans in a random order of its own, so the cursor of the one before must not
// be used on.
func TestScanReturnsEveryKeyAlthoughNodesAreRestarted(t *testing.T) {
	tests := map[string]struct{ masters, loops, proxies, proto int }{
		"one master":             {1, 1, 1, 2},
		"three masters, RESP3":   {3, 1, 1, 3},
		"two proxies of 2 loops": {2, 2, 2, 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := testredis.StartCluster(t, testredis.Options{Masters: tt.masters, NodeTimeout: 15 * time.Second, Args: durable})
			var conns []*testredis.Conn
			for range tt.proxies {
				p := startProxy(t, proxyOptions{loops: tt.loops}, c.Addrs()...).ready(t)
				for range tt.loops {
					conns = append(conns, connect(t, p.Addr))
				}
			}
			all := fill(t, conns[0], "key:", 3000)
			for _, conn := range conns {
				must(t, conn, "HELLO", tt.proto)
			}
			for round := range 3 {
				w := startWalk(conns...)
				for i, n := range c.Masters() {
					require.True(t, w.steps(t, 20+10*i+15*round, "COUNT", 10), "not over yet")
					restart(t, n)
				}
				sameKeys(t, all, w.rest(t, "COUNT", 10), "round", round)
			}
		})
	}
}

// The cursor of a walk that lost its connection, but not its node, is still good.
func TestScanGoesOnOverANewConnection(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{Masters: 1})
	p := startProxy(t, proxyOptions{}, c.Addrs()...).ready(t)
	conn := connect(t, p.Addr)
	all := fill(t, conn, "key:", 1000)
	w := startWalk(conn)
	for w.page(t, "COUNT", 10) {
		c.Nodes()[0].MustDo(t, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	}
	sameKeys(t, all, w.keys())
	require.Less(t, w.pages, 300, "it does not begin anew")
}
