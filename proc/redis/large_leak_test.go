package redis

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
	"samaritan/proc/redis/resp"
)

// mapped is how many bytes the process holds in mappings of large buffers. They are
// known by a flag, "nh" for no huge pages, that otherwise only the stacks of threads have,
// a few KiB each.
func mapped(t testing.TB) (sum int) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/smaps")
	require.NoError(t, err)
	size := 0
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		switch {
		case len(words) > 1 && words[0] == "Rss:":
			size, err = strconv.Atoi(words[1])
			require.NoError(t, err)
		case len(words) > 0 && words[0] == "VmFlags:" && strings.Contains(line, " nh"):
			sum += size << 10
		}
	}
	return sum
}

// TestLargeBuffersAreNotLost: large buffers are outside the Go heap, so a reference that
// is forgotten is memory lost for ever. Whatever happens to requests, replies and
// connections, all of it is given back.
func TestLargeBuffersAreNotLost(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector's own memory has the flag too")
	}
	cluster := testredis.Shared(t, testredis.Options{})
	p := startProxy(t, proxyOptions{requestTimeout: wireTimeout}, cluster.Addrs()...).ready(t)
	setup := connect(t, p.Addr)
	for i := range largeKeys {
		must(t, setup, "SET", largeKey(i), strings.Repeat("v", []int{100, 40 << 10, 700 << 10, 3 << 20}[i%4]))
	}
	require.Greater(t, mapped(t), 2<<20, "the flag is not there")

	var users sync.WaitGroup
	for i := range 6 {
		users.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 3))
			for range 25 {
				useAndLeave(p.Addr, rng)
			}
		})
	}
	users.Go(func() {
		for _, n := range cluster.Masters() {
			_, err := n.Do("CLIENT", "KILL", "TYPE", "normal")
			assert.NoError(t, err)
		}
	})
	users.Wait()
	require.NoError(t, setup.Close())
	eventually(t, func() bool { return mapped(t) < 1<<20 }, "all is given back")
}

const largeKeys = 16

func largeKey(i int) string { return fmt.Sprint("large:", i) }

// useAndLeave is one connection that sends some requests, reads as much as it likes of
// what comes back, and goes. Errors of the connection are expected.
func useAndLeave(addr string, rng *rand.Rand) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	c := nc.(*net.TCPConn)
	_ = c.SetDeadline(time.Now().Add(300 * time.Millisecond))
	wanted := []int64{0, 1, 100 << 10, 4 << 20, 64 << 20}[rng.IntN(5)]
	sent := make(chan struct{})
	go func() { defer close(sent); sendSome(c, rng) }()
	_, _ = io.CopyN(io.Discard, c, wanted)
	_ = c.Close()
	<-sent
}

func sendSome(c *net.TCPConn, rng *rand.Rand) {
	w := bufio.NewWriterSize(c, 64<<10)
	key := func() string { return largeKey(rng.IntN(largeKeys)) }
	value := strings.Repeat("w", []int{10, 50 << 10, 900 << 10, 2 << 20}[rng.IntN(4)])
	for range 1 + rng.IntN(6) {
		var b []byte
		switch rng.IntN(11) {
		case 0:
			b = resp.AppendCommand(b, "SET", key(), value)
		case 1:
			b = resp.AppendCommand(b, "MSET", key(), value, key(), value, key(), "small")
		case 2:
			b = resp.AppendCommand(b, "MGET", key(), key(), key(), key(), key())
		case 3:
			b = resp.AppendCommand(b, "CLIENT", "REPLY", []string{"OFF", "SKIP", "ON"}[rng.IntN(3)])
		case 4:
			b = resp.AppendCommand(b, "ECHO", value)
		case 5:
			b = resp.AppendCommand(b, "NOSUCH", value)
		case 6:
			b = resp.AppendCommand(b, "SET", key(), value, "WRONG", "SYNTAX", value)
		case 7:
			b = resp.AppendCommand(b, "SCAN", "0", "COUNT", "1000")
		case 8:
			b = resp.AppendCommand(b, "HELLO", []string{"2", "3"}[rng.IntN(2)])
		default:
			b = resp.AppendCommand(b, "GET", key())
		}
		if rng.IntN(10) == 0 {
			b = b[:len(b)/2]
		}
		_, _ = w.Write(b)
		_ = w.Flush()
	}
	if rng.IntN(3) == 0 {
		_ = c.CloseWrite()
	}
}
