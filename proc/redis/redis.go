package redis

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"samaritan/api/common"
	"samaritan/api/service"
	"samaritan/config"
	"samaritan/internal/eventloop"
	"samaritan/internal/logging"
	"samaritan/proc"
	healthcheck "samaritan/proc/health"
	"samaritan/proc/redis/cluster"
)

// refusal is what a client over the connection limit is told.
const refusal = "-ERR max number of clients reached\r\n"

// firstMapWait is how long clients wait to be accepted while the first question for
// the slot map has no answer.
const firstMapWait = time.Second

// Proc serves one Redis service. It implements proc.Proc.
type Proc struct {
	// immutable
	name    string
	env     proc.Env
	version string
	started time.Time
	warn    *logging.Throttle // for what goes wrong per connection or node

	settings atomic.Pointer[settings]
	svc      atomic.Pointer[config.Service]
	topology *topology
	monitor  *healthcheck.Monitor
	checking sync.Mutex // orders the calls of monitor.Configure
	hot      *hotMerger
	callers  callers
	dials    sync.WaitGroup
	laters   sync.WaitGroup // what sessions have asked of other loops, and the end of a HOTKEYS session
	tracking tracking
	moving   sync.Mutex // held by MoveClients

	// set by Run before anything uses them
	ctx      context.Context
	cancel   context.CancelFunc
	listener *proc.Listener
	bound    atomic.Bool

	pausing sync.Mutex // guards the following
	paused  bool

	mu      sync.Mutex // guards the following
	workers map[*eventloop.Loop]*worker
	ending  bool // there will be no more of them
}

// New makes the Proc of a Redis service; it is a proc.Builder.
func New(svc *config.Service, env proc.Env) (proc.Proc, error) {
	p := &Proc{
		name: svc.Name, env: env, version: env.Version, started: time.Now(),
		warn:    logging.NewThrottle(env.Log, 10, time.Second),
		workers: make(map[*eventloop.Loop]*worker),
	}
	p.settings.Store(newSettings(svc))
	p.svc.Store(svc)
	p.topology = newTopology(env.Log, seedsOf(svc), p.publish)
	p.hot = newHotMerger(p)
	p.monitor = healthcheck.New(healthcheck.Options{Log: env.Log, Changed: p.verdictsChanged})
	p.topology.unhealthy = p.monitor.Unhealthy
	p.configureChecks()
	return p, nil
}

// Run implements proc.Proc.
func (p *Proc) Run(ctx context.Context) error {
	addr := listenAddress(p.svc.Load())
	ln, err := p.env.Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", addr, err)
	}
	// The topology and the dials go on while requests drain: they have their own end.
	p.ctx, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
	defer p.cancel()
	p.bind(proc.NewListener(ln, int(p.svc.Load().Config.GetListener().GetConnectionLimit()), refusal, p.env.Log))

	var running sync.WaitGroup
	running.Go(func() { p.topology.Run(p.ctx) })
	running.Go(func() { p.mergeHotKeys(p.ctx) })
	running.Go(func() { _ = p.monitor.Run(p.ctx) }) // fails when run twice only
	accepted := make(chan error, 1)
	running.Go(func() {
		p.awaitFirstMap(ctx)
		p.awaitGate(ctx)
		accepted <- p.listener.Run(ctx, p.serve)
	})

	select {
	case <-ctx.Done():
		p.listener.Close()
		<-accepted // nobody comes any more who would not be drained
	case err = <-accepted:
		if ctx.Err() != nil {
			err = nil
		}
		p.listener.Close()
	}
	p.drain()
	p.cancel()
	running.Wait()
	p.dials.Wait()
	p.laters.Wait()
	p.warn.Flush()
	return err
}

// awaitFirstMap leaves early clients in the backlog until the cluster has been asked
// once, so that a start under traffic does not begin with errors.
func (p *Proc) awaitFirstMap(ctx context.Context) {
	limit := time.NewTimer(firstMapWait)
	defer limit.Stop()
	select {
	case <-p.topology.tried:
	case <-limit.C:
	case <-ctx.Done():
	}
}

// serve hands an accepted socket to the least busy loop.
func (p *Proc) serve(fd int) {
	id := clientIDs.Add(1)
	w := p.worker(p.env.Loops.Pick())
	if !w.loop.Post(func() { w.serve(fd, id) }) {
		closeFD(fd)
		p.listener.Release()
	}
}

// worker returns the service's worker on a loop, made on first use; nil when it is too late
// for that.
func (p *Proc) worker(l *eventloop.Loop) *worker {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.workers[l]
	if w == nil && !p.ending {
		w = newWorker(p, l)
		p.workers[l] = w
		l.Post(w.start)
	}
	return w
}

func (p *Proc) allWorkers() []*worker {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]*worker, 0, len(p.workers))
	for _, w := range p.workers {
		all = append(all, w)
	}
	return all
}

// each runs fn for every worker on its loop, without waiting for it.
func (p *Proc) each(fn func(*worker)) {
	for _, w := range p.allWorkers() {
		w.loop.Post(func() { fn(w) })
	}
}

// publish brings a new slot map to the workers, and has its nodes checked.
func (p *Proc) publish(m *cluster.Map) {
	p.each(func(w *worker) { w.setMap(m) })
	p.configureChecks()
}

// drain lets the sessions finish what is in flight and then closes everything.
func (p *Proc) drain() {
	p.mu.Lock()
	p.ending = true
	p.mu.Unlock()
	workers := p.allWorkers()
	p.each((*worker).drain)
	timeout := time.NewTimer(p.env.Drain)
	defer timeout.Stop()
	for _, w := range workers {
		select {
		case <-w.drained:
		case <-timeout.C:
			timeout.Reset(0)
		}
	}
	for _, w := range workers {
		stopped := make(chan struct{})
		if w.loop.Post(func() { w.stop(); close(stopped) }) {
			<-stopped
		}
	}
}

// Update implements proc.Proc: all but the address changes while clients stay
// connected.
func (p *Proc) Update(svc *config.Service) error {
	old := p.svc.Load()
	if listenAddress(old) != listenAddress(svc) || old.Config.GetProtocol() != svc.Config.GetProtocol() {
		return proc.ErrRestart
	}
	p.svc.Store(svc)
	set := newSettings(svc)
	previous := p.settings.Swap(set)
	if p.bound.Load() {
		p.listener.SetLimit(int(svc.Config.GetListener().GetConnectionLimit()))
	}
	p.each(func(w *worker) { w.apply(set) })
	p.configureChecks()
	if set.hot != previous.hot {
		p.hotSettingsChanged()
	}
	if previous.read != set.read {
		p.topology.trigger(causeSeeds, "")
	}
	if seeds := seedsOf(svc); !slices.Equal(seeds, seedsOf(old)) {
		p.topology.SetSeeds(seeds)
	}
	return nil
}

// Status implements proc.Proc.
func (p *Proc) Status() proc.Status {
	if !p.bound.Load() {
		return proc.Status{Reason: "listener not bound yet"}
	}
	s := proc.Status{Address: p.listener.Addr().String()}
	switch {
	case p.topology.Map() != nil:
		s.Ready = true
	case p.topology.Err() != nil:
		s.Reason = oneLine(p.topology.Err())
	default:
		s.Reason = "slot map not known yet"
	}
	return s
}

// Topology is the cluster as it is known, for people and tools.
func (p *Proc) Topology() any {
	type member struct {
		Addr    string   `json:"addr"`
		ID      string   `json:"id,omitempty"`
		Role    string   `json:"role"`
		Master  string   `json:"master,omitempty"`
		Healthy bool     `json:"healthy"`         // as the cluster says
		Error   string   `json:"error,omitempty"` // why the proxy cannot reach it
		Check   string   `json:"check,omitempty"` // "up" or "down": what the health check says
		Slots   []string `json:"slots,omitempty"`
	}
	type view struct {
		Covered int      `json:"slots_covered"`
		Version string   `json:"redis_version,omitempty"`
		Error   string   `json:"last_error,omitempty"`
		Nodes   []member `json:"nodes"`
	}
	v := view{Version: p.topology.Version(), Nodes: []member{}}
	if err := p.topology.Err(); err != nil {
		v.Error = oneLine(err)
	}
	m := p.topology.Map()
	if m == nil {
		return v
	}
	v.Covered = m.Covered()
	resting, checks := p.resting(), p.checkStatuses()
	for i, n := range m.Nodes() {
		mb := member{
			Addr: n.Addr, ID: n.ID, Role: roleOf(n), Healthy: n.Healthy,
			Error: resting[n.Addr], Check: verdict(checks[n.Addr]),
		}
		if n.Replica && n.MasterIndex >= 0 {
			mb.Master = m.Nodes()[n.MasterIndex].Addr
		}
		for _, r := range m.Ranges(i) {
			mb.Slots = append(mb.Slots, r.String())
		}
		v.Nodes = append(v.Nodes, mb)
	}
	return v
}

// resting asks the workers which nodes get no requests now, and why.
func (p *Proc) resting() map[string]string {
	workers := p.allWorkers()
	answers := make(chan map[string]string, len(workers))
	asked := 0
	for _, w := range workers {
		if w.loop.Post(func() { answers <- w.resting() }) {
			asked++
		}
	}
	all := make(map[string]string)
	deadline := time.NewTimer(scrapeTimeout)
	defer deadline.Stop()
	for range asked {
		select {
		case some := <-answers:
			maps.Copy(all, some)
		case <-deadline.C:
			return all
		}
	}
	return all
}

func listenAddress(svc *config.Service) string {
	return hostPort(svc.Config.GetListener().GetAddress())
}

func endpointAddress(e *service.Endpoint) string { return hostPort(e.GetAddress()) }

func hostPort(a *common.Address) string {
	return net.JoinHostPort(a.GetIp(), strconv.FormatUint(uint64(a.GetPort()), 10))
}

// seedsOf are the endpoints to learn the cluster from; those marked down only when
// there are no others.
func seedsOf(svc *config.Service) []string {
	var up, down []string
	for _, e := range svc.Endpoints {
		addr := endpointAddress(e)
		if e.GetState() == service.Endpoint_DOWN {
			down = append(down, addr)
		} else {
			up = append(up, addr)
		}
	}
	if len(up) == 0 {
		return down
	}
	return up
}
