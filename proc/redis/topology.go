package redis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"samaritan/proc/redis/cluster"
	"samaritan/proc/redis/resp"
)

const (
	refreshEvery    = time.Minute            // without a reason
	refreshGap      = 100 * time.Millisecond // least time between two, with reasons
	refreshRetryMax = 2 * time.Second        // longest pause while no node answers
	refreshTimeout  = 2 * time.Second        // for one node, dialling included
	maxTopology     = 64 << 20               // bytes of a reply
)

// cause is why the slot map is asked for out of turn.
type cause string

const (
	causeStart      cause = "start"
	causeMoved      cause = "MOVED"
	causeUncovered  cause = "slot without owner"
	causeConnection cause = "connection to a node failed"
	causeNodeState  cause = "state of a node"
	causeSeeds      cause = "endpoints changed"
)

// topology keeps the slot map of a service up to date, on one goroutine and over
// connections of its own. It asks one node at a time, one question at a time; a map
// is published only when it is usable and new, so on any error the old one stays.
type topology struct {
	log     *slog.Logger
	publish func(*cluster.Map)

	tried    chan struct{} // closed when the first refresh has ended, well or not
	wake     chan cause    // holds at most one: reasons that come together are one
	current  atomic.Pointer[cluster.Map]
	version  atomic.Pointer[string] // redis_version of the node asked last
	counters struct{ total, success, failure atomic.Uint64 }

	mu      sync.Mutex // guards the following
	seeds   []string
	lastErr error
}

func newTopology(log *slog.Logger, seeds []string, publish func(*cluster.Map)) *topology {
	return &topology{log: log, publish: publish, tried: make(chan struct{}), wake: make(chan cause, 1), seeds: seeds}
}

// Map is the slot map in use, nil before the first one was learned.
func (t *topology) Map() *cluster.Map { return t.current.Load() }

// Version is the redis_version that the cluster's nodes report, "" while unknown.
func (t *topology) Version() string {
	if v := t.version.Load(); v != nil {
		return *v
	}
	return ""
}

// Err is why there is no map yet, or why the last refresh failed.
func (t *topology) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lastErr
}

// SetSeeds changes the addresses to start from and asks anew.
func (t *topology) SetSeeds(seeds []string) {
	t.mu.Lock()
	t.seeds = seeds
	t.mu.Unlock()
	t.trigger(causeSeeds)
}

// trigger asks for a refresh soon. It may be called from any goroutine, does not
// wait, and costs next to nothing when a refresh is due already.
func (t *topology) trigger(c cause) {
	if len(t.wake) > 0 {
		return
	}
	select {
	case t.wake <- c:
	default:
	}
}

// Run refreshes until ctx ends.
func (t *topology) Run(ctx context.Context) {
	failures := 0
	why := causeStart
	for ctx.Err() == nil {
		err := t.refresh(ctx, why)
		if why == causeStart {
			close(t.tried)
		}
		pause := jitter(refreshEvery)
		switch {
		case err != nil:
			pause = jitter(min(refreshGap<<min(failures, 5), refreshRetryMax))
			failures++
		case t.Map().Covered() < cluster.Slots:
			pause = jitter(refreshRetryMax)
			failures = 0
		default:
			failures = 0
		}
		why = t.rest(ctx, pause)
	}
}

// rest waits until a refresh is due, and at least the gap.
func (t *topology) rest(ctx context.Context, pause time.Duration) cause {
	if !sleep(ctx, min(pause, jitter(refreshGap))) {
		return ""
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ""
	case <-timer.C:
		return "timer"
	case why := <-t.wake:
		return why
	}
}

// refresh asks the known nodes one after the other until one gives a usable map.
func (t *topology) refresh(ctx context.Context, why cause) error {
	t.counters.total.Add(1)
	var errs []error
	for _, addr := range t.candidates() {
		m, err := t.ask(ctx, addr)
		if err == nil && m.Covered() == 0 {
			err = fmt.Errorf("node %s knows no owner of any slot", addr)
		}
		if err != nil {
			errs = append(errs, err)
			if ctx.Err() != nil {
				break
			}
			continue
		}
		t.counters.success.Add(1)
		t.setErr(nil)
		t.adopt(m, addr, why)
		return nil
	}
	if len(errs) == 0 {
		errs = append(errs, errors.New("no endpoints"))
	}
	t.counters.failure.Add(1)
	err := fmt.Errorf("no node gives the slot map: %w", errors.Join(errs...))
	if t.setErr(err) && ctx.Err() == nil {
		t.log.Warn("cannot refresh the slot map, keeping what is known", "reason", why, "error", oneLine(err))
	}
	return err
}

// setErr notes the outcome and reports whether it is news.
func (t *topology) setErr(err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	news := (t.lastErr == nil) != (err == nil)
	t.lastErr = err
	return news
}

func (t *topology) adopt(m *cluster.Map, from string, why cause) {
	old := t.current.Load()
	if old != nil && old.Equal(m) {
		return
	}
	t.current.Store(m)
	t.log.Info("slot map changed", "reason", string(why), "from", from, "nodes", len(m.Nodes()), "slots", m.Covered())
	t.publish(m)
}

// candidates are the nodes of the map in random order, masters first, then the seeds.
func (t *topology) candidates() []string {
	var masters, replicas []string
	if m := t.Map(); m != nil {
		for _, n := range m.Nodes() {
			switch {
			case !n.Healthy:
			case n.Replica:
				replicas = append(replicas, n.Addr)
			default:
				masters = append(masters, n.Addr)
			}
		}
	}
	t.mu.Lock()
	seeds := slices.Clone(t.seeds)
	t.mu.Unlock()
	var all []string
	for _, group := range [][]string{masters, seeds, replicas} {
		rand.Shuffle(len(group), func(i, j int) { group[i], group[j] = group[j], group[i] })
		for _, addr := range group {
			if !slices.Contains(all, addr) {
				all = append(all, addr)
			}
		}
	}
	return all
}

// ask gets the map from one node: by CLUSTER SLOTS, or what else the server knows.
func (t *topology) ask(ctx context.Context, addr string) (*cluster.Map, error) {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	q := &question{conn: conn, r: bufio.NewReaderSize(conn, 16<<10)}
	m, err := q.slotMap(addr)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", addr, err)
	}
	if t.version.Load() == nil {
		t.learnVersion(q)
	}
	return m, nil
}

func (t *topology) learnVersion(q *question) {
	reply, err := q.ask("INFO", "server")
	if err != nil {
		return
	}
	_, after, ok := strings.Cut(string(reply), "redis_version:")
	if !ok {
		return
	}
	v, _, _ := strings.Cut(after, "\r\n")
	t.version.Store(&v)
}

// question is a conversation with one node.
type question struct {
	conn net.Conn
	r    *bufio.Reader
}

func (q *question) slotMap(addr string) (*cluster.Map, error) {
	reply, err := q.ask("CLUSTER", "SLOTS")
	if err == nil {
		return cluster.ParseSlots(reply, addr)
	}
	if !isErrorReply(err) {
		return nil, err
	}
	if reply, err2 := q.ask("CLUSTER", "SHARDS"); err2 == nil {
		return cluster.ParseShards(reply, addr, false)
	}
	reply, err2 := q.ask("CLUSTER", "NODES")
	if err2 != nil {
		return nil, err
	}
	return cluster.ParseNodes(reply, addr)
}

func isErrorReply(err error) bool {
	var e resp.ErrorReply
	return errors.As(err, &e)
}

// ask sends a command and returns the reply; an error reply is an error.
func (q *question) ask(args ...string) ([]byte, error) {
	if _, err := q.conn.Write(resp.AppendCommand(nil, args...)); err != nil {
		return nil, err
	}
	reply, err := readReply(q.r)
	if err != nil {
		return nil, err
	}
	if reply[0] == '-' {
		return nil, resp.ErrorReply(strings.TrimSpace(string(reply[1:])))
	}
	return reply, nil
}

// readReply reads one whole reply.
func readReply(r *bufio.Reader) ([]byte, error) {
	var s resp.Scanner
	var buf []byte
	for {
		if _, err := r.Peek(1); err != nil {
			return nil, err
		}
		chunk, _ := r.Peek(r.Buffered())
		had := len(buf)
		buf = append(buf, chunk...)
		n, err := s.Scan(buf)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			_, _ = r.Discard(n - had)
			return buf[:n], nil
		}
		if len(buf) > maxTopology {
			return nil, errors.New("reply is larger than " + strconv.Itoa(maxTopology) + " bytes")
		}
		_, _ = r.Discard(len(chunk))
	}
}

// jitter spreads d by a quarter to both sides.
func jitter(d time.Duration) time.Duration { return d*3/4 + rand.N(d/2) }

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// oneLine makes a joined error fit for a log line.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
