package chaos

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"samaritan/internal/testredis"
)

const (
	bulkSize   = 100 << 20 // the value of the bulk clients
	bulkPeriod = 500 * time.Millisecond
	bulkBuffer = 256 << 10

	deafClients = 8
	deafSize    = 10 << 20
	deafDepth   = 4 // requests of each of them: 320 MiB in all, which Redis can make within a second
)

// scenario is one way in which some might disturb others.
type scenario struct {
	name, help string
	wire       string // the scenario that does the same to the machine, but not to the daemon
	begin      func(r *isolationRig) (end func() error, err error)
}

// scenarios returns all of them.
func scenarios() []scenario {
	get, set := getLarge, setLarge
	return []scenario{
		{name: "nothing", help: "nothing: how much two windows differ by themselves", begin: nothing},
		{name: "unasked", help: "nobody asks node 0 for anything", begin: unask},
		{name: "stopped", help: "node 0 is stopped (SIGSTOP)", wire: "unasked", begin: stopNode},
		{
			name: "get-100MB", help: "a client reads a value of 100 MiB from node 0 again and again",
			wire: "get-100MB-direct", begin: bulk(get, viaDaemon, 0),
		},
		{name: "get-100MB-direct", help: "the same, without the daemon", begin: bulk(get, direct, 0)},
		{
			name: "get-100MB-paced", help: "the same, twice a second",
			wire: "get-100MB-paced-direct", begin: bulk(get, viaDaemon, bulkPeriod),
		},
		{name: "get-100MB-paced-direct", help: "the same, without the daemon", begin: bulk(get, direct, bulkPeriod)},
		{
			name: "set-100MB", help: "a client writes a value of 100 MiB to node 0 again and again",
			wire: "set-100MB-direct", begin: bulk(set, viaDaemon, 0),
		},
		{name: "set-100MB-direct", help: "the same, without the daemon", begin: bulk(set, direct, 0)},
		{
			name: "set-100MB-paced", help: "the same, twice a second",
			wire: "set-100MB-paced-direct", begin: bulk(set, viaDaemon, bulkPeriod),
		},
		{name: "set-100MB-paced-direct", help: "the same, without the daemon", begin: bulk(set, direct, bulkPeriod)},
		{name: "newcomers", help: "twice a second a new client reads a value of 100 MiB from node 0", wire: "newcomers-direct", begin: newcomers(viaDaemon)},
		{name: "newcomers-direct", help: "the same, without the daemon", begin: newcomers(direct)},
		{
			name:  "deaf",
			help:  fmt.Sprintf("%d clients ask node 0 for values of 10 MiB, %d times each, and read nothing", deafClients, deafDepth),
			wire:  "deaf-direct",
			begin: askAndTurnAway(viaDaemon),
		},
		{name: "deaf-direct", help: "the same, without the daemon", begin: askAndTurnAway(direct)},
	}
}

func nothing(*isolationRig) (func() error, error) { return func() error { return nil }, nil }

// unask silences the clients of node 0. That alone makes others a bit slower or faster: a
// machine with less to do wakes up more slowly.
func unask(r *isolationRig) (func() error, error) {
	r.pacer.silent[Same] = true
	return func() error {
		r.pacer.silent[Same] = false
		return nil
	}, nil
}

// stopNode stops node 0.
func stopNode(r *isolationRig) (func() error, error) {
	return r.nodes[0].Continue, r.nodes[0].Stop()
}

func viaDaemon(r *isolationRig) string { return r.daemon.Addr() }
func direct(r *isolationRig) string    { return r.nodes[0].Addr() }

// bulk makes a client that exchanges large values, one every period or without
// a pause.
func bulk(exchange exchange, where func(*isolationRig) string, period time.Duration) func(*isolationRig) (func() error, error) {
	return func(r *isolationRig) (func() error, error) {
		conn, err := net.Dial("tcp", where(r))
		if err != nil {
			return nil, err
		}
		s := &streamer{
			conn: conn, in: bufio.NewReaderSize(conn, bulkBuffer), key: r.largeKey(bulkSize), moved: &r.moved,
			period: period, stop: make(chan struct{}), ended: make(chan error, 1),
		}
		// The first value shows the daemon what this client is like; see newcomers for what that costs.
		if err := exchange(conn, s.in, s.key); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		go s.run(exchange)
		return s.end, nil
	}
}

// newcomers makes clients that read one large value each, as their first command: nobody
// can know what they will want.
func newcomers(where func(*isolationRig) string) func(*isolationRig) (func() error, error) {
	return func(r *isolationRig) (func() error, error) {
		s := &streamer{key: r.largeKey(bulkSize), moved: &r.moved, period: bulkPeriod, stop: make(chan struct{}), ended: make(chan error, 1)}
		addr := where(r)
		go s.run(func(io.Writer, *bufio.Reader, string) error {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				return err
			}
			return errors.Join(getLarge(conn, bufio.NewReaderSize(conn, bulkBuffer), s.key), conn.Close())
		})
		return s.end, nil
	}
}

// streamer is a client that moves large values.
type streamer struct {
	conn   net.Conn // nil: a new one for each value
	in     *bufio.Reader
	key    string
	period time.Duration
	moved  *atomic.Int64 // bytes
	stop   chan struct{} // closed by end
	ended  chan error
}

// exchange moves one large value.
type exchange func(w io.Writer, r *bufio.Reader, key string) error

// run is the streamer's goroutine.
func (s *streamer) run(move exchange) {
	var err error
	for next := time.Now(); err == nil && s.pause(time.Until(next)); next = next.Add(s.period) {
		if err = move(s.conn, s.in, s.key); err == nil {
			s.moved.Add(bulkSize)
		}
	}
	s.ended <- err
}

// pause lets d go by, and returns whether to go on.
func (s *streamer) pause(d time.Duration) bool {
	select {
	case <-s.stop:
		return false
	default:
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.stop:
		return false
	}
}

// end ends the streamer after its present value.
func (s *streamer) end() error {
	close(s.stop)
	err := <-s.ended
	if s.conn != nil {
		err = errors.Join(err, s.conn.Close())
	}
	return err
}

// getLarge reads the value once.
func getLarge(w io.Writer, r *bufio.Reader, key string) error {
	if _, err := w.Write(frame("GET", key)); err != nil {
		return err
	}
	line, err := r.ReadString('\n')
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "$")))
	if err != nil || n != bulkSize {
		return fmt.Errorf("chaos: unexpected reply %q to GET", line)
	}
	_, err = r.Discard(n + 2)
	return err
}

// filler is what large values are made of.
var filler = make([]byte, bulkBuffer)

// setLarge writes the value once.
func setLarge(w io.Writer, r *bufio.Reader, key string) error {
	if _, err := fmt.Fprintf(w, "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n", len(key), key, bulkSize); err != nil {
		return err
	}
	for left := bulkSize; left > 0; {
		n, err := w.Write(filler[:min(left, len(filler))])
		if err != nil {
			return err
		}
		left -= n
	}
	if _, err := io.WriteString(w, "\r\n"); err != nil {
		return err
	}
	line, err := r.ReadString('\n')
	if err == nil && line != "+OK\r\n" {
		err = fmt.Errorf("chaos: unexpected reply %q to SET", line)
	}
	return err
}

// askAndTurnAway makes clients that ask for much and read nothing.
func askAndTurnAway(where func(*isolationRig) string) func(*isolationRig) (func() error, error) {
	return func(r *isolationRig) (func() error, error) {
		var conns []net.Conn
		var writing sync.WaitGroup
		end := func() error {
			var errs []error
			for _, c := range conns {
				errs = append(errs, c.Close())
			}
			writing.Wait()
			return errors.Join(errs...)
		}
		request := []byte(strings.Repeat(string(frame("GET", r.largeKey(deafSize))), deafDepth))
		for range deafClients {
			c, err := net.Dial("tcp", where(r))
			if err != nil {
				return nil, errors.Join(err, end())
			}
			conns = append(conns, c)
			writing.Go(func() {
				_, _ = c.Write(request) // Whoever is asked may close it at any time: that is its right.
			})
		}
		return end, nil
	}
}

// frame is a command as it is sent.
func frame(args ...string) []byte {
	b := fmt.Appendf(nil, "*%d\r\n", len(args))
	for _, a := range args {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b
}

// largeKey is the name of the value of that size, at node 0.
func (r *isolationRig) largeKey(size int) string {
	return "large:" + r.tags[0][0] + ":" + strconv.Itoa(size)
}

// fill writes the large values and the small ones. Zeros are as good as other bytes.
func (r *isolationRig) fill() error {
	for _, size := range []int{bulkSize, deafSize} {
		if _, err := r.nodes[0].Do("SETRANGE", r.largeKey(size), size-1, "x"); err != nil {
			return err
		}
	}
	return r.small(func(n *testredis.Node, key string) error {
		_, err := n.Do("SET", key, smallValue)
		return err
	})
}
