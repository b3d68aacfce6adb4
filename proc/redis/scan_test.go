package redis

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

// scanAll walks a full loop and returns each key once, sorted; page is called between
// pages.
func scanAll(t *testing.T, c *testredis.Conn, page func(n int), options ...any) []string {
	t.Helper()
	var keys []string
	cursor := "0"
	for n := range 100_000 {
		reply := must(t, c, append([]any{"SCAN", cursor}, options...)...).([]any)
		require.Len(t, reply, 2)
		for _, k := range reply[1].([]any) {
			keys = append(keys, k.(string))
		}
		cursor = reply[0].(string)
		v, err := strconv.ParseInt(cursor, 10, 64)
		require.NoError(t, err, "a cursor has to stay below 2^63")
		require.GreaterOrEqual(t, v, int64(0))
		if v == 0 {
			slices.Sort(keys)
			return slices.Compact(keys)
		}
		if page != nil {
			page(n)
		}
	}
	t.Fatal("the loop does not end")
	return nil
}

// sameKeys compares sorted lists and names only what is different.
func sameKeys(t *testing.T, want, got []string, msg ...any) {
	t.Helper()
	without := func(list, drop []string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(k string) bool {
			_, found := slices.BinarySearch(drop, k)
			return found
		})
	}
	assert.Empty(t, without(want, got), "missing %v", msg)
	assert.Empty(t, without(got, want), "too many %v", msg)
}

// fill sets n keys in one pipeline each thousand and returns their names, sorted.
func fill(t *testing.T, c *testredis.Conn, prefix string, n int) []string {
	t.Helper()
	var all []string
	for i := 0; i < n; i += 1000 {
		var cmds [][]any
		for j := i; j < min(i+1000, n); j++ {
			all = append(all, fmt.Sprintf("%s%d", prefix, j))
			cmds = append(cmds, cmd("SET", all[j], j))
		}
		require.NoError(t, c.Send(cmds...))
		for _, v := range receive(t, c, len(cmds)) {
			require.Equal(t, "OK", v)
		}
	}
	slices.Sort(all)
	return all
}

func TestScanReturnsEveryKey(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{})
	n := c.Nodes()
	// Several ranges a node, some of one slot, at both ends of the slots.
	for slot, to := range map[uint16]*testredis.Node{0: n[1], 1: n[2], 2500: n[2], 5461: n[0], 8000: n[0], 8001: n[2], 16000: n[1], 16383: n[0]} {
		if c.Master(slot) != to {
			require.NoError(t, c.MigrateSlot(slot, to))
		}
	}
	p := startProxy(t, proxyOptions{}, c.Addrs()...).ready(t)
	conn := connect(t, p.Addr)
	all := fill(t, conn, "key:", 2000)
	for _, slot := range []uint16{0, 1, 2500, 5461, 8000, 8001, 16000, 16383} {
		all = append(all, key(slot, "edge"))
		must(t, conn, "SADD", key(slot, "edge"), "m")
	}
	slices.Sort(all)
	edges := slices.DeleteFunc(slices.Clone(all), func(k string) bool { return !strings.HasSuffix(k, "edge") })
	ones := slices.DeleteFunc(slices.Clone(all), func(k string) bool { return !strings.HasPrefix(k, "key:1") })

	tests := map[string]struct {
		options []any
		want    []string
	}{
		"plain":       {nil, all},
		"small pages": {cmd("COUNT", 3), all},
		"large pages": {cmd("COUNT", 1000), all},
		"one page":    {cmd("COUNT", 1_000_000), all},
		"match":       {cmd("MATCH", "key:1*"), ones},
		"match none":  {cmd("MATCH", "nothing", "COUNT", 100), nil},
		"type":        {cmd("TYPE", "set", "COUNT", 100), edges},
		"all options": {cmd("COUNT", 50, "TYPE", "string", "MATCH", "key:1*"), ones},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			sameKeys(t, tt.want, scanAll(t, conn, nil, tt.options...))
		})
	}
	t.Run("resp3", func(t *testing.T) {
		must(t, conn, "HELLO", 3)
		sameKeys(t, all, scanAll(t, conn, nil, "COUNT", 100))
		must(t, conn, "HELLO", 2)
	})
	t.Run("another proxy goes on", func(t *testing.T) {
		other := connect(t, startProxy(t, proxyOptions{}, c.Addrs()[2]).ready(t).Addr)
		here, there := conn, other
		cursor, keys := "0", map[string]bool{}
		for {
			reply := must(t, here, "SCAN", cursor, "COUNT", 40).([]any)
			for _, k := range reply[1].([]any) {
				keys[k.(string)] = true
			}
			if cursor = reply[0].(string); cursor == "0" {
				break
			}
			here, there = there, here
		}
		assert.Len(t, keys, len(all))
	})
}

func TestScanReturnsEveryKeyWhileSlotsMove(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{})
	n := c.Nodes()
	p := startProxy(t, proxyOptions{}, c.Addrs()...).ready(t)
	conn := connect(t, p.Addr)
	all := fill(t, conn, "key:", 3000)
	slots := []uint16{3, 5460, 100, 5461, 9000, 16383, 10922, 10923, 2, 12000}
	for _, s := range slots {
		for i := range 5 {
			must(t, conn, "SET", key(s, fmt.Sprint(i)), 1)
			all = append(all, key(s, fmt.Sprint(i)))
		}
	}
	slices.Sort(all)
	for round := range 3 {
		moves := slots
		got := scanAll(t, conn, func(page int) {
			if page%8 == 3 && len(moves) > 0 {
				to := n[(slices.Index(n, c.Master(moves[0]))+1)%3]
				require.NoError(t, c.MigrateSlot(moves[0], to))
				moves = moves[1:]
			}
		}, "COUNT", 25)
		sameKeys(t, all, got, "round", round)
		assert.Empty(t, moves, "all moves were made in the middle")
	}
}

func TestScanReturnsEveryKeyOverAFailover(t *testing.T) {
	c := testredis.StartCluster(t, testredis.Options{Replicas: 1})
	p := startProxy(t, proxyOptions{}, c.Addrs()...).ready(t)
	conn := connect(t, p.Addr)
	all := fill(t, conn, "key:", 2000)
	first, second := c.Replicas(c.Masters()[0])[0], c.Replicas(c.Masters()[1])[0]
	got := scanAll(t, conn, func(page int) {
		switch page {
		case 10:
			failOver(t, first)
		case 40:
			failOver(t, second)
		}
	}, "COUNT", 20)
	sameKeys(t, all, got)
}

func TestBadCursorsAndOptionsAreErrors(t *testing.T) {
	p, c := sharedProxy(t)
	conn, node := connect(t, p.Addr), connect(t, c.Addrs()[0])
	tests := map[string][]any{
		"text":           {"SCAN", "x"},
		"mixed":          {"SCAN", "1x"},
		"blank":          {"SCAN", " 1"},
		"2^64":           {"SCAN", "18446744073709551616"},
		"none":           {"SCAN"},
		"count of 0":     {"SCAN", 0, "COUNT", 0},
		"count of text":  {"SCAN", 0, "COUNT", "x"},
		"unknown option": {"SCAN", 0, "NOTHING", "x"},
		"half an option": {"SCAN", 0, "COUNT"},
	}
	for name, args := range tests {
		assert.Equal(t, errorOf(t, node, args...), errorOf(t, conn, args...), name)
	}
	for _, cursor := range []string{"9223372036854775808", "18446744073709551615"} {
		assert.Equal(t, "ERR invalid cursor", errorOf(t, conn, "SCAN", cursor), "never handed out")
	}
	// Made-up cursors of the right size may return anything, but no error and no loop.
	for _, cursor := range []string{"1", "16383", "9223372036854775807", "123456789012345"} {
		assert.Len(t, must(t, conn, "SCAN", cursor), 2, cursor)
	}
}

// A walk that passed over slots without an owner would end without their keys.
func TestScanStopsAtASlotWithoutOwner(t *testing.T) {
	n := startScripted(t, func(n *scriptedNode, args []string) (string, bool) {
		switch {
		case args[0] == "CLUSTER" && args[1] == "SLOTS":
			return fmt.Sprintf("*1\r\n*3\r\n:0\r\n:100\r\n*2\r\n$9\r\n127.0.0.1\r\n:%d\r\n", n.Port), true
		case args[0] == "CLUSTER":
			return "-ERR unknown\r\n", true
		case args[0] == "SCAN":
			return "*2\r\n$1\r\n0\r\n*0\r\n", true
		}
		return "", true
	})
	p := startProxy(t, proxyOptions{}, n.Addr).ready(t)
	conn := connect(t, p.Addr)
	page := must(t, conn, "SCAN", 0).([]any)
	assert.Equal(t, "CLUSTERDOWN Hash slot not served", errorOf(t, conn, "SCAN", page[0]))
}
