package redis

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
	"samaritan/proc/redis/resp"
)

// setStallTimeout changes what the configuration does not offer.
func (p *testProxy) setStallTimeout(d time.Duration) {
	set := *p.settings.Load()
	set.stallTimeout = d
	p.settings.Store(&set)
	p.onWorkers(func(w *worker) { w.apply(&set) })
}

// mostPending is the most bytes that wait for one client, and those for all.
func (p *testProxy) mostPending() (most, all int) {
	p.onWorkers(func(w *worker) {
		for _, s := range w.sessions {
			most = max(most, s.conn.Pending())
			all += s.conn.Pending()
		}
	})
	return most, all
}

// TestClientThatNeverReadsIsHeldAndThenClosed has a client ask for 20 GB, read
// nothing of it, and others that must not notice.
func TestClientThatNeverReadsIsHeldAndThenClosed(t *testing.T) {
	const gets = 20_000
	for _, c := range []struct {
		name, behind string
		valueSize    int
		most         int // bytes that may wait for it
	}{
		{"from the start", "", 1 << 20, 96 << 20},
		// So many small replies make it likely that more of them come.
		{"behind small replies", strings.Repeat(commands("PING", "GET nothing"), 2000), 64 << 10, maxInFlight*64<<10 + 16<<20},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := startBefore(t, proxyOptions{})
			p.setStallTimeout(500 * time.Millisecond)
			exchange(t, p.Addr, commands("SET large "+strings.Repeat("v", c.valueSize), "SET small 1"))
			before := heapInUse()

			slow := dialWire(t, p.Addr)
			require.NoError(t, slow.SetReadBuffer(4096))
			if c.behind != "" {
				_, err := io.WriteString(slow, c.behind)
				require.NoError(t, err)
				_, err = io.CopyN(io.Discard, slow, 2000*int64(len("+PONG\r\n$-1\r\n")))
				require.NoError(t, err)
			}
			go func() { _, _ = io.WriteString(slow, strings.Repeat(commands("GET large"), gets)) }()

			other := dialWire(t, p.Addr)
			var times []time.Duration
			most, heap := 0, 0
			for p.counter("downstream.cx_stalled")+p.counter("downstream.cx_overflow") == 0 {
				start := time.Now()
				for range 20 {
					expectReply(t, other, "$1\r\n1\r\n", "GET", "small")
					expectReply(t, other, "$-1\r\n", "GET", "nothing")
				}
				times = append(times, time.Since(start)/40)
				pending, _ := p.mostPending()
				if pending > most {
					most = pending
					heap = max(heap, heapInUse()-before)
				}
			}
			slices.Sort(times)
			t.Logf("most pending %d MiB, heap %d MiB, others: median %v, worst %v of %d",
				most>>20, heap>>20, times[len(times)/2], times[len(times)-1], len(times))
			assert.Equal(t, 1, p.counter("downstream.cx_stalled"))
			assert.Less(t, most, c.most)
			assert.Less(t, heap, 2*c.most)
			assert.Less(t, times[len(times)-1], time.Second)
			require.Eventually(t, func() bool { return heapInUse()-before < 32<<20 }, wireTimeout, 10*time.Millisecond)
		})
	}
}

// TestManyClientsWhoNeverRead: what waits is bounded for each.
func TestManyClientsWhoNeverRead(t *testing.T) {
	const clients, valueSize = 20, 64 << 10
	p := startBefore(t, proxyOptions{})
	p.setStallTimeout(500 * time.Millisecond)
	exchange(t, p.Addr, commands("SET large "+strings.Repeat("v", valueSize)))
	in := strings.Repeat(commands("GET large"), 2000)
	for range clients {
		slow := dialWire(t, p.Addr)
		require.NoError(t, slow.SetReadBuffer(4096))
		_, err := io.WriteString(slow, in)
		require.NoError(t, err)
	}
	other := dialWire(t, p.Addr)
	highest := 0
	for p.counter("downstream.cx_stalled")+p.counter("downstream.cx_overflow") < clients {
		expectReply(t, other, "$-1\r\n", "GET", "nothing")
		_, all := p.mostPending()
		highest = max(highest, all)
	}
	t.Logf("most pending %d MiB", highest>>20)
	assert.Less(t, highest, clients*16<<20)
}

// TestManyConnections opens as many as the limit of descriptors allows, 10,000 at
// most: both ends of each are in this process.
func TestManyConnections(t *testing.T) {
	p := startBefore(t, proxyOptions{})
	n := 10_000
	if raceDetector {
		n = 2000
	}
	n = min(n, (descriptorLimit(t)-openDescriptors(t)-100)/2)
	require.Greater(t, n, 400, "the limit of open files is too low")
	conns := make([]net.Conn, n)
	for i := range conns {
		conns[i] = dialWire(t, p.Addr)
	}
	for range 2 {
		for _, c := range conns {
			_, err := io.WriteString(c, "PING\r\n")
			require.NoError(t, err)
		}
		got := make([]byte, 7)
		for _, c := range conns {
			_, err := io.ReadFull(c, got)
			require.NoError(t, err)
			require.Equal(t, "+PONG\r\n", string(got))
		}
	}
	expectReply(t, conns[n-1], "$-1\r\n", "GET", "nothing")
	assert.Equal(t, n, p.counter("downstream.cx_active"))
	for _, c := range conns {
		_ = c.Close()
	}
	p.waitCounter(t, "downstream.cx_destroy_total", n)
	assert.Zero(t, p.counter("downstream.cx_active"))
	assert.Zero(t, p.listener.Active())
}

func descriptorLimit(t *testing.T) int {
	t.Helper()
	var lim syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim))
	return int(min(lim.Cur, 1<<20))
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(d)
}

func TestConnectionLimitRefusesWithAnError(t *testing.T) {
	const limit = 5
	p := startBefore(t, proxyOptions{limit: limit})
	var conns []net.Conn
	for range limit {
		conns = append(conns, dialWire(t, p.Addr))
		expectReply(t, conns[len(conns)-1], "+PONG\r\n", "PING")
	}
	const refused = 10
	for range refused {
		assert.Equal(t, "-ERR max number of clients reached\r\n", untilClosed(t, p.Addr, ""))
	}
	assert.Equal(t, refused, p.counter("downstream.cx_restricted"))
	for i, c := range conns {
		expectReply(t, c, "+OK\r\n", "SET", "limit", fmt.Sprint(i))
	}
	_ = conns[0].Close()
	p.waitCounter(t, "downstream.cx_destroy_total", 1)
	conn := dialWire(t, p.Addr)
	expectReply(t, conn, "$1\r\n4\r\n", "GET", "limit")
	assert.Equal(t, refused, p.counter("downstream.cx_restricted"))
}

// seedsVariable makes the test binary a proxy before these nodes that runs out of
// descriptors; see TestProxyWithFewDescriptors.
const seedsVariable = "SAMARITAN_TEST_FEW_DESCRIPTORS"

// freeDescriptors is about how many clients that proxy has room for.
const freeDescriptors = 10

// TestProxyWithFewDescriptors is no test but the child of the next one: it prints
// its address, lowers its limit when told to by a line of input, and ends with it.
func TestProxyWithFewDescriptors(t *testing.T) {
	seeds := os.Getenv(seedsVariable)
	if seeds == "" {
		return
	}
	p := startProxy(t, proxyOptions{}, strings.Split(seeds, ",")...).ready(t)
	fmt.Println("address", p.Addr)
	in := bufio.NewReader(os.Stdin)
	_, err := in.ReadString('\n')
	require.NoError(t, err)
	low := uint64(openDescriptors(t) + freeDescriptors)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: low, Max: uint64(descriptorLimit(t))}))
	fmt.Println("limit", low)
	_, _ = io.Copy(io.Discard, in)
	fmt.Println("restricted", p.counter("downstream.cx_restricted"))
}

// child is a proxy in another process.
type child struct {
	addr  string
	input io.WriteCloser
	lines *bufio.Scanner
	cmd   *exec.Cmd
}

func startChild(t *testing.T, seeds []string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestProxyWithFewDescriptors$", "-test.v")
	cmd.Env = append(os.Environ(), seedsVariable+"="+strings.Join(seeds, ","))
	input, err := cmd.StdinPipe()
	require.NoError(t, err)
	output, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	c := &child{input: input, lines: bufio.NewScanner(output), cmd: cmd}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	_, c.addr, _ = strings.Cut(c.line(t, "address "), "address ")
	return c
}

// line returns the next line of output that has text in it.
func (c *child) line(t *testing.T, text string) string {
	t.Helper()
	for c.lines.Scan() {
		if l := c.lines.Text(); strings.Contains(l, text) {
			return l
		}
	}
	require.Fail(t, "the child has ended", "before %q", text)
	return ""
}

func TestAcceptBacksOffWithoutDescriptors(t *testing.T) {
	cluster := testredis.Shared(t, testredis.Options{})
	c := startChild(t, cluster.Addrs())
	first := dialWire(t, c.addr)
	var keys []string
	for _, k := range []string{"a", "b", "c", "d", "e", "f"} { // on all nodes
		expectReply(t, first, "+OK\r\n", "SET", k, k)
		keys = append(keys, k)
	}
	_, err := io.WriteString(c.input, "low\n")
	require.NoError(t, err)
	c.line(t, "limit ")

	var served []net.Conn
	refused := 0
	for range freeDescriptors + 4 {
		conn := dialWire(t, c.addr)
		reply, err := ping(conn)
		switch {
		case err == nil && reply == "+PONG\r\n":
			served = append(served, conn)
		case reply == "-ERR max number of clients reached\r\n" || isReset(err) || errors.Is(err, io.EOF):
			refused++
		default:
			require.NoError(t, err, "%q", reply)
		}
	}
	assert.InDelta(t, freeDescriptors, len(served), 3)
	assert.Positive(t, refused)

	// Each refusal took a pause, longer every time; each is one line of log.
	start := time.Now()
	for range 5 {
		_, _ = ping(dialWire(t, c.addr))
		refused++
	}
	assert.Greater(t, time.Since(start), 200*time.Millisecond, "accept spins")
	for range refused {
		c.line(t, "cannot accept a client")
	}

	for _, k := range keys {
		expectReply(t, first, "$1\r\n"+k+"\r\n", "GET", k)
	}
	for _, conn := range served {
		expectReply(t, conn, "$1\r\nb\r\n", "GET", "b")
		_ = conn.Close()
	}
	last := dialWire(t, c.addr)
	expectReply(t, last, "$1\r\nc\r\n", "GET", "c")
	_ = c.input.Close()
	assert.Equal(t, fmt.Sprint("restricted ", refused), c.line(t, "restricted "))
}

// ping sends PING and returns one line.
func ping(conn net.Conn) (string, error) {
	if _, err := conn.Write(resp.AppendCommand(nil, "PING")); err != nil {
		return "", err
	}
	return bufio.NewReader(conn).ReadString('\n')
}
