package redis

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"samaritan/proc/redis/compress"
)

// The whole process allocates nothing while values of 16 KiB are compressed and decompressed.
func TestSteadyStateOfCompressionAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	eachAlgorithm(t, func(t *testing.T, a compress.Algorithm) {
		r := startCompressing(t, compressing(a))
		v := jsonText(16 << 10)
		reply := bulk(v)
		for _, c := range []struct {
			name, request, reply string
			depth                int
		}{
			{"SET", commandOf("SET", "a", v), "+OK\r\n", 8},
			{"GET", commands("GET a"), reply, 8},
			{"GET alone", commands("GET a"), reply, 1},
			{"GET and SET", commands("GET a") + commandOf("SET", "a", v), reply + "+OK\r\n", 4},
			{"MGET", commands("MGET a b {a}2"), "*3\r\n" + strings.Repeat(reply, 3), 3},
			{"MSET", commandOf("MSET", "a", v, "b", v), "+OK\r\n", 3},
			{"HSET", commandOf("HSET", "h", "f", v, "f", v), ":0\r\n", 3},
			{"HGETALL", commands("HGETALL h"), "*2\r\n" + bulk("f") + reply, 3},
			{"small", commands("SET s small", "GET s"), "+OK\r\n" + bulk("small"), 50},
			{"disabled", commands("APPEND a x"), "-ERR command 'append' is disabled in compress mode\r\n", 50},
		} {
			t.Run(c.name, func(t *testing.T) {
				setup := connect(t, r.on.Addr)
				must(t, setup, "MSET", "a", v, "b", v, "{a}2", v)
				must(t, setup, "HSET", "h", "f", v)
				conn := dialWire(t, r.on.Addr)
				per := allocations(t, conn, strings.Repeat(c.request, c.depth), strings.Repeat(c.reply, c.depth), c.depth, 400)
				assert.Less(t, per, 0.1) // others in the process allocate some, now and then
			})
		}
	})
}
