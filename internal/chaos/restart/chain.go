package restart

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"samaritan/internal/chaos"
	"samaritan/internal/testredis"
)

const (
	// newcomerCount is how many newcomers there are at a time.
	newcomerCount = 3

	// replyLimit is how long a client waits.
	replyLimit = 9 * time.Second

	// byAdminEvery is of which restarts one is asked for by the admin server.
	byAdminEvery = 4

	// measureEvery is of which restarts the process after it is measured, alone: the
	// others are chained without a wait for the process before to end.
	measureEvery = 4
)

// ChainOptions say what a chain is.
type ChainOptions struct {
	Binary   string
	Dir      string // an empty directory
	Reaper   *Reaper
	Nodes    []string // of the cluster
	Restarts int
	Clients  int
	Pauses   [2]time.Duration // of a client between two batches
	Calm     time.Duration    // before the first restart, for comparison
	Seed     uint64
	Logf     func(format string, args ...any)
}

// ChainReport is what happened.
type ChainReport struct {
	Restarts   int
	Requests   int64 // of the clients
	Visits     int64 // of newcomers
	Scrapes    int
	During     Latency // of batches during restarts
	Calm       Latency
	Doors      Latency // of newcomers during restarts: connect, one command
	DoorsCalm  Latency
	Usages     []Usage         // of processes that were alone, in the order of the chain
	Handovers  []time.Duration // from the signal until the new process serves
	Violations []string
}

// chain is a run of RunChain.
type chain struct {
	options ChainOptions
	daemon  *Daemon
	addr    string
	report  ChainReport

	problems problems
	watch    stopwatch    // of the crowd
	doors    stopwatch    // of newcomers
	sent     atomic.Int64 // commands of the crowd
	open     atomic.Int64 // its connections
	crowd    *chaos.Crowd
	visitors *newcomers
	scraper  *scraper

	base       float64 // of the daemon's count of requests
	sentBefore int64   // of the crowd, then
}

// RunChain restarts a daemon again and again under load. An error says that it could not
// begin; what went wrong afterwards is in the report.
func RunChain(ctx context.Context, o ChainOptions) (r ChainReport, err error) {
	addrs, release, err := testredis.ReserveAddresses(2)
	if err != nil {
		return r, err
	}
	defer release()
	c := &chain{options: o, addr: addrs[0]}
	c.daemon, err = Launch(ctx, Options{Binary: o.Binary, Dir: o.Dir, Reaper: o.Reaper, Config: Config{
		Admin: addrs[1], Services: []Service{{Name: "redis", Listen: c.addr, Nodes: o.Nodes}},
	}})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, c.daemon.Close()) }()
	if err := c.run(ctx); err != nil {
		return r, err
	}
	return c.finished(), nil
}

// run is RunChain with a daemon.
func (c *chain) run(ctx context.Context) error {
	c.crowd = chaos.NewCrowd(chaos.CrowdOptions{Addr: c.addr, Dial: c.dials(), Seed: c.options.Seed, Pauses: c.options.Pauses})
	c.visitors = &newcomers{addr: func() string { return c.addr }, problems: &c.problems, watch: &c.doors}
	c.scraper = &scraper{daemon: c.daemon, problems: &c.problems, last: map[string]float64{}}
	defer c.crowd.Stop()
	if err := c.crowd.Start(); err != nil {
		return fmt.Errorf("restart: the clients cannot begin: %w", err)
	}
	beside, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	if err := c.takeBase(ctx); err != nil {
		return err
	}
	for id := range newcomerCount {
		running.Go(func() { c.visitors.run(beside, id) })
	}
	running.Go(func() { c.scraper.run(beside) })
	if err := pause(ctx, c.options.Calm); err != nil {
		return err
	}
	c.restarts(ctx)
	cancel()
	running.Wait()
	c.checkCount(ctx)
	c.crowd.Stop()
	return nil
}

// dials makes the clients: of five, two are raw RESP2, and one each is raw RESP3,
// go-redis and rueidis.
func (c *chain) dials() (dials []func() (chaos.Link, error)) {
	kinds := []struct {
		name  string
		proto int64
		dial  func() (chaos.Link, error)
	}{
		{"raw RESP2", 2, func() (chaos.Link, error) { return chaos.DialRaw(c.addr, 2, replyLimit, &c.open) }},
		{"raw RESP3", 3, func() (chaos.Link, error) { return chaos.DialRaw(c.addr, 3, replyLimit, &c.open) }},
		{"go-redis", 3, func() (chaos.Link, error) { return chaos.DialSticky(c.addr, &c.open), nil }},
		{"rueidis", 3, func() (chaos.Link, error) { return dialRueidis(c.addr, replyLimit) }},
		{"raw RESP2", 2, func() (chaos.Link, error) { return chaos.DialRaw(c.addr, 2, replyLimit, &c.open) }},
	}
	for id := range c.options.Clients {
		k := kinds[id%len(kinds)]
		dials = append(dials, func() (chaos.Link, error) {
			l, err := k.dial()
			if err != nil {
				return nil, err
			}
			p, err := introduce(l, person{
				kind: k.name, name: "client-" + strconv.Itoa(id), proto: k.proto,
				sent: &c.sent, problems: &c.problems, watch: &c.watch,
			})
			if err != nil {
				return nil, err
			}
			return p, nil
		})
	}
	return dials
}

// takeBase notes what the daemon has counted while nobody sends anything.
func (c *chain) takeBase(ctx context.Context) (err error) {
	c.crowd.Rest(func() {
		c.base, err = c.daemon.stat(ctx, "service.redis.downstream.rq_total")
		c.sentBefore = c.sent.Load()
	})
	return err
}

// checkCount compares what the daemon has counted, in all its processes, with what was
// sent. All processes but the last have ended, and nobody else sends anything.
func (c *chain) checkCount(ctx context.Context) {
	c.crowd.Rest(func() {
		want := float64(c.sent.Load() - c.sentBefore + c.visitors.visits.Load())
		var got float64
		err := eventually(ctx, endLimit, func() error {
			now, err := c.daemon.stat(ctx, "service.redis.downstream.rq_total")
			if got = now - c.base; err == nil && got != want {
				err = fmt.Errorf("requests: the daemon has counted %.0f, the clients have sent %.0f", got, want)
			}
			return err
		})
		if err != nil {
			c.problems.add("%v", err)
		}
	})
}

// restarts does all restarts. It gives up at the first one that fails.
func (c *chain) restarts(ctx context.Context) {
	for n := range c.options.Restarts {
		c.watch.begin()
		c.doors.begin()
		err := c.restart(ctx, n)
		if err == nil && (n%measureEvery == measureEvery-1 || n == 0 || n == c.options.Restarts-1) {
			err = c.measure(ctx)
		}
		c.watch.end()
		c.doors.end()
		if err != nil {
			c.problems.add("restart %d: %v", n+1, err)
			return
		}
		c.report.Restarts++
		if err := pause(ctx, c.options.Calm/8); err != nil {
			return
		}
	}
}

// restart does one, and returns when the new process serves.
func (c *chain) restart(ctx context.Context, n int) error {
	start, old := time.Now(), c.daemon.PID()
	var err error
	if n%byAdminEvery == byAdminEvery-1 {
		_, err = c.daemon.Post(ctx, "/ops/hotrestart")
	} else {
		err = c.daemon.Hangup()
	}
	if err != nil {
		return err
	}
	pid, err := c.daemon.AwaitServing(ctx, old)
	took := time.Since(start)
	c.report.Handovers = append(c.report.Handovers, took)
	c.options.Logf("restart %d: process %d in the place of %d after %v", n+1, pid, old, took.Round(time.Millisecond))
	return err
}

// measure waits until one process is left, and measures it.
func (c *chain) measure(ctx context.Context) error {
	pid := c.daemon.PID()
	if err := c.daemon.AwaitAlone(ctx, pid); err != nil {
		return err
	}
	if _, err := c.daemon.Get(ctx, "/debug/pprof/heap?gc=1"); err != nil { // collects garbage
		return err
	}
	u, err := usageOf(pid)
	if err != nil {
		return err
	}
	goroutines, err := c.daemon.stat(ctx, "runtime.goroutines")
	u.Goroutines = int(goroutines)
	c.report.Usages = append(c.report.Usages, u)
	c.options.Logf("process %d alone: %+v", pid, u)
	return err
}

// finished is the report. The crowd has stopped.
func (c *chain) finished() ChainReport {
	r := &c.report
	settled := c.crowd.Settle()
	r.Requests, r.Visits, r.Scrapes = c.sent.Load(), c.visitors.visits.Load(), c.scraper.scrapes
	r.During, r.Calm = c.watch.latencies()
	r.Doors, r.DoorsCalm = c.doors.latencies()
	r.Violations = slices.Concat(c.problems.all(), settled.Violations, r.growth())
	return *r
}

// What the last process of a chain may have more than the first that a restart has made. A
// client comes and goes while it is measured, and so do connections to nodes.
const (
	moreFDs        = newcomerCount + 12
	moreThreads    = 6
	moreGoroutines = newcomerCount + 10
	moreRSS        = 24 << 20
)

// growth tells what grew along the chain.
func (r *ChainReport) growth() (list []string) {
	if len(r.Usages) < 2 {
		return nil
	}
	first, last := r.Usages[0], r.Usages[len(r.Usages)-1]
	for _, g := range []struct {
		what              string
		first, last, more int
	}{
		{"descriptors", first.FDs, last.FDs, moreFDs},
		{"threads", first.Threads, last.Threads, moreThreads},
		{"goroutines", first.Goroutines, last.Goroutines, moreGoroutines},
		{"KiB resident", int(first.RSS >> 10), int(last.RSS >> 10), moreRSS >> 10},
	} {
		if g.last > g.first+g.more {
			list = append(list, fmt.Sprintf("%s: %d in the process of the first restart, %d in that of the last", g.what, g.first, g.last))
		}
	}
	return list
}
