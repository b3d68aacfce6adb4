package testredis

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// ErrClosed is returned by nodes and clusters that were closed.
var ErrClosed = errors.New("testredis: closed")

// Node is one redis-server: a process that may be running, stopped or dead,
// and what outlives it (ports, directory, cluster identity).
type Node struct {
	// Immutable.
	host      *host
	id        string // cluster node id, "" for a plain server
	dir       string
	extraArgs []string
	password  string                             // from --requirepass
	announce  func(id, addr string) (int, error) // may be nil

	mu sync.Mutex
	// Guarded by mu.
	port    port
	bus     port // zero for a plain server
	told    int  // port that is announced instead of port, 0 when none is
	proc    *process
	stopped bool
	closed  bool

	connMu sync.Mutex
	conn   *Conn // Guarded by connMu; nil until it is needed.
}

// newNode makes a node of h that has never run.
func (h *host) newNode(id string, args []string) (*Node, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrClosed
	}
	dir := filepath.Join(h.dir, strconv.Itoa(len(h.nodes)))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	n := &Node{host: h, id: id, dir: dir, extraArgs: args, password: argument(args, "--requirepass")}
	h.nodes = append(h.nodes, n)
	return n, nil
}

// argument returns the value of the last option name in args, or "".
func argument(args []string, name string) string {
	value := ""
	for i, arg := range args[:max(0, len(args)-1)] {
		if arg == name {
			value = args[i+1]
		}
	}
	return value
}

// ID returns the node's 40-digit cluster id, "" for a plain server.
func (n *Node) ID() string { return n.id }

// Dir returns the directory the server runs in. Its output is in the file
// server.log there. Close removes the directory.
func (n *Node) Dir() string { return n.dir }

// Addr returns "127.0.0.1:port". Only Move changes it.
func (n *Node) Addr() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.port.addr()
}

// Port returns the port for clients.
func (n *Node) Port() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.port.number
}

// Announced returns the address that the node tells clients and other nodes:
// Addr, unless [Options.Announce] or Announce gave it another port.
func (n *Node) Announced() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return port{number: n.toldLocked()}.addr()
}

// toldLocked returns the port of Announced.
func (n *Node) toldLocked() int { return cmp.Or(n.told, n.port.number) }

// Announce makes a running node tell another port on 127.0.0.1 than before. The
// others learn it with the node's next packet; see [Cluster.WaitStable].
func (n *Node) Announce(port int) error {
	if _, err := n.Do("CONFIG", "SET", "cluster-announce-port", port); err != nil {
		return fmt.Errorf("testredis: announce port %d: %w", port, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.told = port
	return nil
}

// Pid returns the process id, 0 while the node is down.
func (n *Node) Pid() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.runningLocked() {
		return 0
	}
	return n.proc.cmd.Process.Pid
}

// Running reports whether the process is there and not stopped.
func (n *Node) Running() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.runningLocked() && !n.stopped
}

// runningLocked reports whether the process is there, stopped or not.
func (n *Node) runningLocked() bool { return n.proc != nil && n.proc.running() }

// Do sends a command over the node's own connection, which it makes when
// needed and which is authenticated when the server was started with
// --requirepass. For arguments and replies see [Conn.Do]. One command at a
// time: a blocking one holds up the others, use [Dial] for it.
func (n *Node) Do(args ...any) (any, error) {
	replies, err := n.pipeline(args)
	if err != nil {
		return nil, err
	}
	if e, ok := replies[0].(Error); ok {
		return nil, e
	}
	return replies[0], nil
}

// MustDo is Do for tests: any error ends the test.
func (n *Node) MustDo(t testing.TB, args ...any) any {
	t.Helper()
	v, err := n.Do(args...)
	if err != nil {
		t.Fatalf("%s: %v: %v", n.Addr(), args, err)
	}
	return v
}

// DoAll is Do for several commands in one piece. It returns their replies in
// order; those that are errors are elements of type [Error].
func (n *Node) DoAll(cmds ...[]any) ([]any, error) { return n.pipeline(cmds...) }

// pipeline sends commands over the node's connection. Error replies are
// elements of type [Error].
func (n *Node) pipeline(cmds ...[]any) ([]any, error) {
	addr := n.Addr()
	n.connMu.Lock()
	defer n.connMu.Unlock()
	if n.conn == nil {
		conn, err := n.dial(addr)
		if err != nil {
			return nil, err
		}
		n.conn = conn
	}
	replies, err := n.conn.pipeline(cmds)
	if err != nil {
		n.hangUpLocked()
		return nil, fmt.Errorf("%s: %w", addr, err)
	}
	return replies, nil
}

// dial makes an authenticated connection.
func (n *Node) dial(addr string) (*Conn, error) {
	conn, err := Dial(addr)
	if err != nil || n.password == "" {
		return conn, err
	}
	if _, err := conn.Do("AUTH", n.password); err != nil {
		conn.Close()
		return nil, fmt.Errorf("%s: AUTH: %w", addr, err)
	}
	return conn, nil
}

// hangUp closes the node's own connection. It waits for a command on it, so
// the process must have ended, or nobody else uses the node.
func (n *Node) hangUp() {
	n.connMu.Lock()
	defer n.connMu.Unlock()
	n.hangUpLocked()
}

// hangUpLocked is hangUp under connMu.
func (n *Node) hangUpLocked() {
	if n.conn != nil {
		n.conn.Close()
		n.conn = nil
	}
}

// Kill ends the process with SIGKILL and returns when it is gone. The node
// keeps its ports and its nodes.conf for Restart. It does nothing to a node
// that is down.
func (n *Node) Kill() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.killLocked()
}

// killLocked is Kill under mu.
func (n *Node) killLocked() {
	if n.proc == nil {
		return
	}
	n.proc.kill()
	n.proc, n.stopped = nil, false
	n.hangUp()
}

// Restart starts the server again at the same address, after a kill when it is
// still running, and returns when it answers and has loaded its data. A master
// refuses keys for 2 s more, as Redis has it; see [Cluster.WaitStable].
func (n *Node) Restart() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.killLocked()
	return n.launchLocked(context.Background(), nil)
}

// Move is Restart at another address: both ports are new, the cluster id stays.
// The old ports are given back. What it announces is for [Options.Announce].
func (n *Node) Move() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return ErrClosed
	}
	n.killLocked()
	old, oldBus := n.port, n.bus
	defer func() { old.release(); oldBus.release() }() // Late, so that they are not drawn again.
	if err := n.reserveLocked(); err != nil {
		n.port, n.bus = port{}, port{}
		return err
	}
	return n.launchLocked(context.Background(), nil)
}

// Stop freezes the process with SIGSTOP and returns when it stands still: the
// kernel goes on accepting its connections, but nothing is read or answered.
func (n *Node) Stop() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.runningLocked() {
		return fmt.Errorf("testredis: stop %s: not running", n.port.addr())
	}
	if err := n.proc.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	n.stopped = true
	return poll(context.Background(), time.Second, n.frozenLocked)
}

// frozenLocked returns nil once all of the process is stopped.
func (n *Node) frozenLocked() error {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", n.proc.cmd.Process.Pid))
	if err != nil {
		return err
	}
	for _, file := range files {
		stat, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		// "pid (name) state ...", and the name may hold anything.
		if _, rest, _ := bytes.Cut(stat, []byte(") ")); !bytes.HasPrefix(rest, []byte("T")) {
			return errors.New("still running after SIGSTOP")
		}
	}
	return nil
}

// Continue wakes a stopped process with SIGCONT. It handles what has arrived
// in the meantime.
func (n *Node) Continue() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.runningLocked() {
		return fmt.Errorf("testredis: continue %s: not running", n.port.addr())
	}
	n.stopped = false
	return n.proc.cmd.Process.Signal(syscall.SIGCONT)
}

// Failover makes this replica the master and returns when it is one. The
// option is none (needs the master's help, loses nothing), "FORCE" (the master
// may be dead) or "TAKEOVER" (asks nobody). See CLUSTER FAILOVER.
func (n *Node) Failover(option ...string) error {
	cmd := []any{"CLUSTER", "FAILOVER"}
	for _, o := range option {
		cmd = append(cmd, o)
	}
	if _, err := n.Do(cmd...); err != nil {
		return fmt.Errorf("testredis: failover to %s: %w", n.Addr(), err)
	}
	return poll(context.Background(), changeTimeout, func() error {
		role, err := n.Do("ROLE")
		if err != nil {
			return err
		}
		if parts, ok := role.([]any); !ok || len(parts) == 0 || parts[0] != "master" {
			return fmt.Errorf("testredis: failover to %s: it is still a replica", n.Addr())
		}
		return nil
	})
}

// Close ends a server that StartNode started and frees all it had. A node of a
// cluster is only killed; the rest is for [Cluster.Close].
func (n *Node) Close() error {
	if n.id != "" {
		n.Kill()
		return nil
	}
	return n.host.close()
}

// shut ends the node for good.
func (n *Node) shut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return
	}
	n.closed = true
	n.killLocked()
	n.hangUp()
	n.port.release()
	n.bus.release()
	n.port, n.bus = port{}, port{}
}
