package redis

import (
	"bufio"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// wireNode is a scripted node that may answer when it likes, several at once, or never.
type wireNode struct {
	Addr string
	Port int

	slots atomic.Pointer[string] // its reply to CLUSTER SLOTS

	mu     sync.Mutex // guards the following
	conns  []*wireConn
	asking int // ASKINGs that were followed by another one
}

// wireConn is one connection from the proxy to a wireNode.
type wireConn struct {
	net.Conn
	node *wireNode
	at   int        // index of the node
	last []string   // the command before this one, ASKING included; for the script
	mu   sync.Mutex // one writer at a time
}

// say sends raw bytes. Replies may come from any goroutine.
func (c *wireConn) say(raw string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = io.WriteString(c, raw) // the proxy may be gone
}

// asked tells whether the command that is being handled came right after ASKING.
func (c *wireConn) asked() bool { return len(c.last) == 1 && strings.EqualFold(c.last[0], "ASKING") }

// wireScript handles one command, in the order of the connection; ASKING is answered
// already when the script sees what follows it.
type wireScript func(nodes []*wireNode, c *wireConn, args []string)

// startWires starts n nodes. The first owners of them share the slots evenly; the others
// are known by redirections only.
func startWires(t *testing.T, n, owners int, script wireScript) []*wireNode {
	t.Helper()
	nodes := make([]*wireNode, n)
	listeners := make([]net.Listener, n)
	var ports []int
	for i := range nodes {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		listeners[i] = ln
		nodes[i] = &wireNode{Addr: ln.Addr().String(), Port: ln.Addr().(*net.TCPAddr).Port}
		ports = append(ports, nodes[i].Port)
	}
	slots := slotsReply(ports[:owners]...)
	for _, n := range nodes {
		n.slots.Store(&slots)
	}
	var running sync.WaitGroup
	for i, ln := range listeners {
		running.Go(func() {
			for {
				nc, err := ln.Accept()
				if err != nil {
					return
				}
				c := &wireConn{Conn: nc, node: nodes[i], at: i}
				c.node.mu.Lock()
				c.node.conns = append(c.node.conns, c)
				c.node.mu.Unlock()
				running.Go(func() { c.serve(nodes, script) })
			}
		})
	}
	t.Cleanup(func() {
		for i, ln := range listeners {
			ln.Close()
			nodes[i].mu.Lock()
			for _, c := range nodes[i].conns {
				c.Close()
			}
			nodes[i].mu.Unlock()
		}
		running.Wait()
	})
	return nodes
}

func (c *wireConn) serve(nodes []*wireNode, script wireScript) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		args, err := readRequest(r)
		if err != nil {
			return
		}
		switch strings.ToUpper(args[0]) {
		case "CLUSTER":
			c.say(*c.node.slots.Load())
		case "INFO":
			c.say("$25\r\n# Server\r\nredis_version:7\r\n\r\n")
		case "HELLO":
			c.say("%1\r\n+proto\r\n:3\r\n")
		case "PING":
			c.say("+PONG\r\n")
		case "ASKING":
			if c.asked() {
				c.node.mu.Lock()
				c.node.asking++
				c.node.mu.Unlock()
			}
			c.say("+OK\r\n")
		case "READONLY", "READWRITE", "AUTH", "CLIENT":
			c.say("+OK\r\n")
		default:
			script(nodes, c, args)
		}
		c.last = args
	}
}

// journal is what several nodes have seen or executed, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
	times []time.Time
}

func (j *journal) add(line string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
	j.times = append(j.times, time.Now())
	return len(j.lines)
}

func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}

// count is how often a line is there.
func (j *journal) count(line string) (n int) {
	for _, l := range j.all() {
		if l == line {
			n++
		}
	}
	return n
}

// when are the times at which a line came.
func (j *journal) when(line string) (times []time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, l := range j.lines {
		if l == line {
			times = append(times, j.times[i])
		}
	}
	return times
}
