package redis

import (
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api/protocol"
	"samaritan/api/redis"
	"samaritan/internal/testredis"
	"samaritan/proc/redis/compress"

	"google.golang.org/protobuf/proto"
)

// sessionsLeft waits until so many client connections are left.
func (p *testProxy) sessionsLeft(t testing.TB, n int) {
	t.Helper()
	left := func() (sum int) {
		p.onWorkers(func(w *worker) { sum += len(w.sessions) })
		return sum
	}
	eventually(t, func() bool { return left() == n }, fmt.Sprint(n, " sessions are left"))
}

// Clients that leave while their values are worked on: of those whose connections break nothing
// is sent any more, the others have sent whole commands. All memory is given back.
func TestClientsLeaveWhileLargeValuesAreWorkedOn(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, a compress.Algorithm) {
		r := startCompressing(t, compressing(a))
		big := jsonText(900_000)
		must(t, connect(t, r.off.Addr), "SET", "plain", big) // not compressed
		must(t, connect(t, r.on.Addr), "MSET", "there", big, "there2", big)
		release := busy(t)
		for _, reset := range []bool{true, false} {
			k := fmt.Sprint("reset:", reset)
			for _, args := range [][]any{
				cmd("SET", k, big), cmd("MSET", k, big, k+"2", big), cmd("HSET", k+"h", "f", big), cmd("SETNX", k, big),
				cmd("GET", "there"), cmd("MGET", "there", "there2", "there"), cmd("SET", "there2", big, "GET"),
			} {
				for _, behind := range []string{"", commands("SET "+k+" x", "GET there", "PING"), "*2\r\n$3\r\nGET\r\n$5\r\nth"} {
					before := r.on.counter(offloaded)
					conn := dialWire(t, r.on.Addr)
					_, err := io.WriteString(conn, commandOf(args...)+behind)
					require.NoError(t, err)
					eventually(t, func() bool { return r.on.counter(offloaded) > before }, fmt.Sprintf("%.40q is worked on", args))
					if reset {
						require.NoError(t, conn.SetLinger(0))
					}
					require.NoError(t, conn.Close())
				}
			}
			if reset {
				r.on.sessionsLeft(t, 1)
			}
		}
		release()
		r.on.sessionsLeft(t, 1)
		last := connect(t, r.on.Addr)
		for _, k := range []string{"there", "there2", "plain", "reset:false2"} {
			same(t, big, must(t, last, "GET", k), k)
		}
		same(t, big, must(t, last, "HGET", "reset:falseh", "f"))
		assert.Contains(t, []any{"x", big}, must(t, last, "GET", "reset:false"))
		assert.EqualValues(t, 0, must(t, last, "EXISTS", "reset:true2", "reset:trueh"))
		assert.Contains(t, []any{"x", nil}, must(t, last, "GET", "reset:true")) // sent behind a GET
		if !raceDetector {                                                      // whose memory has the flag, too
			eventually(t, func() bool { return mapped(t) < 1<<20 }, "all is given back")
		}
	})
}

// The settings change while values are worked on: these end as they began.
func TestSettingsChangeWhileLargeValuesAreWorkedOn(t *testing.T) {
	changes := []struct {
		name  string
		alter func(*protocol.RedisOption)
	}{
		{"off", func(o *protocol.RedisOption) { o.Compression = nil }},
		{"the other algorithm", func(o *protocol.RedisOption) {
			o.Compression = compressing(1 - compress.Algorithm(o.Compression.Algorithm))
		}},
		{"a higher threshold", func(o *protocol.RedisOption) { o.Compression.Threshold = 100 << 20 }},
		{"no hot keys", func(o *protocol.RedisOption) { o.HotKeys = &redis.HotKeys{Enable: proto.Bool(false)} }},
		{"a smaller limit", func(o *protocol.RedisOption) { o.Compression.MaxSize = 10_000 }},
	}
	eachAlgorithm(t, func(t *testing.T, a compress.Algorithm) {
		for _, change := range changes {
			t.Run(change.name, func(t *testing.T) {
				r := startCompressing(t, compressing(a))
				big := sample{"big", jsonText(1 << 20), true}
				writer, reader, several := connect(t, r.on.Addr), connect(t, r.on.Addr), connect(t, r.on.Addr)
				must(t, writer, "MSET", "there", big.value, "there2", big.value)
				release := busy(t)
				require.NoError(t, writer.Send(cmd("SET", "k", big.value), cmd("SET", "k2", "behind")))
				require.NoError(t, reader.Send(cmd("GET", "there"), cmd("GET", "none")))
				require.NoError(t, several.Send(cmd("MGET", "there", "k2", "there2"), cmd("PING")))
				r.on.worked(t, 5)
				r.on.change(t, change.alter)
				release()
				assert.Equal(t, []any{"OK", "OK"}, receive(t, writer, 2))
				got := receive(t, reader, 2)
				same(t, big.value, got[0])
				assert.Nil(t, got[1])
				got = receive(t, several, 2)
				list := got[0].([]any)
				same(t, big.value, list[0])
				assert.Contains(t, []any{nil, "behind"}, list[1])
				same(t, big.value, list[2])
				assert.Equal(t, "PONG", got[1])
				if change.name != "off" { // then what was made is not wanted any more
					checkStored(t, a, big, r.raw(t, "GET", "k"), "SET")
				}
				same(t, big.value, must(t, connect(t, r.off.Addr), "GET", "k"))
				assert.Equal(t, "behind", must(t, reader, "GET", "k2"))
			})
		}
	})
}

// A service that stops lets the work that is under way end, and its clients have the replies.
func TestServiceStopsWhileLargeValuesAreWorkedOn(t *testing.T) {
	for _, patient := range []bool{true, false} {
		t.Run(fmt.Sprint(patient), func(t *testing.T) {
			o := proxyOptions{drain: time.Second}
			if patient {
				o.drain = time.Minute
			}
			cluster := testredis.Shared(t, testredis.Options{})
			p := startProxy(t, o, cluster.Addrs()...).ready(t).setCompression(t, compressing(compress.Snappy))
			big := jsonText(1 << 20)
			writer, reader := connect(t, p.Addr), connect(t, p.Addr)
			must(t, writer, "SET", "there", big)
			release := busy(t)
			require.NoError(t, writer.Send(cmd("SET", "k", big)))
			require.NoError(t, reader.Send(cmd("GET", "there")))
			p.worked(t, 3)
			p.stop()
			eventually(t, func() bool {
				draining := false
				p.onWorkers(func(w *worker) { draining = w.draining })
				return draining
			}, "it drains")
			if patient {
				release()
				got, err := reader.Receive()
				assert.NoError(t, err)
				same(t, big, got)
				got, err = writer.Receive()
				assert.NoError(t, err)
				assert.Equal(t, "OK", got)
			} else {
				p.sessionsLeft(t, 0) // the time is up
				select {
				case <-p.ended:
					assert.Fail(t, "Run has returned before its goroutines")
				default:
				}
				release()
			}
			for _, c := range []*testredis.Conn{writer, reader} {
				_, err := c.Receive()
				assert.Error(t, err)
			}
			<-p.ended
			assert.NoError(t, p.result)
			n := cluster.Master(testredis.Slot("k"))
			assert.EqualValues(t, map[bool]int{true: 1, false: 0}[patient], n.MustDo(t, "EXISTS", "k"))
		})
	}
}

// Clients that come, ask for large values and leave at any time, while settings change and nodes
// close connections: all memory outside the heap is given back.
func TestLargeBuffersOfCompressionAreNotLost(t *testing.T) {
	r := startCompressing(t, compressing(compress.Snappy))
	p := r.on
	setup := connect(t, p.Addr)
	for i := range largeKeys {
		must(t, setup, "SET", largeKey(i), jsonText([]int{100, 40 << 10, 700 << 10, 3 << 20}[i%4]))
	}
	var users sync.WaitGroup
	for i := range 5 {
		users.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 8))
			for range 10 {
				useAndLeave(p.Addr, rng)
			}
		})
	}
	for i := range 20 {
		switch p.setCompression(t, compressing(compress.Algorithm(i%2))); i % 7 {
		case 3:
			p.setCompression(t, nil)
		case 5:
			for _, n := range r.nodes {
				n.MustDo(t, "CLIENT", "KILL", "TYPE", "normal")
			}
		}
		before := p.counter(offloaded)
		eventually(t, func() bool { return p.counter(offloaded) > before || p.counter("downstream.cx_total") > 50 }, "clients are at work")
	}
	users.Wait()
	require.NoError(t, setup.Close())
	p.sessionsLeft(t, 0)
	assert.Positive(t, p.counter("compression.snappy.compressed_total")+p.counter("compression.zstd.compressed_total"))
	if !raceDetector { // whose memory has the flag, too
		eventually(t, func() bool { return mapped(t) < 1<<20 }, "all is given back")
	}
}
