package chaos

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// recoverLimit is how long it may take, after the cluster is whole again, until all
// shards succeed.
const recoverLimit = 15 * time.Second

const (
	// inflictLimit bounds a fault, multiplied by the scale; what takes longer hangs.
	inflictLimit = 60 * time.Second

	// quietTime is how long nobody may have seen an error for all to be well again: long
	// enough for every client to ask every shard.
	quietTime = 300 * time.Millisecond

	// runOn is how long the load runs on after that.
	runOn = 700 * time.Millisecond

	// calmTime is how long the load runs before the daemon's usage is taken as
	// normal.
	calmTime = time.Second
)

// Options say what a suite is.
type Options struct {
	Samaritan string  // path of the binary
	Dir       string  // an empty directory for the daemon's files
	Scale     float64 // durations of faults, 1 in the short form
	Seed      uint64  // of all random choices; the timing is not repeated by it
	Clients   int     // at least 6; a dozen is some 10,000 requests a second
	Logf      func(format string, args ...any)
}

// Suite is a cluster, a daemon in front of it, and a load, which rests between the
// faults. Its methods must not be called at the same time.
type Suite struct {
	// Immutable.
	options Options
	env     *Env
	tally   *tally
	conns   *atomic.Int64 // open connections of the load
	gate    *sync.RWMutex // shut (locked) while the load rests
	started time.Time

	// Owned by the caller of the methods.
	keys   keyspace
	old    []string          // keys of the last round
	done   map[string]uint64 // how often each fault was done
	broken bool              // the last fault left something behind that spoils the next one

	// Made by start, ended by stop.
	starts  int
	pool    *redis.Client
	workers []*worker // all, the probers' too
	writers []*worker // the workers that have accounts
	probes  [Shards]*probe
	calm    usage
	cancel  context.CancelFunc // nil before start and after stop
	running sync.WaitGroup
}

// Start starts all of it, and lets the load run in the calm for a second. The context
// bounds the start only. The caller has to call Close.
func Start(ctx context.Context, o Options) (*Suite, error) {
	if o.Clients < 6 {
		return nil, fmt.Errorf("chaos: %d clients are too few, at least 6", o.Clients)
	}
	s := &Suite{
		options: o, gate: &sync.RWMutex{}, tally: &tally{}, conns: &atomic.Int64{},
		keys: keyspace{tags: slotTags()}, started: time.Now(),
		done: map[string]uint64{}, env: &Env{Scale: o.Scale, Logf: o.Logf},
	}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Suite) start(ctx context.Context) (err error) {
	if s.env.Cluster, err = StartCluster(ctx); err != nil {
		return err
	}
	s.starts++
	dir := filepath.Join(s.options.Dir, strconv.Itoa(s.starts))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if s.env.Daemon, err = StartDaemon(ctx, s.options.Samaritan, dir, s.env.Cluster.AnnouncedAddrs()); err != nil {
		return err
	}
	s.pool = newPool(s.env.Daemon.Addr(), s.options.Clients, s.conns)
	s.hire()
	s.gate.Lock()
	run, cancel := context.WithCancel(context.Background()) // until Close
	s.cancel = cancel
	for _, w := range s.workers {
		s.running.Go(func() { w.run(run) })
	}
	r := s.run(ctx, Fault{Name: "start", Inflict: func(ctx context.Context, _ *Env) error { return pause(ctx, calmTime) }})
	if len(r.Violations) > 0 {
		return fmt.Errorf("chaos: the load fails before any fault:\n%s", strings.Join(r.Violations, "\n"))
	}
	return nil
}

// stop ends the load, the daemon and the cluster. It is idempotent.
func (s *Suite) stop() error {
	if s.cancel != nil {
		s.cancel()
		s.gate.Unlock()
		s.running.Wait()
		s.cancel = nil
	}
	var errs []error
	if s.pool != nil {
		errs = append(errs, s.pool.Close())
	}
	if s.env.Daemon != nil {
		errs = append(errs, s.env.Daemon.Close())
	}
	if s.env.Cluster != nil {
		errs = append(errs, s.env.Cluster.Close())
	}
	s.pool, s.env.Daemon, s.env.Cluster = nil, nil, nil
	s.workers, s.writers, s.calm, s.old = nil, nil, usage{}, nil
	return errors.Join(errs...)
}

// hire makes the workers: of six, two are raw RESP2, one is raw RESP3, two are
// go-redis, and one reads from replicas too, by turns raw and RESP3. One prober
// for each shard comes on top.
func (s *Suite) hire() {
	addr := s.env.Daemon.Addr()
	pooled := func() (Link, error) { return poolLink{s.pool}, nil }
	dials := []func() (Link, error){s.rawTo(addr, 2), pooled, s.rawTo(addr, 3), pooled, s.rawTo(addr, 2)}
	for id := range s.options.Clients {
		if id%6 == 5 {
			s.hireOne(id, s.rawTo(s.env.Daemon.BothAddr(), 2+id/6%2), read)
			continue
		}
		s.writers = append(s.writers, s.hireOne(id, dials[id%6], write))
	}
	for shard := range Shards {
		p := &probe{shard: shard}
		p.worker = s.hireOne(s.options.Clients+shard, s.rawTo(addr, 2), p.next)
		p.worker.pauses = [2]time.Duration{probeMin, probeMax}
		s.writers = append(s.writers, p.worker)
		s.probes[shard] = p
	}
}

// hireOne makes one worker.
func (s *Suite) hireOne(id int, dial func() (Link, error), next func(*worker) []request) *worker {
	w := &worker{
		id: id, dial: dial, next: next, pauses: [2]time.Duration{pauseMin, pauseMax},
		gate: s.gate, tally: s.tally, rand: rand.New(rand.NewPCG(s.options.Seed, uint64(id+1))),
	}
	s.workers = append(s.workers, w)
	return w
}

// rawTo returns what dials a raw connection.
func (s *Suite) rawTo(addr string, proto int) func() (Link, error) {
	return func() (Link, error) { return DialRaw(addr, proto, replyLimit, s.conns) }
}

// Env returns what faults act on.
func (s *Suite) Env() *Env { return s.env }

// Close ends the load, the daemon and the cluster.
func (s *Suite) Close() error { return s.stop() }

// Run does one fault, under load, and returns what happened. Whatever goes wrong is in
// the violations of the result. When the fault before left a broken cluster or daemon,
// both are started anew first.
func (s *Suite) Run(ctx context.Context, f Fault) Result {
	if s.broken {
		if err := s.restart(ctx); err != nil {
			return Result{Name: f.Name, Help: f.Help, Violations: []string{"the suite cannot start anew: " + err.Error()}}
		}
	}
	return s.run(ctx, f)
}

// restart starts everything anew.
func (s *Suite) restart(ctx context.Context) error {
	if err := errors.Join(s.stop(), s.start(ctx)); err != nil {
		return err
	}
	s.broken = false
	return nil
}

// run is Run without the restart.
func (s *Suite) run(ctx context.Context, f Fault) Result {
	r := Result{Name: f.Name, Help: f.Help}
	s.env.forget()
	s.env.Rand = s.randFor(f.Name)
	s.env.Cluster.newRound()
	s.tally.reset()
	start := time.Now()
	if err := s.newRound(f); err != nil {
		s.tally.violation("the round cannot begin: %v", err)
		s.broken = true
	} else {
		s.load(ctx, f, &r)
		r.Lost = s.verify(f)
		s.audit(&r)
		s.checkDaemon(ctx, f)
	}
	r.Duration = time.Since(start)
	s.fill(&r)
	return r
}

// audit notes what Redis itself has lost in the round. After that masters and replicas
// differ for good, which would be seen again and come back with a failover: the next
// fault gets another cluster. The gate is shut.
func (s *Suite) audit(r *Result) {
	s.env.Cluster.auditAll()
	r.Own = s.env.Cluster.ownLosses()
	if len(r.Own) > 0 {
		r.OwnRounds, s.broken = 1, true
	}
}

// randFor returns the random numbers of a fault, so that it can be repeated alone.
func (s *Suite) randFor(name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // a hash takes everything
	s.done[name]++
	return rand.New(rand.NewPCG(s.options.Seed, h.Sum64()+s.done[name]))
}

// load lets the load run while the fault is inflicted, and until it has recovered.
func (s *Suite) load(ctx context.Context, f Fault, r *Result) {
	for _, p := range s.probes {
		p.reset()
	}
	s.gate.Unlock()
	defer s.gate.Lock() // after the last batches
	inflict, cancel := context.WithTimeout(ctx, time.Duration(float64(inflictLimit)*max(1, s.options.Scale)))
	defer cancel()
	if err := f.Inflict(inflict, s.env); err != nil {
		s.tally.violation("the fault itself failed: %v", err)
		s.broken = true
	}
	took, err := s.recovered(ctx)
	if err != nil {
		s.tally.violation("%v", err)
		s.broken = true
		return
	}
	r.Recovery = took
	s.tally.recover()
	_ = pause(ctx, runOn) // a shorter one is as good
}

// recovered waits until all shards succeed, for all clients, and returns how long it took
// until they did.
func (s *Suite) recovered(ctx context.Context) (took time.Duration, err error) {
	whole := time.Now()
	for _, p := range s.probes {
		p.restart()
	}
	for time.Since(whole) < recoverLimit {
		last, waits := s.unsteady()
		if waits == "" {
			return max(0, last.Sub(whole)), nil
		}
		err = fmt.Errorf("not recovered within %v: %s", recoverLimit, waits)
		if pause(ctx, 5*time.Millisecond) != nil || s.env.Daemon.Running() != nil {
			break
		}
	}
	return 0, err
}

// unsteady returns since when all is well, and for what that has to be waited.
func (s *Suite) unsteady() (since time.Time, waits string) {
	for shard, p := range s.probes {
		start, ok := p.steady()
		if !ok {
			waits += fmt.Sprintf("shard %d does not answer; ", shard)
		}
		if start.After(since) {
			since = start
		}
	}
	failed := s.tally.lastFailure()
	if time.Since(failed) < quietTime {
		waits += "there are still errors"
	}
	if failed.After(since) {
		since = failed
	}
	return since, waits
}

// checkDaemon looks whether the process lives, has printed a stack, and has given back
// what it took. The first time it notes what is normal. The gate is shut.
func (s *Suite) checkDaemon(ctx context.Context, f Fault) {
	d := s.env.Daemon
	if err := d.Running(); err != nil {
		s.tally.violation("%v; the end of its log:\n%s", err, d.LogTail(40))
		s.broken = true
		return
	}
	if stack := d.Stack(); stack != "" {
		s.tally.violation("the log has a stack: %s", stack)
	}
	if s.calm == (usage{}) {
		calm, err := d.usage(ctx)
		if err != nil {
			s.tally.violation("the daemon cannot be measured: %v", err)
		}
		s.calm = calm
		return
	}
	u, bad := d.settled(ctx, s.calm, s.clients)
	for _, b := range bad {
		s.tally.violation("%s", b)
	}
	s.options.Logf("%s: %d MiB, %d goroutines, %d descriptors and %d node connections", f.Name, u.rss>>20, u.goroutines, u.fds, u.nodes)
}

// clients returns how many connections the load has.
func (s *Suite) clients() int { return int(s.conns.Load()) }

// fill completes a result.
func (s *Suite) fill(r *Result) {
	var affected uint8
	var touched, others measurement
	hit := s.env.Affected()
	for shard, p := range s.probes {
		if slices.Contains(hit, shard) {
			affected |= bit(shard)
			p.addTo(&touched)
		} else {
			p.addTo(&others)
		}
	}
	r.Touched, r.Untouched = len(hit), Shards-len(hit)
	r.GapTouched, r.GapUntouched = touched.gap, others.gap
	r.P50Untouched, r.P99Untouched = others.percentile(0.50), others.percentile(0.99)
	s.tally.fill(r, affected)
}

// About returns what a report says of the run so far.
func (s *Suite) About() About {
	return newAbout(s.options, s.started)
}

// TempDir makes a directory for a suite, and returns what removes it.
func TempDir() (dir string, remove func() error, err error) {
	dir, err = os.MkdirTemp("", "samaritan-chaos-*")
	return dir, func() error { return os.RemoveAll(filepath.Clean(dir)) }, err
}
