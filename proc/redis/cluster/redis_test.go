package cluster

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// These tests hold the parsers to what a real redis-server says. They run servers of their own: the
// package that starts clusters for all other tests may import this one.

// server is a redis-server with cluster support and a connection to it. It dies with the test.
type server struct {
	host    string
	port    int
	busPort int
	id      string
	conn    net.Conn
	in      *bufio.Reader
}

// startServer starts a redis-server on a free port of host.
func startServer(t *testing.T, host string) *server {
	t.Helper()
	bin, err := exec.LookPath("redis-server")
	require.NoError(t, err, "these tests need redis-server in the PATH")
	var lastErr error
	for range 5 { // a port that was free a moment ago may be taken
		s := &server{host: host, port: freePort(t, host), busPort: freePort(t, host)}
		if lastErr = s.start(t, bin); lastErr == nil {
			return s
		}
	}
	require.NoError(t, lastErr)
	return nil
}

func (s *server) start(t *testing.T, bin string) error {
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	cmd := exec.Command(bin, "--port", strconv.Itoa(s.port), "--bind", s.host, "--cluster-enabled", "yes",
		"--cluster-port", strconv.Itoa(s.busPort), "--dir", dir, "--logfile", log, "--save", "",
		"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1", "--cluster-node-timeout", "3000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // also when a test panics
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	stop := func() {
		_ = cmd.Process.Kill()
		<-exited
	}
	if err := s.dial(exited); err != nil {
		stop()
		text, _ := os.ReadFile(log)
		return fmt.Errorf("%w\n%s", err, text)
	}
	t.Cleanup(func() {
		_ = s.conn.Close()
		stop()
	})
	s.id = s.bulk(t, "CLUSTER", "MYID")
	return nil
}

// dial connects to the server as soon as it listens.
func (s *server) dial(exited <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.addr())
		if err == nil {
			s.conn, s.in = conn, bufio.NewReader(conn)
			return nil
		}
		select {
		case <-tick.C:
		case <-exited:
			return fmt.Errorf("redis-server on %s ended", s.addr())
		case <-ctx.Done():
			return err
		}
	}
}

func (s *server) addr() string { return net.JoinHostPort(s.host, strconv.Itoa(s.port)) }

// do sends one command and returns its reply as it came.
func (s *server) do(t *testing.T, args ...string) []byte {
	t.Helper()
	require.NoError(t, s.conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, err := io.WriteString(s.conn, command(args...))
	require.NoError(t, err)
	return s.reply(t)
}

func command(args ...string) string {
	l := make(list, len(args))
	for i, arg := range args {
		l[i] = arg
	}
	return encode(l, 2)
}

// reply reads the next reply, by its own reading of the protocol.
func (s *server) reply(t *testing.T) []byte {
	t.Helper()
	var reply []byte
	for open := 1; open > 0; open-- {
		line, err := s.in.ReadBytes('\n')
		require.NoError(t, err)
		reply = append(reply, line...)
		n, _ := strconv.Atoi(string(bytes.TrimSpace(line[1:])))
		switch line[0] {
		case '*', '~':
			open += max(n, 0)
		case '%':
			open += 2 * n
		case '$', '=':
			if n >= 0 {
				body := make([]byte, n+2)
				_, err = io.ReadFull(s.in, body)
				require.NoError(t, err)
				reply = append(reply, body...)
			}
		}
	}
	return reply
}

// ok sends a command that has to be answered with OK.
func (s *server) ok(t *testing.T, args ...string) {
	t.Helper()
	require.Equal(t, "+OK\r\n", string(s.do(t, args...)), "%q", args)
}

// bulk sends a command and returns the string that it is answered with.
func (s *server) bulk(t *testing.T, args ...string) string {
	t.Helper()
	v, err := openAny(s.do(t, args...))
	require.NoError(t, err, "%q", args)
	return string(v.str())
}

// freePort returns a port of host that nobody listens on.
func freePort(t *testing.T, host string) int {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// eventually polls until cond holds, for 20 s at most.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			require.FailNow(t, "waited too long", what)
		}
	}
}

// startCluster starts three masters that own all slots, and a replica of the first one.
func startCluster(t *testing.T, host string) []*server {
	t.Helper()
	servers := make([]*server, 4)
	for i := range servers {
		servers[i] = startServer(t, host)
	}
	for i, slots := range [][]string{{"0", "5000", "16001", "16383"}, {"5001", "10000", "15000", "15000"}, {"10001", "14999", "15001", "16000"}} {
		servers[i].ok(t, append([]string{"CLUSTER", "ADDSLOTSRANGE"}, slots...)...)
		servers[i].ok(t, "CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
	}
	for i, s := range servers {
		for _, o := range servers[:i] {
			s.ok(t, "CLUSTER", "MEET", host, strconv.Itoa(o.port), strconv.Itoa(o.busPort))
		}
	}
	for _, s := range servers {
		eventually(t, "the nodes to meet", func() bool {
			info := s.bulk(t, "CLUSTER", "INFO")
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:4\r") &&
				strings.Contains(info, "cluster_size:3\r") && !strings.Contains(s.bulk(t, "CLUSTER", "NODES"), "handshake")
		})
	}
	servers[3].ok(t, "CLUSTER", "REPLICATE", servers[0].id)
	return servers
}

func TestSlotIsWhatRedisSays(t *testing.T) {
	s := startServer(t, "127.0.0.1")
	rnd := rand.New(rand.NewPCG(3, 4))
	keys := []string{"", "a", "{", "}", "{}", "{}{a}", "{a}", "a{b}c", "a{{b}}c", "{a}{b}", "a{b", "a}b{c}d", "123456789"}
	for i := range 3000 {
		keys = append(keys, string(randomKey(rnd, i%100)))
	}
	var out strings.Builder
	for _, key := range keys {
		out.WriteString(command("CLUSTER", "KEYSLOT", key))
	}
	require.NoError(t, s.conn.SetDeadline(time.Now().Add(20*time.Second)))
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(s.conn, out.String())
		sent <- err
	}()
	for _, key := range keys {
		require.Equal(t, fmt.Sprintf(":%d\r\n", Slot([]byte(key))), string(s.reply(t)), "%q", key)
	}
	require.NoError(t, <-sent)
}

func TestAllSourcesOfARealClusterGiveTheSameMap(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			if l, err := net.Listen("tcp", net.JoinHostPort(host, "0")); err != nil {
				t.Skipf("this machine has no %s: %v", host, err)
			} else {
				require.NoError(t, l.Close())
			}
			servers := startCluster(t, host)
			m := agreedMap(t, servers)
			checkRealMap(t, m, servers)
			checkRealRedirect(t, m, servers)
			checkEndpointTypes(t, m, servers)
		})
	}
}

// maps asks s in every way and returns what each gives, NODES first.
func (s *server) maps(t *testing.T) []*Map {
	t.Helper()
	var maps []*Map
	for _, protocol := range []string{"2", "3"} {
		s.do(t, "HELLO", protocol)
		nodes, err := ParseNodes(s.do(t, "CLUSTER", "NODES"), s.addr())
		require.NoError(t, err)
		slots, err := ParseSlots(s.do(t, "CLUSTER", "SLOTS"), s.addr())
		require.NoError(t, err)
		shards, err := ParseShards(s.do(t, "CLUSTER", "SHARDS"), s.addr(), false)
		require.NoError(t, err)
		maps = append(maps, nodes, slots, shards)
	}
	return maps
}

// agreedMap returns the map that all servers give in every way, once the replica is in sync.
func agreedMap(t *testing.T, servers []*server) *Map {
	t.Helper()
	var first *Map
	eventually(t, "all maps to be equal", func() bool {
		first = nil
		for _, s := range servers {
			for _, m := range s.maps(t) {
				if first == nil {
					first = m
				}
				if !m.Equal(first) || len(m.Replicas(m.Master(0))) != 1 {
					return false
				}
			}
		}
		return true
	})
	return first
}

func checkRealMap(t *testing.T, m *Map, servers []*server) {
	t.Helper()
	checkMap(t, m)
	require.Equal(t, Slots, m.Covered())
	require.Len(t, m.Nodes(), 4)
	for slot, i := range map[uint16]int{0: 0, 5000: 0, 5001: 1, 10000: 1, 10001: 2, 14999: 2, 15000: 1, 15001: 2, 16000: 2, 16001: 0, 16383: 0} {
		owner := m.Nodes()[m.Master(slot)]
		assert.Equal(t, servers[i].addr(), owner.Addr, "slot %d", slot)
		assert.Equal(t, servers[i].id, owner.ID, "slot %d", slot)
	}
	replica := m.Nodes()[m.Replicas(m.Master(0))[0]]
	assert.Equal(t, servers[3].addr(), replica.Addr)
	assert.GreaterOrEqual(t, m.Epoch(), uint64(3))
}

// checkRealRedirect asks every server for every third slot or so.
func checkRealRedirect(t *testing.T, m *Map, servers []*server) {
	t.Helper()
	for _, s := range servers[:3] {
		for i := range 100 {
			key := fmt.Sprintf("key:%d", i)
			reply := s.do(t, "GET", key)
			slot := Slot([]byte(key))
			owner := m.Nodes()[m.Master(slot)].Addr
			if owner == s.addr() {
				require.Equal(t, KindOther, ErrorKind(reply))
				continue
			}
			r, ok := ParseRedirect(reply)
			require.True(t, ok, "%q", reply)
			require.Equal(t, KindMoved, r.Kind)
			require.Equal(t, slot, r.Slot)
			require.Equal(t, owner, string(r.AppendAddr(nil, s.addr())))
		}
	}
}

// checkEndpointTypes lets the servers announce names, or nothing, in place of addresses.
func checkEndpointTypes(t *testing.T, m *Map, servers []*server) {
	t.Helper()
	for _, s := range servers {
		s.ok(t, "CONFIG", "SET", "cluster-preferred-endpoint-type", "unknown-endpoint")
	}
	// Everybody is on the one host that is asked, so nothing changes.
	checkRealRedirect(t, agreedMap(t, servers), servers)
	for _, s := range servers {
		s.ok(t, "CONFIG", "SET", "cluster-preferred-endpoint-type", "hostname")
	}
	assert.True(t, agreedMap(t, servers).Equal(m), "without names the addresses are known from the metadata")
	for i, s := range servers {
		s.ok(t, "CONFIG", "SET", "cluster-announce-hostname", fmt.Sprintf("node-%d.example", i))
	}
	s := servers[0]
	eventually(t, "the names to arrive", func() bool {
		return bytes.Count(s.do(t, "CLUSTER", "NODES"), []byte(".example")) == len(servers)
	})
	maps := s.maps(t)
	for _, i := range []int{1, 2, 4, 5} { // NODES has both and does not tell which one is preferred
		owner := maps[i].Nodes()[maps[i].Master(5001)]
		assert.Equal(t, fmt.Sprintf("node-1.example:%d", servers[1].port), owner.Addr)
	}
	owner := maps[0].Nodes()[maps[0].Master(5001)]
	assert.Equal(t, servers[1].addr(), owner.Addr)
	assert.Equal(t, "node-1.example", owner.Hostname)
	reply := s.do(t, "GET", keyOf(5001))
	r, ok := ParseRedirect(reply)
	require.True(t, ok, "%q", reply)
	assert.Equal(t, "node-1.example", string(r.Host))
}

// keyOf returns a key of the slot.
func keyOf(slot uint16) string {
	for i := 0; ; i++ {
		if key := strconv.Itoa(i); Slot([]byte(key)) == slot {
			return key
		}
	}
}
