package redis

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/config"
	"samaritan/internal/eventloop"
	"samaritan/internal/testredis"
	"samaritan/proc"
)

const (
	// shortLimit is the request timeout of the tests that wait for it.
	shortLimit = 300 * time.Millisecond
	// overdue is how late something may be on a busy machine that must come at once or
	// at a limit.
	overdue = 3 * time.Second
	// recovery is how long a node that answers again may rest: the longest pause
	// between two probes, a probe that still waits, and a busy machine.
	recovery = 5 * time.Second
)

// stub is a node whose behaviour a test changes while it serves. Unlike scriptedNode it
// can stay silent, answer late and piece by piece, hang up and come back, and it keeps
// account of what reached it.
type stub struct {
	// immutable
	Addr    string
	Port    int
	ended   chan struct{}  // closed when the test ends
	running sync.WaitGroup // what serves

	mu       sync.Mutex // guards the following
	script   func(c *stubConn, args []string) bool
	slots    string
	listener net.Listener
	slam     bool // close what is accepted
	conns    []*stubConn
	open     map[*stubConn]bool
	asked    map[string]int // by command
	accepted int
}

// stubConn is one connection to a stub.
type stubConn struct {
	net.Conn
	n *stub

	mu   sync.Mutex // orders what is written, and guards the following
	mute bool       // nothing is answered any more
	seen []string   // the commands, in order
}

// startStub serves until the test ends: at first as the owner of all slots that answers
// a GET with its key and all else with OK.
func startStub(t testing.TB) *stub {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	n := &stub{
		Addr: ln.Addr().String(), Port: ln.Addr().(*net.TCPAddr).Port,
		ended: make(chan struct{}), open: map[*stubConn]bool{}, asked: map[string]int{},
	}
	n.slots = slotsReply(n.Port)
	n.serve(ln)
	t.Cleanup(func() {
		close(n.ended)
		n.leave()
		n.running.Wait()
	})
	return n
}

// startStubs starts nodes that share the slots evenly.
func startStubs(t testing.TB, count int) []*stub {
	t.Helper()
	all := make([]*stub, count)
	ports := make([]int, count)
	for i := range all {
		all[i] = startStub(t)
		ports[i] = all[i].Port
	}
	for _, n := range all {
		n.setSlots(slotsReply(ports...))
	}
	return all
}

// addrs are the seeds.
func addrs(nodes []*stub) (all []string) {
	for _, n := range nodes {
		all = append(all, n.Addr)
	}
	return all
}

// does makes script the node's behaviour. True means that a request was dealt with,
// false leaves it to the standard reply; it runs on the goroutine of the connection.
func (n *stub) does(script func(c *stubConn, args []string) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.script = script
}

// silent is a node that reads and answers nothing.
func silent(*stubConn, []string) bool { return true }

// hangsOn is a node that answers nothing more on a connection once it was sent a
// command with that argument.
func hangsOn(arg string) func(*stubConn, []string) bool {
	return func(c *stubConn, args []string) bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, a := range args {
			c.mute = c.mute || a == arg
		}
		return c.mute
	}
}

// holds makes the node answer a command only when what is returned has been closed.
func (n *stub) holds(command string) chan<- struct{} {
	hold := make(chan struct{})
	n.does(func(_ *stubConn, args []string) bool {
		if args[0] == command {
			select {
			case <-hold:
			case <-n.ended:
			}
		}
		return false
	})
	return hold
}

func (n *stub) setSlots(reply string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.slots = reply
}

// slams makes the node close every connection that it accepts, or no longer.
func (n *stub) slams(on bool) {
	n.mu.Lock()
	n.slam = on
	n.mu.Unlock()
	if on {
		n.hangUp()
	}
}

// leave closes the listener and all connections: the address refuses.
func (n *stub) leave() {
	n.mu.Lock()
	n.listener.Close()
	n.mu.Unlock()
	n.hangUp()
}

// returns listens again where it was before leave.
func (n *stub) returns(t testing.TB) {
	t.Helper()
	var ln net.Listener
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		var err error
		ln, err = net.Listen("tcp", n.Addr)
		assert.NoError(c, err)
	}, overdue, time.Millisecond)
	n.serve(ln)
}

func (n *stub) hangUp() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.open {
		c.Close()
	}
}

func (n *stub) serve(ln net.Listener) {
	n.mu.Lock()
	n.listener = ln
	n.mu.Unlock()
	n.running.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			c := &stubConn{Conn: nc, n: n}
			if !n.admit(c) {
				nc.Close()
				continue
			}
			n.running.Go(c.serve)
		}
	})
}

func (n *stub) admit(c *stubConn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.accepted++
	select {
	case <-n.ended:
		return false
	default:
	}
	if n.slam {
		return false
	}
	n.conns = append(n.conns, c)
	n.open[c] = true
	return true
}

func (c *stubConn) serve() {
	n := c.n
	defer func() {
		c.Close()
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.open, c)
	}()
	r := bufio.NewReader(c)
	for {
		args, err := readRequest(r)
		if err != nil {
			return
		}
		args[0] = strings.ToUpper(args[0])
		c.mu.Lock()
		c.seen = append(c.seen, args[0])
		c.mu.Unlock()
		n.mu.Lock()
		n.asked[args[0]]++
		script, slots := n.script, n.slots
		n.mu.Unlock()
		if script == nil || !script(c, args) {
			c.say(standardReply(args, slots))
		}
	}
}

// say writes raw bytes; false means that the connection is gone.
func (c *stubConn) say(raw string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := io.WriteString(c, raw)
	return err == nil
}

// every says what next returns, piece by piece, until it returns "" or the connection
// or the test ends.
func (c *stubConn) every(pause time.Duration, next func() string) {
	c.n.running.Go(func() {
		tick := time.NewTicker(pause)
		defer tick.Stop()
		for raw := next(); raw != "" && c.say(raw); raw = next() {
			select {
			case <-tick.C:
			case <-c.n.ended:
				return
			}
		}
	})
}

func standardReply(args []string, slots string) string {
	switch args[0] {
	case "CLUSTER":
		return slots
	case "INFO":
		return bulk("# Server\r\nredis_version:7")
	case "PING":
		return "+PONG\r\n"
	case "HELLO":
		return "*2\r\n$5\r\nproto\r\n:3\r\n"
	case "GET":
		return bulk(args[1])
	case "MGET":
		var b strings.Builder
		fmt.Fprintf(&b, "*%d\r\n", len(args)-1)
		for _, k := range args[1:] {
			b.WriteString(bulk(k))
		}
		return b.String()
	case "DEL":
		return fmt.Sprintf(":%d\r\n", len(args)-1)
	}
	return "+OK\r\n"
}

func bulk(s string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }

// count is how often a command has reached the node.
func (n *stub) count(command string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked[command]
}

// ownCommands are what a proxy sends without a client wanting it.
var ownCommands = map[string]bool{
	"PING": true, "HELLO": true, "READONLY": true, "READWRITE": true, "CLUSTER": true, "INFO": true, "CLIENT": true, "AUTH": true,
}

// userRequests is how many commands of clients have reached the node.
func (n *stub) userRequests() (sum int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, count := range n.asked {
		if !ownCommands[name] {
			sum += count
		}
	}
	return sum
}

// userConns are the connections that have carried commands of clients, in the order
// accepted, as the commands that they carried.
func (n *stub) userConns() (all [][]string) {
	n.mu.Lock()
	conns := append([]*stubConn(nil), n.conns...)
	n.mu.Unlock()
	for _, c := range conns {
		c.mu.Lock()
		seen := append([]string(nil), c.seen...)
		c.mu.Unlock()
		for _, name := range seen {
			if !ownCommands[name] {
				all = append(all, seen)
				break
			}
		}
	}
	return all
}

// attempts is how many connections the node has accepted.
func (n *stub) attempts() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.accepted
}

// slotsWithReplicas is CLUSTER SLOTS of one master of all slots.
func slotsWithReplicas(nodes ...*stub) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*1\r\n*%d\r\n:0\r\n:16383\r\n", 2+len(nodes))
	for _, n := range nodes {
		fmt.Fprintf(&b, "*3\r\n$9\r\n127.0.0.1\r\n:%d\r\n%s", n.Port, bulk(fmt.Sprintf("%040d", n.Port)))
	}
	return b.String()
}

// logLines is what a proxy has logged so far.
type logLines struct {
	mu  sync.Mutex // guards the following
	buf bytes.Buffer
}

func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// names waits for a line that holds a node's address and the cause, as a regular
// expression that ignores case.
func (l *logLines) names(t testing.TB, node, cause string) {
	t.Helper()
	re := regexp.MustCompile("(?i)" + cause)
	found := func() bool {
		for line := range strings.Lines(l.String()) {
			if strings.Contains(line, node) && re.MatchString(line) {
				return true
			}
		}
		return false
	}
	assert.Eventually(t, found, overdue, 5*time.Millisecond, "no line names %s and %s in:\n%s", node, cause, l)
}

// startLogged is startProxy, ready, with the log kept for the test to read.
func startLogged(t testing.TB, o proxyOptions, seeds ...string) (*testProxy, *logLines) {
	t.Helper()
	group, err := eventloop.NewGroup(max(o.loops, 1))
	require.NoError(t, err)
	loopsCtx, stopLoops := context.WithCancel(context.Background())
	loopsEnded := make(chan struct{})
	go func() { defer close(loopsEnded); _ = group.Run(loopsCtx) }()

	svc, err := config.NewService("test", o.config(), endpointsOf(t, seeds))
	require.NoError(t, err)
	lines := new(logLines)
	var lc net.ListenConfig
	built, err := New(svc, proc.Env{
		Listen: lc.Listen, Loops: group, Drain: max(o.drain, time.Second), Version: "test",
		Log: slog.New(slog.NewTextHandler(lines, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	p := &testProxy{Proc: built.(*Proc), stop: stop, ended: make(chan struct{})}
	go func() { defer close(p.ended); p.result = p.Run(ctx) }()
	t.Cleanup(func() {
		p.Stop()
		stopLoops()
		<-loopsEnded
	})
	p.ready(t)
	require.Eventually(t, func() bool { return p.Status().Address != "" }, 5*time.Second, time.Millisecond)
	p.Addr = p.Status().Address
	return p, lines
}

// moves waits until a counter or gauge of the proxy has that value at least.
func (p *testProxy) moves(t testing.TB, name string, least int) {
	t.Helper()
	ok := func() bool { return p.counter(name) >= least }
	require.Eventually(t, ok, overdue, 2*time.Millisecond, "%s does not get to %d", name, least)
}

// timedOut is the error of a request that node did not answer within shortLimit.
func timedOut(node string) string {
	return "ERR samaritan: node " + node + " timed out: no reply within " + shortLimit.String()
}

// unreachable is how the error of a request to a node that rests begins.
func unreachable(node string) string { return "ERR samaritan: node " + node + " is not reachable" }

// within asserts how long something has taken since start.
func within(t testing.TB, start time.Time, least, most time.Duration) {
	t.Helper()
	took := time.Since(start)
	assert.GreaterOrEqual(t, took, least)
	assert.Less(t, took, most)
}

// residentMemory is what the process has in memory, in bytes: buffers need not be on
// the heap.
func residentMemory(t testing.TB) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	var size, resident int
	_, err = fmt.Sscan(string(text), &size, &resident)
	require.NoError(t, err)
	return resident * os.Getpagesize()
}

// assertOwn asserts that a reply is the request's own or an error of the proxy that
// names the node, and tells which.
func assertOwn(t testing.TB, own, got any, node string) bool {
	t.Helper()
	if e, ok := got.(testredis.Error); ok {
		assert.Contains(t, string(e), "ERR samaritan: ")
		assert.Contains(t, string(e), node)
		return false
	}
	return assert.True(t, reflect.DeepEqual(own, got), "the reply of another request: %.80v instead of %.80v", got, own)
}
