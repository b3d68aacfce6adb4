package redis

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestSteadyStateAllocatesNothing counts the allocations of the whole process while a
// client that makes none itself sends pipelines through the proxy.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	p := startBefore(t, proxyOptions{})
	value := strings.Repeat("v", 64)
	bulk := "$64\r\n" + value + "\r\n"
	large := strings.Repeat("l", 10_000)
	var keys, pairs []string
	for i := range 10 {
		keys = append(keys, fmt.Sprint("key:", i))
		pairs = append(pairs, fmt.Sprint("key:", i, " ", value))
	}
	for _, c := range []struct {
		name, request, reply string
		depth                int
	}{
		{"PING", commands("PING"), "+PONG\r\n", 100},
		{"GET", commands("GET key:1"), bulk, 100},
		{"GET alone", commands("GET key:1"), bulk, 1},
		{"SET", commands("SET key:1 " + value), "+OK\r\n", 100},
		{"GET and SET", commands("GET key:1", "SET key:2 "+value), bulk + "+OK\r\n", 50},
		{"GET missing", commands("GET none"), "$-1\r\n", 100},
		{"wrong arity", commands("GET"), "-ERR wrong number of arguments for 'get' command\r\n", 100},
		{"MGET", commands("MGET " + strings.Join(keys, " ")), "*10\r\n" + strings.Repeat(bulk, 10), 20},
		{"MSET", commands("MSET " + strings.Join(pairs, " ")), "+OK\r\n", 20},
		{"EXISTS", commands("EXISTS " + strings.Join(keys, " ")), ":10\r\n", 20},
		{"10 kB", commands("SET large "+large, "GET large"), "+OK\r\n$10000\r\n" + large + "\r\n", 4},
		{"inline", "GET key:1\r\n", bulk, 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			exchange(t, p.Addr, commands("MSET "+strings.Join(pairs, " ")))
			conn := dialWire(t, p.Addr)
			rounds := max(20_000/c.depth, 1)
			if c.depth < 10 {
				rounds = 5000
			}
			per := allocations(t, conn, strings.Repeat(c.request, c.depth), strings.Repeat(c.reply, c.depth), c.depth, rounds)
			assert.Less(t, per, 0.01)
		})
	}
}
