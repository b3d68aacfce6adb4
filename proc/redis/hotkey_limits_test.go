package redis

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"samaritan/api/redis"
	"samaritan/internal/eventloop"
	"samaritan/internal/stats"
)

// pausing is a connection that holds its loop up in the middle of an iteration, behind
// the first time that what is to be written was written.
type pausing struct{ flushed func() }

func (*pausing) Data(b []byte) int { return len(b) }
func (*pausing) EOF()              {}
func (*pausing) Closed(error)      {}
func (h *pausing) Flushed()        { h.flushed() }

// A request may be sent, answered and forgotten, and its memory be used again, in one
// iteration of the loop: when the reply comes behind the end of a large one, which is read
// after the first writing. The hit that waits for the end of the iteration is still that of
// its key.
func TestAKeyKeepsItsNameWhenItsReplyComesInTheSameIteration(t *testing.T) {
	const size, held = 2 << 20, 1000
	big := bulk(strings.Repeat("v", size))
	nearly, answered := make(chan *stubConn, 1), make(chan struct{})
	n := startStub(t)
	n.does(func(c *stubConn, args []string) bool {
		switch {
		case args[0] == "GET" && args[1] == "big":
			c.say(big[:len(big)-held])
			nearly <- c
			return true
		case args[0] == "GET" && args[1] == "k1":
			c.say(big[len(big)-held+100:] + "$2\r\nk1\r\n")
			close(answered)
			return true
		}
		return false
	})
	p := startProxy(t, proxyOptions{}, n.Addr).ready(t).still(t)
	large, small := connect(t, p.Addr), dialWire(t, p.Addr)
	expectReply(t, small, "+PONG\r\n", "PING")
	require.NoError(t, large.Send(cmd("GET", "big")))
	node := <-nearly
	w := p.allWorkers()[0]
	eventually(t, func() bool {
		buffered := 0
		p.onWorkers(func(w *worker) {
			for _, at := range w.nodes {
				for _, c := range at.clients {
					if c != nil && c.conn != nil && c.inFlight() > 0 {
						buffered = c.conn.Buffered()
					}
				}
			}
		})
		return buffered == len(big)-held
	}, "most of the large reply is there")

	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
	require.NoError(t, err)
	defer syscall.Close(fds[1])
	gate, stopped := make(chan struct{}), make(chan struct{})
	var hold *eventloop.Conn
	w.loop.Post(func() {
		hold, err = w.loop.Add(fds[0], &pausing{flushed: func() { <-answered }})
		close(stopped)
		<-gate
	})
	<-stopped
	require.NoError(t, err)
	// All of this is for the next iteration.
	w.loop.Post(func() { hold.NotifyBelow(1) })
	require.True(t, node.say(big[len(big)-held:len(big)-held+100]))
	_, err = io.WriteString(small, commands("GET k1", "HELLO 2", "SET "+strings.Repeat("z", 300)+" 1"))
	require.NoError(t, err)
	close(gate)

	receive(t, large, 1)
	eventually(t, func() bool { return n.count("SET") == 1 }, "the last command is sent")
	w.loop.Post(func() { hold.Close(errStalled) })
	assert.Equal(t, map[string]int{"big": 1, "k1": 1, strings.Repeat("z", 128): 1}, p.hits())
	for _, k := range p.hotKeys().Keys {
		t.Logf("%.40q %s", k.Name, k.Hash)
	}
}

// A scrape waits for a loop for scrapeTimeout, also when a merge waits for it as well.
func TestAScrapeDoesNotWaitForAMergeThatWaitsForALoop(t *testing.T) {
	n := startStub(t)
	p := startProxy(t, proxyOptions{}, n.Addr).ready(t).still(t)
	must(t, connect(t, p.Addr), "GET", "k")
	gate, stuck := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(release)
	p.allWorkers()[0].loop.Post(func() { close(stuck); <-gate })
	<-stuck
	var running sync.WaitGroup
	running.Go(p.mergeOnce)
	eventually(t, func() bool {
		if p.hot.mu.TryLock() {
			p.hot.mu.Unlock()
			return false
		}
		return true
	}, "it merges")
	scraped := make(chan struct{})
	running.Go(func() { p.Stats(func(stats.Sample) {}); close(scraped) })
	select {
	case <-scraped:
	case <-time.After(scrapeTimeout + 2*time.Second):
		t.Error("the scrape hangs for as long as the loop does")
	}
	release()
	running.Wait()
}

// The names that clients give themselves are kept for ever, so they are cut.
func TestNamesOfClientsAreShort(t *testing.T) {
	n := startStub(t)
	p := startProxy(t, proxyOptions{}, n.Addr).ready(t).still(t)
	for i := range 8 {
		conn := connect(t, p.Addr)
		must(t, conn, "CLIENT", "SETNAME", fmt.Sprint(i, strings.Repeat("n", 4<<20)))
		for k := range 3 {
			must(t, conn, "GET", fmt.Sprint("k", k))
		}
		require.NoError(t, conn.Close())
	}
	p.mergeOnce()
	runtime.GC()
	kept := 0
	for _, name := range p.callers.names {
		kept += len(name)
	}
	assert.Less(t, kept, 64<<10, "bytes kept for clients that are gone")
	reply := appendHotKeys(nil, p.hotKeys(), 0, false)
	assert.Less(t, len(reply), 64<<10, "bytes of HOTKEY LIST with 3 keys")
}

// The size of a value is not that of another key's, nor that of an argument or a result.
func TestLargeValuesAreThoseOfTheirKeys(t *testing.T) {
	p := hotProxy(t, proxyOptions{})
	conn := connect(t, p.Addr)
	v := strings.Repeat("v", 3000)
	must(t, conn, "SET", "{t}string", v)
	must(t, conn, "SADD", "{t}large", v)
	must(t, conn, "SADD", "{t}small", "m")
	for _, tt := range []struct {
		args []any
		want map[string]bool
	}{
		{cmd("MSETNX", "{t}a", "x", "{t}b", v), map[string]bool{"{t}b": true}},
		{cmd("SUNION", "{t}small", "{t}large"), map[string]bool{}}, // nobody can tell of which
		{cmd("EVAL", "return string.rep('x', 3000)", 1, "{t}k"), map[string]bool{}},
		{cmd("HGET", "{t}h", v), map[string]bool{}},
		{cmd("SISMEMBER", "{t}small", v), map[string]bool{}},
		{cmd("LCS", "{t}string", "{t}string"), map[string]bool{}},
		{cmd("SORT", "{t}small", "BY", "nosort", "GET", "# "+v), map[string]bool{}},
	} {
		p.forget()
		_, _ = conn.Do(tt.args...)
		p.mergeOnce()
		got := map[string]bool{}
		for _, v := range p.hotKeys().Values {
			got[string(v.Key)] = true
		}
		assert.Equal(t, tt.want, got, "%.30v", tt.args)
	}
}

// A node that comes and goes within an interval has one counter.
func TestCountersOfANodeThatComesAndGoesDoNotPileUp(t *testing.T) {
	nodes := startStubs(t, 2)
	p := startProxy(t, proxyOptions{}, addrs(nodes)...).ready(t).still(t)
	conn := connect(t, p.Addr)
	name := key(16000, "k")
	for range 5 {
		must(t, conn, "GET", name)
		p.reshards(t, nodes, 1)
		p.reshards(t, nodes, 2)
	}
	p.onWorkers(func(w *worker) { assert.LessOrEqual(t, len(w.counted()), 2, "297 KiB each, for up to an hour") })
}

// Commands that TestSteadyStateAllocatesNothing leaves out.
func TestLargeAndManyKeysAllocateNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	p := startBefore(t, proxyOptions{})
	v := strings.Repeat("v", 2048)
	var keys, pairs, spread []string
	for i := range 20 {
		keys = append(keys, fmt.Sprint("{t}", i))
		pairs = append(pairs, fmt.Sprint("{t}", i, " ", v))
		spread = append(spread, fmt.Sprint("s", i, " ", v))
	}
	exchange(t, p.Addr, commands("MSET "+strings.Join(pairs, " ")))
	for _, c := range []struct{ name, request string }{
		{"MGET of a slot, 2 KiB", commands("MGET " + strings.Join(keys, " "))},
		{"MSET of a slot, 2 KiB", commands("MSET " + strings.Join(pairs, " "))},
		{"MSET over nodes, 2 KiB", commands("MSET " + strings.Join(spread, " "))},
		{"GET 2 KiB", commands("GET {t}1")},
		{"SET 2 KiB", commands("SET {t}1 " + v)},
		{"EXISTS of a slot", commands("EXISTS " + strings.Join(keys, " "))},
		{"EVAL", commands("EVAL return(1) 2 {t}1 {t}2 x")},
		{"EVAL 2 KiB", commands("EVAL return(1) 2 {t}1 {t}2 " + v)},
	} {
		t.Run(c.name, func(t *testing.T) {
			const depth = 20
			conn := dialWire(t, p.Addr)
			in := strings.Repeat(c.request, depth)
			assert.Less(t, allocations(t, conn, in, exchange(t, p.Addr, in), depth, 500), 0.05)
		})
	}
}

// Whoever resets, starts, stops, asks, merges and updates while the service ends: it ends.
func TestTheServiceEndsWhateverIsAskedOfHotKeys(t *testing.T) {
	for range 3 {
		nodes := startStubs(t, 3)
		p := startProxy(t, proxyOptions{loops: 2}, addrs(nodes)...).ready(t).still(t)
		var running sync.WaitGroup
		stop := make(chan struct{})
		for i := range 12 {
			conn := connect(t, p.Addr)
			running.Go(func() {
				for n := 0; ; n++ {
					line := []string{
						"HOTKEY RESET", "HOTKEYS START METRICS 2 CPU NET DURATION 1 SAMPLE 2", "HOTKEYS GET", "HOTKEYS STOP",
						"MGET a b c d e", "HOTKEYS RESET", "HELLO 3", "MSET a 1 b 2", "HELLO 2", "HOTKEY LIST",
					}[(n+i)%10]
					if conn.Send(argsOf(line)) != nil {
						return
					}
					if n%4 == 3 {
						if _, err := conn.Receive(); err != nil {
							return
						}
					}
				}
			})
		}
		running.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				p.mergeOnce()
				p.Stats(func(stats.Sample) {})
				p.HotKeys(0)
			}
		})
		for i := range 20 {
			p.setHot(t, &redis.HotKeys{Enable: proto.Bool(i%3 > 0), Interval: duration(time.Second), Capacity: uint32(1 + i*50)})
		}
		p.stop()
		select {
		case <-p.ended:
		case <-time.After(20 * time.Second):
			buf := make([]byte, 1<<20)
			t.Fatalf("it does not end\n%s", buf[:runtime.Stack(buf, true)])
		}
		close(stop)
		running.Wait()
	}
}
