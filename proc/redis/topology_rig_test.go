package redis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"samaritan/proc/redis/cluster"
)

// share is what one master owns, as one node sees it.
type share struct {
	addr        string // "other/a:1" is a node of another cluster at a:1
	epoch       int
	first, last int
}

// id is derived from the address.
func (s share) id() string {
	name := strings.NewReplacer(":", "0", "/", "1").Replace(s.addr)
	return name + strings.Repeat("0", 40-len(name))
}

func (s share) hostPort() (host, port string) {
	host, port, _ = net.SplitHostPort(s.addr[strings.LastIndex(s.addr, "/")+1:])
	return host, port
}

func bulkReply(s string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }

// slotsText is CLUSTER SLOTS; the nodes have no replicas.
func slotsText(shares []share) string {
	var b strings.Builder
	n := 0
	for _, s := range shares {
		if s.first > s.last {
			continue
		}
		n++
		host, port := s.hostPort()
		fmt.Fprintf(&b, "*3\r\n:%d\r\n:%d\r\n*3\r\n%s:%s\r\n%s", s.first, s.last, bulkReply(host), port, bulkReply(s.id()))
	}
	return fmt.Sprintf("*%d\r\n", n) + b.String()
}

// nodesText is CLUSTER NODES.
func nodesText(shares []share) string {
	var b strings.Builder
	for _, s := range shares {
		host, port := s.hostPort()
		fmt.Fprintf(&b, "%s %s:%s@1 master - 0 0 %d connected", s.id(), host, port, s.epoch)
		if s.first <= s.last {
			fmt.Fprintf(&b, " %d-%d", s.first, s.last)
		}
		b.WriteString("\n")
	}
	return bulkReply(b.String())
}

// pipeNode is a node of a pipeNet.
type pipeNode struct {
	shares  []share // what it knows
	down    bool    // refuses connections
	hung    bool    // accepts connections and is silent
	far     bool    // does not even accept them
	noNodes bool    // refuses CLUSTER NODES
	raw     string  // the answer to everything, when not ""
	closes  bool    // after raw
	asked   int     // connections that came
}

// pipeNet is a network of nodes in a synctest bubble.
type pipeNet struct {
	mu    sync.Mutex
	nodes map[string]*pipeNode
	order []string // addresses in the order they were dialled
}

// change runs fn while no node answers.
func (n *pipeNet) change(fn func(nodes map[string]*pipeNode)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	fn(n.nodes)
}

// all makes these nodes know the same.
func (n *pipeNet) all(shares []share, addrs ...string) {
	n.change(func(nodes map[string]*pipeNode) {
		for _, a := range addrs {
			if nodes[a] == nil {
				nodes[a] = &pipeNode{}
			}
			nodes[a].shares = shares
		}
	})
}

func (n *pipeNet) dial(ctx context.Context, addr string) (net.Conn, error) {
	n.mu.Lock()
	n.order = append(n.order, addr)
	node := n.nodes[addr]
	var copied pipeNode
	if node != nil {
		node.asked++
		copied = *node
	}
	n.mu.Unlock()
	switch {
	case node == nil || copied.down:
		return nil, fmt.Errorf("dial %s: %w", addr, errors.New("connection refused"))
	case copied.far:
		<-ctx.Done()
		return nil, ctx.Err()
	}
	client, server := net.Pipe()
	go copied.serve(server)
	return client, nil
}

func (f pipeNode) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		args, err := readRequest(r)
		if err != nil {
			return
		}
		reply := "+OK\r\n"
		switch what := strings.ToUpper(strings.Join(args, " ")); {
		case f.hung:
			continue
		case f.raw != "":
			reply = f.raw
		case what == "CLUSTER SLOTS":
			reply = slotsText(f.shares)
		case what == "CLUSTER NODES" && f.noNodes:
			reply = "-NOPERM this user has no permissions\r\n"
		case what == "CLUSTER NODES":
			reply = nodesText(f.shares)
		case what == "INFO SERVER":
			reply = bulkReply("# Server\r\nredis_version:7.0.15\r\nx:y\r\n")
		}
		if _, err := io.WriteString(c, reply); err != nil || f.closes {
			return
		}
	}
}

// questions is the number of connections so far, and forgets them.
func (n *pipeNet) questions() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	asked := n.order
	n.order = nil
	return asked
}

// topologyRig is a running topology in a bubble.
type topologyRig struct {
	*topology
	*pipeNet
}

// inBubble runs a test with a topology over a fake network and a clock of its own. Before,
// setup makes the nodes and returns the seeds; the first map is there when test begins.
func inBubble(t *testing.T, setup func(n *pipeNet) []string, test func(t *testing.T, r *topologyRig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := &pipeNet{nodes: map[string]*pipeNode{}}
		seeds := setup(n)
		r := &topologyRig{newTopology(slog.New(slog.NewTextHandler(t.Output(), nil)), seeds, func(*cluster.Map) {}), n}
		r.topology.dial = n.dial
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); r.Run(ctx) }()
		<-r.tried
		test(t, r)
		cancel()
		<-ended
	})
}

// pass lets the time go on.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// owner is the address of the owner of a slot in the map in use.
func (r *topologyRig) owner(slot uint16) string {
	m := r.Map()
	if m == nil || m.Master(slot) < 0 {
		return ""
	}
	return m.Nodes()[m.Master(slot)].Addr
}

// until waits for an owner of a slot and returns how long that took.
func (r *topologyRig) until(t *testing.T, slot uint16, addr string, limit time.Duration) time.Duration {
	t.Helper()
	began := time.Now()
	for r.owner(slot) != addr {
		require.Less(t, time.Since(began), limit, "slot %d is at %q and not at %q", slot, r.owner(slot), addr)
		pass(time.Millisecond)
	}
	return time.Since(began)
}

// Three masters, and what becomes of them.
const (
	nodeA, nodeB, nodeC, nodeD = "a:1", "b:1", "c:1", "d:1"
)

var (
	three = []share{{nodeA, 1, 0, 5000}, {nodeB, 2, 5001, 10000}, {nodeC, 3, 10001, 16383}}
	// D has taken over the slots of A.
	failedOver = []share{{nodeD, 4, 0, 5000}, {nodeB, 2, 5001, 10000}, {nodeC, 3, 10001, 16383}}
)

// threeMasters is a setup of A, B and C that agree; D waits.
func threeMasters(n *pipeNet) []string {
	n.all(three, nodeA, nodeB, nodeC, nodeD)
	return []string{nodeA, nodeB, nodeC}
}
