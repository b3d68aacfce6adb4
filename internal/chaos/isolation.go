package chaos

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"samaritan/internal/testredis"
)

// How the paced clients load the daemon: far below what it can do, as beyond that
// latencies tell of queues only.
const (
	singles        = 4
	singleInterval = 2 * time.Millisecond
	pipes          = 2
	pipeInterval   = 20 * time.Millisecond
	pipeBatch      = 32
	pipeDepth      = 8 // batches in flight
	smallKeys      = 16
)

const (
	// settleTime is how long all have to be well before the next window.
	settleTime = 300 * time.Millisecond

	// settleLimit is how long that may take.
	settleLimit = 15 * time.Second

	// quietBusy is the share of the machine's time above which a calm window is not calm.
	quietBusy = 0.5

	// quietTries is how often it is played.
	quietTries = 3

	// rssPeriod is how often the daemon's memory is looked at.
	rssPeriod = 10 * time.Millisecond

	// saturated is the share of the machine's time from which on latencies say
	// more of the machine than of the daemon.
	saturated = 0.9

	// pacerThreads is GOMAXPROCS while it is measured, so that the pacer need not wait for
	// the goroutines that do the harm: the kernel's scheduler decides.
	pacerThreads = 16
)

var smallValue = strings.Repeat("v", 64)

// IsolationOptions say what to measure.
type IsolationOptions struct {
	Samaritan string                 // path of the binary
	Dir       string                 // an empty directory for the daemon's files
	Pairs     int                    // of windows, at least 1
	Window    time.Duration          // length of each
	Want      func(name string) bool // which scenarios; nil: all
	Done      func(*Isolation)       // called after each; may be nil
}

// Spread is a distribution of latencies. Each figure is the median of those of the
// windows, but Max is the largest of all.
type Spread struct{ P50, P99, P999, Max time.Duration }

// GroupResult is how one group of clients fared.
type GroupResult struct {
	Group      Group
	Throughput float64 // successes per second, hurt / calm; median of the pairs
	P99Ratio   float64 // hurt / calm; median of the pairs
	P50Ratio   float64
	Calm, Hurt Spread
	GapCalm    time.Duration // longest between two successes of one client
	GapHurt    time.Duration
	Errors     int    // in all windows
	Err        string // one of them
}

// Isolation is what one scenario did.
type Isolation struct {
	Name, Help string
	Wire       string // the scenario that does the same to the machine, but not to the daemon, if any
	Groups     [groups]GroupResult
	RSSCalm    int64         // bytes, the most in a calm window
	RSSMax     int64         // bytes, the most in any
	BusyCalm   float64       // share of the machine's time that was used; median
	BusyHurt   float64       // the same while it hurts
	Daemon     float64       // cores that the daemon used while it hurts; median
	Late       time.Duration // p99 of how late the pacer's own thread was while it hurts; median
	Bulk       float64       // bytes per second that the bulk client moved; mean
}

// Saturated tells that the machine, and not the daemon, decided.
func (i *Isolation) Saturated() bool { return i.BusyHurt >= saturated }

// isolationRig is one daemon, one cluster of masters and the paced clients.
type isolationRig struct {
	options IsolationOptions
	tags    [Shards][]string
	cluster *testredis.Cluster
	nodes   []*testredis.Node // by shard
	daemon  *Daemon
	pacer   pacer
	moved   atomic.Int64 // bytes that bulk clients have moved
}

// MeasureIsolation measures how much clients that want something of two of three
// masters feel of what happens at the third. Each scenario is played in pairs of
// windows, a calm one and one that hurts, and is judged by the median of the pairs'
// ratios, as other things that run on the machine change within minutes.
func MeasureIsolation(ctx context.Context, o IsolationOptions) (results []Isolation, err error) {
	wanted := slices.DeleteFunc(scenarios(), func(s scenario) bool { return o.Want != nil && !o.Want(s.name) })
	if len(wanted) == 0 {
		return nil, errors.New("chaos: no scenario matches")
	}
	r := &isolationRig{options: o, tags: slotTags()}
	defer func() { err = errors.Join(err, r.close()) }()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(pacerThreads))
	if err := r.start(ctx); err != nil {
		return nil, err
	}
	for _, s := range wanted {
		i, err := r.measure(ctx, s)
		if stopped := context.Cause(ctx); stopped != nil {
			return results, stopped // the daemon may have got the same signal, and closed connections
		}
		if err != nil {
			return results, fmt.Errorf("chaos: isolation, %s: %w", s.name, err)
		}
		results = append(results, *i)
		if o.Done != nil {
			o.Done(i)
		}
	}
	return results, nil
}

// start starts everything.
func (r *isolationRig) start(ctx context.Context) (err error) {
	r.cluster, err = testredis.Start(ctx, testredis.Options{
		Masters: Shards, NodeTimeout: 10 * patience, // nobody is given up
		Args: []string{"--cluster-require-full-coverage", "no", "--proto-max-bulk-len", "1gb"},
	})
	if err != nil {
		return err
	}
	for shard := range Shards {
		r.nodes = append(r.nodes, r.cluster.Master(ShardSlots(shard)[0]))
	}
	if r.daemon, err = StartDaemon(ctx, r.options.Samaritan, r.options.Dir, r.cluster.Addrs()); err != nil {
		return err
	}
	if err := r.fill(); err != nil {
		return err
	}
	return r.connect()
}

// close ends everything.
func (r *isolationRig) close() error {
	err := r.pacer.close()
	if r.daemon != nil {
		err = errors.Join(err, r.daemon.Close())
	}
	if r.cluster != nil {
		err = errors.Join(err, r.cluster.Close())
	}
	return err
}

// small calls f for all small keys and their nodes.
func (r *isolationRig) small(f func(n *testredis.Node, key string) error) error {
	for shard, n := range r.nodes {
		for i := range smallKeys {
			if err := f(n, r.smallKey(shard, i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// smallKey is the name of a small value.
func (r *isolationRig) smallKey(shard, i int) string {
	return "small:" + r.tags[shard][i%len(r.tags[shard])] + ":" + strconv.Itoa(i)
}

// frames are the requests of a client: to the given shards by turns, three GETs and a
// SET.
func (r *isolationRig) frames(shards ...int) (frames [][]byte) {
	for i := range smallKeys {
		for _, shard := range shards {
			key := r.smallKey(shard, i)
			if i%4 == 3 {
				frames = append(frames, frame("SET", key, smallValue))
			} else {
				frames = append(frames, frame("GET", key))
			}
		}
	}
	return frames
}

// connect makes the paced clients.
func (r *isolationRig) connect() error {
	var errs []error
	add := func(n int, c paced) {
		for range n {
			one := c
			errs = append(errs, r.pacer.add(r.daemon.Addr(), &one))
		}
	}
	others, same := r.frames(1, 2), r.frames(0)
	add(singles, paced{group: Single, interval: int64(singleInterval), batch: 1, depth: 1, frames: others})
	add(pipes, paced{group: Pipelined, interval: int64(pipeInterval), batch: pipeBatch, depth: pipeDepth, frames: others})
	add(singles, paced{group: Same, interval: int64(singleInterval), batch: 1, depth: 1, frames: same, skip: true})
	return errors.Join(errs...)
}

// measure plays one scenario.
func (r *isolationRig) measure(ctx context.Context, s scenario) (*Isolation, error) {
	var pairs [][2]view
	for range r.options.Pairs {
		var pair [2]view
		for hurt := range pair {
			var err error
			if pair[hurt], err = r.quiet(ctx, s, hurt == 1); err != nil {
				return nil, err
			}
		}
		pairs = append(pairs, pair)
	}
	return summary(s, pairs), nil
}

// quiet plays a window. A calm one is played anew, a few times at most, when somebody else
// keeps the machine busy.
func (r *isolationRig) quiet(ctx context.Context, s scenario, hurt bool) (v view, err error) {
	for range quietTries {
		if err = r.settle(ctx); err != nil {
			return v, err
		}
		if v, err = r.window(s, hurt); err != nil || hurt || v.busy < quietBusy {
			break
		}
	}
	return v, err
}

// settle waits until all clients succeed, without a late reply, for a while.
func (r *isolationRig) settle(ctx context.Context) error {
	for end := time.Now().Add(settleLimit); ; {
		w, err := r.pacer.play(settleTime)
		if err != nil {
			return err
		}
		problem := ""
		for g, t := range w.groups {
			if t.errors > 0 || t.ok == 0 {
				problem = fmt.Sprintf("%v: %d successes, %d errors: %s", Group(g), t.ok, t.errors, t.firstErr)
			}
		}
		if problem == "" {
			return ctx.Err()
		}
		if time.Now().After(end) {
			return fmt.Errorf("not well after %v: %s", settleLimit, problem)
		}
		if err := errors.Join(ctx.Err(), r.daemon.Running()); err != nil {
			return err
		}
	}
}

// view is one window with what the machine and the daemon did in it.
type view struct {
	*window
	rss    int64   // bytes, the most
	busy   float64 // share of the machine
	daemon float64 // cores
	bulk   float64 // bytes per second, until the last value was through
}

// window plays one window.
func (r *isolationRig) window(s scenario, hurt bool) (v view, err error) {
	end := func() error { return nil }
	stop, peak := make(chan struct{}), make(chan int64, 1)
	go r.watchMemory(stop, peak)
	before, moved := takeCPU(r.daemon.Pid()), r.moved.Load()
	if hurt {
		end, err = s.begin(r)
	}
	if err == nil {
		v.window, err = r.pacer.play(r.options.Window)
		v.busy, v.daemon = takeCPU(r.daemon.Pid()).since(before)
		err = errors.Join(err, end()) // the last large value belongs to it
		v.bulk = float64(r.moved.Load()-moved) / time.Since(before.at).Seconds()
	}
	close(stop)
	v.rss = <-peak
	return v, err
}

// watchMemory notes the daemon's peak until stop is closed.
func (r *isolationRig) watchMemory(stop <-chan struct{}, peak chan<- int64) {
	t := time.NewTicker(rssPeriod)
	defer t.Stop()
	var most int64
	for {
		if n, err := residentSet(r.daemon.Pid()); err == nil { // a dead daemon is noticed elsewhere
			most = max(most, n)
		}
		select {
		case <-stop:
			peak <- most
			return
		case <-t.C:
		}
	}
}
