package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"samaritan/proc/redis/cluster"
)

const (
	refreshEvery = time.Minute            // without a reason
	refreshGap   = 100 * time.Millisecond // least time between two, with reasons

	// The pause in times of unrest, and how long these last after the last report of
	// trouble or change of the map. A failover is so seen well within a second, and so
	// are the replicas that come back after it.
	watchMin = 250 * time.Millisecond
	watchMax = 500 * time.Millisecond
	watchFor = 30 * time.Second

	// The pause while nodes differ, and how long that is pursued.
	settleMin = 200 * time.Millisecond
	settleMax = 400 * time.Millisecond
	settleFor = 30 * time.Second
)

// cause is why the slot map is asked for.
type cause string

const (
	causeTimer      cause = "timer"
	causeStart      cause = "start"
	causeMoved      cause = "MOVED"
	causeUncovered  cause = "slot without owner"
	causeConnection cause = "connection to a node failed"
	causeNodeState  cause = "state of a node"
	causeSeeds      cause = "endpoints changed"
)

// urgency orders causes: of those that come together the highest counts.
func (c cause) urgency() int32 {
	switch c {
	case causeSeeds, causeStart:
		return 3
	case causeMoved, causeUncovered:
		return 2
	case causeConnection, causeNodeState:
		return 1
	}
	return 0
}

// trouble tells whether the cluster is likely to change soon.
func (c cause) trouble() bool {
	return c == causeConnection || c == causeNodeState || c == causeUncovered
}

// contradicts tells whether the cause shows that the map in use is wrong, so that one
// node that repeats it settles nothing.
func (c cause) contradicts() bool { return c == causeMoved || c == causeUncovered }

// wish is a refresh that is due.
type wish struct {
	cause cause
	hint  string // address of a node to ask first, "" for none
}

// rank orders wishes: by urgency, and with a hint before without. It is 0 for none.
func (w wish) rank() int32 { return 2*w.cause.urgency() + int32(btoi(w.hint != "")) }

// topology keeps the slot map of a service up to date, on one goroutine and over
// connections of its own.
//
// One refresh runs at a time. It asks one node, and the next one as well whenever
// 200 ms pass in silence; the first good answer counts (askOne). When that is the map
// in use, this is all, unless there is a reason to believe that the map is wrong.
// Otherwise several nodes are asked at once (askSeveral), and the best of their
// answers is taken (choose), if it is not doubtful. On any error the old map stays.
//
// Refreshes follow each other by themselves: every minute; some three a second in
// times of unrest (watchFor) and while nodes differ (settleFor).
type topology struct {
	log     *slog.Logger
	publish func(*cluster.Map)
	dial    func(ctx context.Context, addr string) (net.Conn, error)
	// unhealthy returns the addresses that are down by their health checks.
	unhealthy func() map[string]bool

	tried    chan struct{} // closed when the first refresh has ended, well or not
	wake     chan struct{} // there is a wish
	rank     atomic.Int32  // of the wish that waits, 0 for none
	troubled atomic.Bool   // trouble was reported since the last refresh
	current  atomic.Pointer[cluster.Map]
	version  atomic.Pointer[string] // redis_version of the node asked first
	counters struct{ total, success, failure, disagreed atomic.Uint64 }

	mu      sync.Mutex // guards the following
	seeds   []string
	lastErr error
	waits   wish

	// Owned by Run.
	asks      sync.WaitGroup       // goroutines that ask a node
	epoch     uint64               // of the map in use, 0 when no node tells
	silent    map[string]time.Time // nodes that did not answer, and when
	unrestAt  time.Time            // when trouble was reported, or the map changed, last
	disputeAt time.Time            // since when nodes differ, zero while they agree
	doubt     doubt
	failing   bool // no node answered
	vain      bool // several nodes were asked and all confirmed the map in use
}

func newTopology(log *slog.Logger, seeds []string, publish func(*cluster.Map)) *topology {
	dialer := &net.Dialer{}
	return &topology{
		log: log, publish: publish, seeds: seeds,
		dial:      func(ctx context.Context, addr string) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", addr) },
		unhealthy: func() map[string]bool { return nil },
		tried:     make(chan struct{}), wake: make(chan struct{}, 1), silent: make(map[string]time.Time),
	}
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

// SetSeeds changes the addresses to start from and asks them. What they say is
// believed also when it is another cluster.
func (t *topology) SetSeeds(seeds []string) {
	t.mu.Lock()
	t.seeds = seeds
	t.mu.Unlock()
	t.trigger(causeSeeds, "")
}

// trigger asks for a refresh soon. It may be called from any goroutine, does not
// wait, and costs next to nothing when as good a reason waits already.
//
// The hint is the address of a node that likely knows better, such as the target of a
// MOVED, and is asked first; "" is for none.
func (t *topology) trigger(c cause, hint string) {
	if c.trouble() && !t.troubled.Load() {
		t.troubled.Store(true)
	}
	w := wish{c, hint}
	if t.rank.Load() >= w.rank() {
		return
	}
	t.mu.Lock()
	if w.rank() > t.waits.rank() {
		t.waits = w
		t.rank.Store(w.rank())
	}
	t.mu.Unlock()
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// take removes the wish that waits; its cause is "" when there is none.
func (t *topology) take() wish {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.waits
	t.waits = wish{}
	t.rank.Store(0)
	return w
}

// Run refreshes until ctx ends.
func (t *topology) Run(ctx context.Context) {
	defer t.asks.Wait()
	t.refresh(ctx, wish{cause: causeStart})
	close(t.tried)
	for {
		why, ok := t.rest(ctx)
		if !ok {
			return
		}
		t.refresh(ctx, why)
	}
}

// rest waits until a refresh is due, and at least the gap. It fails when ctx ends.
func (t *topology) rest(ctx context.Context) (why wish, ok bool) {
	pause, gap := t.pauses(time.Now())
	if !sleep(ctx, min(pause, gap)) {
		return why, false
	}
	timer := time.NewTimer(pause - min(pause, gap))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return why, false
		case <-timer.C:
			if why = t.take(); why.cause == "" {
				why.cause = causeTimer
			}
			return why, true
		case <-t.wake:
			if why = t.take(); why.cause != "" {
				return why, true
			}
		}
	}
}

// pauses returns when the next refresh is due without a reason, and with one.
func (t *topology) pauses(now time.Time) (pause, gap time.Duration) {
	if t.troubled.Swap(false) {
		t.unrestAt = now
	}
	gap = jitter(refreshGap)
	if t.vain { // the reason is likely to be the same once more
		gap = between(watchMin, watchMax)
	}
	switch {
	case t.unsettled(now):
		return between(settleMin, settleMax), gap
	case t.watchful(now):
		return between(watchMin, watchMax), gap
	}
	return jitter(refreshEvery), gap
}

// watchful tells whether the map is likely to change, or has to.
func (t *topology) watchful(now time.Time) bool {
	m := t.Map()
	return t.failing || m == nil || m.Covered() < cluster.Slots || !t.unrestAt.IsZero() && now.Sub(t.unrestAt) < watchFor
}

// unsettled tells whether the answers of several nodes have to be compared again.
func (t *topology) unsettled(now time.Time) bool {
	return t.doubt.slots != nil || !t.disputeAt.IsZero() && now.Sub(t.disputeAt) < settleFor
}

// refresh learns the slot map.
func (t *topology) refresh(ctx context.Context, why wish) {
	t.counters.total.Add(1)
	t.vain = false
	first, err := t.askOne(ctx, t.order(t.Map(), why))
	if ctx.Err() != nil {
		return
	}
	t.failing = err != nil
	if t.setErr(err) && err != nil {
		t.log.Warn("cannot refresh the slot map, keeping what is known", "reason", string(why.cause), "error", oneLine(err))
	}
	if err != nil {
		t.counters.failure.Add(1)
		return
	}
	t.counters.success.Add(1)
	known := t.Map().Equal(first.slots)
	if known && !why.cause.contradicts() && !t.unsettled(time.Now()) {
		t.disputeAt = time.Time{}
		return
	}
	t.decide(ctx, first, why)
	t.vain = known && !t.unsettled(time.Now()) && t.Map().Equal(first.slots)
}

// setErr notes the outcome and reports whether it is news.
func (t *topology) setErr(err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	news := (t.lastErr == nil) != (err == nil)
	t.lastErr = err
	return news
}

// order lists the nodes to ask: the hint, the masters of m in random order, the seeds,
// the replicas; the seeds first when they are new. Those that were silent a while ago,
// or are down by their health checks, come last.
func (t *topology) order(m *cluster.Map, why wish) []string {
	maps.DeleteFunc(t.silent, func(_ string, at time.Time) bool { return time.Since(at) > watchFor })
	masters, replicas := members(m)
	groups := [][]string{{why.hint}, masters, t.startingPoints(), replicas}
	if why.cause == causeSeeds {
		groups[1], groups[2] = groups[2], groups[1]
	}
	down := t.unhealthy()
	var good, bad []string
	for _, group := range groups {
		rand.Shuffle(len(group), func(i, j int) { group[i], group[j] = group[j], group[i] })
		for _, addr := range group {
			if _, quiet := t.silent[addr]; quiet || down[addr] {
				bad = append(bad, addr)
			} else if addr != "" {
				good = append(good, addr)
			}
		}
	}
	return distinct(append(good, bad...))
}

func (t *topology) startingPoints() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.seeds)
}

// members returns the addresses of the working nodes of m, which may be nil.
func members(m *cluster.Map) (masters, replicas []string) {
	if m == nil {
		return nil, nil
	}
	for _, n := range m.Nodes() {
		switch {
		case !n.Healthy:
		case n.Replica:
			replicas = append(replicas, n.Addr)
		default:
			masters = append(masters, n.Addr)
		}
	}
	return masters, replicas
}

// distinct drops repetitions, in place.
func distinct(addrs []string) []string {
	seen := make(map[string]bool, len(addrs))
	return slices.DeleteFunc(addrs, func(a string) bool {
		again := seen[a]
		seen[a] = true
		return again
	})
}

// between returns a random time from low up to high.
func between(low, high time.Duration) time.Duration { return low + rand.N(high-low) }

// jitter spreads d by a quarter to both sides.
func jitter(d time.Duration) time.Duration { return between(d*3/4, d*5/4) }

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

// noAnswer is the error of a refresh that no node answered.
func noAnswer(errs []error) error {
	if len(errs) == 0 {
		errs = []error{errors.New("no endpoints")}
	}
	return fmt.Errorf("no node gives the slot map: %w", errors.Join(errs...))
}
