package redis

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api/redis"
	"samaritan/internal/testredis"
)

const delayed = "compression.delayed_total"

// swelling is a proxy before two nodes. The first one holds back what GET here asks for until told to
// answer; the second has values of that many zeros, and the MGET of one of them in each slot.
func swelling(t *testing.T, size int) (p *testProxy, slow <-chan *stubConn) {
	t.Helper()
	nodes, asked := startStubs(t, 2), make(chan *stubConn, 1)
	nodes[0].does(func(c *stubConn, args []string) bool {
		if args[0] == "GET" {
			asked <- c
		}
		return args[0] == "GET"
	})
	value := bulk(zeros(size))
	nodes[1].does(func(c *stubConn, args []string) bool {
		switch args[0] {
		case "GET":
			return c.say(value)
		case "MGET":
			return c.say("*1\r\n" + value)
		}
		return false
	})
	p = startProxy(t, proxyOptions{}, addrs(nodes)...).ready(t)
	return p.setCompression(t, &redis.Compression{MaxRatio: 100_000}), asked
}

// decoded is what the sessions hold decompressed and not in their output, in bytes.
func (p *testProxy) decoded() (n int) {
	p.onWorkers(func(w *worker) {
		for _, s := range w.sessions {
			n += s.decoded
		}
	})
	return n
}

// wait waits until a counter has a value.
func (p *testProxy) wait(t *testing.T, counter string, want int) {
	t.Helper()
	eventually(t, func() bool { return p.counter(counter) == want }, fmt.Sprint(counter, " is ", want))
}

func TestRepliesBehindASlowOneDoNotSwell(t *testing.T) {
	const size, n = 40 << 20, 10
	p, slow := swelling(t, size)
	conn := connect(t, p.Addr)
	want := strings.Repeat("\x00", size)
	before := residentMemory(t)
	commands := [][]any{cmd("GET", here)}
	for range n {
		commands = append(commands, cmd("GET", there))
	}
	require.NoError(t, conn.Send(append(commands, cmd("PING"))...))
	p.wait(t, delayed, n-1)
	p.wait(t, "compression.zstd.decompressed_total", 1)
	assert.LessOrEqual(t, p.decoded(), sessionDecoded)
	assert.Less(t, residentMemory(t)-before, 3*size)

	(<-slow).say(bulk("slow"))
	assert.Equal(t, "slow", receive(t, conn, 1)[0])
	for i := range n {
		same(t, want, receive(t, conn, 1)[0], i)
	}
	assert.Equal(t, "PONG", receive(t, conn, 1)[0])
	p.wait(t, "compression.zstd.decompressed_total", n)
	eventually(t, func() bool { return p.decoded() == 0 }, "nothing is left")
	same(t, want, must(t, conn, "GET", there))
	assert.Equal(t, n-1, p.counter(delayed), "alone it need not wait")
}

// Small ones are decompressed on the loop as long as there is room.
func TestSmallRepliesBehindASlowOneDoNotSwell(t *testing.T) {
	const size, n = 400_000, 1000
	p, slow := swelling(t, size)
	conn := connect(t, p.Addr)
	for range 200 { // makes replies expected to be small
		require.NoError(t, conn.Send(cmd("ECHO", "x"), cmd("STRLEN", there)))
		receive(t, conn, 2)
	}
	commands := [][]any{cmd("GET", here)}
	for range n {
		commands = append(commands, cmd("GET", there))
	}
	require.NoError(t, conn.Send(commands...))
	eventually(t, func() bool {
		return p.counter(delayed)+p.counter("compression.zstd.decompressed_total") > n/2 && p.counter(delayed) > 0
	}, "many are there")
	assert.Less(t, p.decoded(), sessionDecoded+2*size)
	(<-slow).say(bulk("slow"))
	got := receive(t, conn, 1+n)
	want := strings.Repeat("\x00", size)
	for i, v := range got[1:] {
		require.True(t, v == want, i)
	}
	eventually(t, func() bool { return p.decoded() == 0 }, "nothing is left")
}

func TestClientThatTakesNothingHoldsOneLargeReply(t *testing.T) {
	const size, n = 64 << 20, 40
	p, _ := swelling(t, size)
	before := residentMemory(t)
	slow := dialWire(t, p.Addr)
	_, err := io.WriteString(slow, strings.Repeat(commandOf("GET", there), n))
	require.NoError(t, err)
	p.wait(t, delayed, n-1)
	eventually(t, func() bool { most, _ := p.mostPending(); return most > size/2 && p.decoded() == 0 }, "the first waits for it")
	assert.Equal(t, 1, p.counter("compression.zstd.decompressed_total"))
	assert.Less(t, residentMemory(t)-before, 3*size)
	must(t, connect(t, p.Addr), "PING")

	_, err = io.CopyN(io.Discard, slow, 2*size+1)
	require.NoError(t, err)
	eventually(t, func() bool { return p.counter("compression.zstd.decompressed_total") >= 3 }, "it is their turn")
	require.NoError(t, slow.Close())
	p.wait(t, "downstream.cx_destroy_total", 1)
	eventually(t, func() bool { return residentMemory(t)-before < size }, "the memory is given back")
	must(t, connect(t, p.Addr), "PING")
}

// A command whose parts wait for their turn is refused as any other, and nothing was decompressed for it.
func TestPartsThatWaitAreRefused(t *testing.T) {
	const size = 300 << 20
	p, slow := swelling(t, size)
	conn := connect(t, p.Addr)
	before := residentMemory(t)
	parts := cmd("MGET")
	for i := range uint16(4) {
		parts = append(parts, key(9000+i, "part"))
	}
	require.NoError(t, conn.Send(cmd("GET", here), parts, cmd("PING")))
	p.wait(t, delayed, 3)
	p.wait(t, "compression.too_large_total", 1)
	(<-slow).say(bulk("slow"))
	assert.Equal(t, []any{"slow", testredis.Error(refusedReply), "PONG"}, receive(t, conn, 3))
	assert.Zero(t, p.counter("compression.zstd.decompressed_total"))
	eventually(t, func() bool { return p.decoded() == 0 }, "nothing is left")
	assert.Less(t, residentMemory(t)-before, size)
}

// The parts of one command wait for its turn, and come in their order.
func TestPartsWaitForTheirTurn(t *testing.T) {
	const size = 40 << 20
	p, slow := swelling(t, size)
	conn := connect(t, p.Addr)
	require.NoError(t, conn.Send(cmd("GET", here), cmd("MGET", there, key(9001, "x"), key(9002, "x")), cmd("GET", there)))
	p.wait(t, delayed, 3)
	(<-slow).say(bulk("slow"))
	want := strings.Repeat("\x00", size)
	got := receive(t, conn, 3)
	for _, v := range append(got[1].([]any), got[2]) {
		same(t, want, v)
	}
	p.wait(t, "compression.zstd.decompressed_total", 4)
	eventually(t, func() bool { return p.decoded() == 0 }, "nothing is left")
}

// Clients that go leave nothing that waits.
func TestClientsThatGoLeaveNoWaitingReplies(t *testing.T) {
	const size = 40 << 20
	p, slow := swelling(t, size)
	conn := dialWire(t, p.Addr)
	_, err := io.WriteString(conn, commandOf("GET", here)+commandOf("GET", there)+commandOf("MGET", there, key(9001, "x"))+commandOf("GET", there))
	require.NoError(t, err)
	p.wait(t, delayed, 3)
	records := func() (n int) {
		p.onWorkers(func(w *worker) {
			for r := w.free; r != nil; r = r.next {
				n++
			}
		})
		return n
	}
	before := records()
	require.NoError(t, conn.SetLinger(0)) // what is due is for nobody
	require.NoError(t, conn.Close())
	p.wait(t, "downstream.cx_destroy_total", 1)
	eventually(t, func() bool { return records() >= before+5 }, "all but the one that the node has")
	(<-slow).say(bulk("slow"))
	eventually(t, func() bool { return records() >= before+6 }, "that one, too")
	must(t, connect(t, p.Addr), "PING")
}
