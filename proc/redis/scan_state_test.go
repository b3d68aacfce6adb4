package redis

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

const (
	idA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	idB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	idC = "cccccccccccccccccccccccccccccccccccccccc"
)

// nodesReply is CLUSTER NODES as node A writes it, with some slots of its own.
func nodesReply(own string) []byte {
	text := idA + " 10.0.0.1:1@2 myself,master - 0 0 3 connected " + own + "\n" +
		idB + " 10.0.0.2:1@2 master - 0 0 7 connected 9000-9999\n" +
		idC + " 10.0.0.3:1@2 slave " + idA + " 0 0 3 connected\n"
	return fmt.Appendf(nil, "$%d\r\n%s\r\n", len(text), text)
}

func TestScanReadsWhatANodeTells(t *testing.T) {
	tests := map[string]struct {
		own       string
		slot      uint16 // the lowest one of 10-19 that migrates
		to        string
		importing bool // slot 30
		owns      bool // slot 15
	}{
		"calm":                         {own: "0-100", owns: true},
		"owns nothing":                 {own: ""},
		"another range":                {own: "0-14 16-100"},
		"migrating":                    {own: "0-100 [12->-" + idB + "]", slot: 12, to: "10.0.0.2:1", owns: true},
		"the lowest of several":        {own: "0-100 [19->-" + idB + "] [10->-" + idC + "] [11->-" + idB + "]", slot: 10, to: "10.0.0.3:1", owns: true},
		"outside of the range":         {own: "0-100 [9->-" + idB + "] [20->-" + idB + "]", owns: true},
		"to a node that is not listed": {own: "0-100 [12->-dddddddddddddddddddddddddddddddddddddddd]", owns: true},
		"importing":                    {own: "0-29 [30-<-" + idB + "]", importing: true, owns: true},
		"importing another one":        {own: "0-29 [300-<-" + idB + "] [3-<-" + idB + "]", owns: true},
		"nonsense":                     {own: "0-29 [-<-] [->-] [x->-" + idB + "] [99999999999999999999->-" + idB + "] [30] []", owns: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			n := parseScanNodes(nodesReply(tt.own), "10.0.0.1:1")
			require.True(t, n.told())
			slot, to := n.firstMigrating(10, 20)
			assert.Equal(t, tt.slot, slot)
			assert.Equal(t, tt.to, to)
			assert.Equal(t, tt.importing, n.imports(30))
			assert.Equal(t, tt.owns, n.owns(15))
			var st scanState
			st.learn(n)
			assert.EqualValues(t, 3, st.epoch)
			assert.EqualValues(t, 7, st.newest)
		})
	}
	for _, reply := range []string{"-ERR unknown command\r\n", "$0\r\n\r\n", "+OK\r\n", "$-1\r\n", "*0\r\n", "$5\r\nhello\r\n", string(nodesReply("")[200:])} {
		assert.False(t, parseScanNodes([]byte(reply), "10.0.0.1:1").told(), "%q", reply)
	}
}

func TestTagOfACursorDependsOnAllThatItsUseDependsOn(t *testing.T) {
	owner := scanPosition{first: 0, last: 100}
	importing := scanPosition{first: 100, last: 100, importing: true}
	base := scanState{run: 1, epoch: 2, newest: 3}
	seen := map[uint16]string{}
	for name, tag := range map[string]uint16{
		"base":                    base.tag(owner),
		"another process":         (&scanState{run: 9, epoch: 2, newest: 3}).tag(owner),
		"slots taken over":        (&scanState{run: 1, epoch: 9, newest: 3}).tag(owner),
		"another range":           base.tag(scanPosition{first: 0, last: 99}),
		"importing":               base.tag(importing),
		"slots taken over by any": (&scanState{run: 1, epoch: 2, newest: 9}).tag(importing),
	} {
		assert.Empty(t, seen[tag], name)
		seen[tag] = name
	}
	assert.Equal(t, base.tag(owner), (&scanState{run: 1, epoch: 2, newest: 9}).tag(owner), "what others take over does not matter")
	for run := range uint64(100_000) {
		tag := (&scanState{run: run}).tag(owner)
		require.Greater(t, tag, uint16(1), "0 and 1 are of the beginnings")
		require.Less(t, tag, uint16(1<<scanTagBits))
	}
}

// startSecretive starts a node that answers SCAN in two pages and tells nothing about
// itself; INFO is answered by info.
func startSecretive(t *testing.T, info func() (string, bool)) *scriptedNode {
	t.Helper()
	return startScripted(t, func(n *scriptedNode, args []string) (string, bool) {
		switch strings.ToUpper(strings.Join(args[:min(2, len(args))], " ")) {
		case "INFO SERVER":
			return info()
		case "CLUSTER NODES":
			return "-NOPERM this user has no permissions to run the 'cluster|nodes' command\r\n", true
		case "SCAN 0":
			return "*2\r\n$2\r\n77\r\n*1\r\n$1\r\na\r\n", true
		case "SCAN 77":
			return "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nb\r\n", true
		case "HELLO 3":
			return "%0\r\n", true
		case "PING":
			return "+PONG\r\n", true
		}
		return "", true
	})
}

func TestScanOfANodeThatRefusesToTell(t *testing.T) {
	var asked atomic.Int64
	n := startSecretive(t, func() (string, bool) {
		asked.Add(1)
		return "-NOPERM this user has no permissions to run the 'info' command\r\n", true
	})
	p := startProxy(t, proxyOptions{}, n.Addr).ready(t)
	conn := connect(t, p.Addr)
	asked.Store(0)
	for range 3 {
		w := startWalk(conn)
		assert.Equal(t, []string{"a", "b"}, w.rest(t))
		assert.Equal(t, 2, w.pages)
		assert.Zero(t, w.errors)
	}
	assert.EqualValues(t, 1, asked.Load(), "once for each connection")
}

func TestScanIsAnsweredWhenTheNodeBreaksOff(t *testing.T) {
	var breaks atomic.Bool
	n := startSecretive(t, func() (string, bool) { return "+x\r\n", !breaks.Load() })
	p := startProxy(t, proxyOptions{}, n.Addr).ready(t)
	conn := connect(t, p.Addr)
	breaks.Store(true)
	require.NoError(t, conn.Send(cmd("PING"), cmd("SCAN", 0), cmd("SCAN", 5, "COUNT", 1), cmd("PING")))
	got := receive(t, conn, 4)
	assert.Equal(t, "PONG", got[0])
	assert.Contains(t, fmt.Sprint(got[1]), n.Addr)
	assert.Contains(t, fmt.Sprint(got[2]), n.Addr)
	assert.Equal(t, "PONG", got[3])
	breaks.Store(false)
	assert.Equal(t, []string{"a", "b"}, startWalk(conn).rest(t))
}

// A pipeline of pages that all have to ask first is answered in order.
func TestScansInAPipeline(t *testing.T) {
	p, c := sharedProxy(t)
	conn := connect(t, p.Addr)
	all := fill(t, conn, "key:", 200)
	other := connect(t, startProxy(t, proxyOptions{}, c.Addrs()...).ready(t).Addr)
	var cmds [][]any
	for i := range 50 {
		cmds = append(cmds, cmd("SCAN", 0, "COUNT", 1000, "MATCH", all[i]), cmd("GET", all[i]), cmd("SCAN", "x"))
	}
	require.NoError(t, other.Send(cmds...))
	for i, v := range receive(t, other, len(cmds)) {
		switch i % 3 {
		case 0:
			require.IsType(t, []any{}, v)
			require.Subset(t, []any{all[i/3]}, v.([]any)[1])
		case 1:
			require.Equal(t, strings.TrimPrefix(all[i/3], "key:"), v)
		case 2:
			require.Equal(t, testredis.Error("ERR invalid cursor"), v)
		}
	}
}

// Any number of the right size is a cursor, and the walk from there ends.
func FuzzScanCursor(f *testing.F) {
	c := testredis.StartCluster(f, testredis.Options{})
	p := startProxy(f, proxyOptions{}, c.Addrs()...).ready(f)
	conn := connect(f, p.Addr)
	for i := range 200 {
		must(f, conn, "SET", key(uint16(i*80), "k"), i)
	}
	for _, s := range []uint16{0, 8000, 16383} {
		must(f, conn, "SET", key(s, "open"), 1)
		require.NoError(f, c.BeginMigrate(s, other(c, s)))
	}
	for _, cursor := range []uint64{
		0, 1, scanBegin, 16383, 16383 | scanBegin, scanImportBit, scanImportBit | scanBegin, scanImportBit | 8000 | scanBegin,
		scanImportBit | 16383 | 7<<scanShift, scanImportBit | 9000, 1 << scanShift, 1<<63 - 1, 1 << 63, math.MaxUint64,
	} {
		f.Add(cursor, uint16(10))
	}
	f.Fuzz(func(t *testing.T, cursor uint64, count uint16) {
		v, err := conn.Do("SCAN", strconv.FormatUint(cursor, 10), "COUNT", uint(count)+1)
		if cursor >= 1<<63 {
			require.Equal(t, testredis.Error("ERR invalid cursor"), err)
			return
		}
		require.NoError(t, err)
		require.Len(t, v, 2)
		w := startWalk(conn)
		w.cursor, err = strconv.ParseUint(v.([]any)[0].(string), 10, 63)
		require.NoError(t, err)
		if w.cursor != 0 {
			w.rest(t, "COUNT", 1000)
			require.Zero(t, w.errors)
			require.Less(t, w.pages, 30)
		}
	})
}
