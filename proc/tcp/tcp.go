package tcp

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"samaritan/config"
	"samaritan/internal/eventloop"
	"samaritan/internal/logging"
	"samaritan/proc"
	"samaritan/proc/health"
)

// Proc serves one service as a stream of bytes. It implements proc.Pauser.
type Proc struct {
	// immutable
	name    string
	env     proc.Env
	warn    *logging.Throttle // for what goes wrong per connection
	set     *set
	monitor *health.Monitor
	changed chan struct{} // the endpoints or their time to drain are others now

	settings atomic.Pointer[settings]
	svc      atomic.Pointer[config.Service]
	updating sync.Mutex // one update at a time

	// set by Run before anything uses it
	listener *proc.Listener
	bound    atomic.Bool

	loops loops
}

// New makes the Proc of a TCP or MySQL service; it is a proc.Builder.
func New(svc *config.Service, env proc.Env) (proc.Proc, error) {
	if svc.Stream() == nil {
		return nil, fmt.Errorf("protocol %s is not a stream of bytes", svc.Config.GetProtocol())
	}
	p := &Proc{
		name: svc.Name, env: env,
		warn: logging.NewThrottle(env.Log, 10, time.Second), set: newSet(),
		changed: make(chan struct{}, 1),
	}
	p.monitor = health.New(health.Options{Log: env.Log, Changed: p.verdictsChanged})
	p.loops.proc = p
	if env.Gate != nil {
		p.loops.holds = holdGate
	}
	p.apply(svc)
	return p, nil
}

// apply makes svc what holds from now on.
func (p *Proc) apply(svc *config.Service) {
	p.svc.Store(svc)
	p.settings.Store(newSettings(svc))
	usable := p.set.configure(svc, eventloop.Nanotime())
	p.monitor.Configure(svc.Config.GetHealthCheck(), usable)
	p.verdictsChanged() // without checks, or for new endpoints, there may be no other reason
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

func (p *Proc) verdictsChanged() { p.set.setDown(p.monitor.Unhealthy) }

// Run implements proc.Proc.
func (p *Proc) Run(ctx context.Context) error {
	addr := listenAddress(p.svc.Load())
	ln, err := p.env.Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", addr, err)
	}
	p.listener = proc.NewListener(ln, 0, "", p.env.Log)
	p.setLimit()
	// Loops and checks go on while connections drain: they have their own end.
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	if err := p.loops.run(working, p.listener); err != nil {
		p.listener.Retire()
		return err
	}
	p.bound.Store(true)
	p.setLimit() // in case that an update came in between

	var running sync.WaitGroup
	running.Go(func() { _ = p.monitor.Run(working) })
	running.Go(func() { p.endOverdue(working) })
	if p.env.Gate != nil {
		running.Go(func() { p.awaitGate(working) })
	}
	select {
	case <-ctx.Done():
		p.drain()
	case <-p.loops.failed:
	}
	stop()
	running.Wait()
	err = p.loops.wait()
	p.warn.Flush()
	return err
}

// drain stops accepting, and gives connections their time to end by themselves.
func (p *Proc) drain() {
	first, stopped := p.loops.first(), make(chan struct{})
	if first.post(func() { first.stopAccepting(); close(stopped) }) {
		<-stopped
	}
	p.loops.drain(p.env.Drain)
}

func (p *Proc) setLimit() {
	p.listener.SetLimit(int(p.svc.Load().Config.GetListener().GetConnectionLimit()))
}

// endOverdue ends the connections to endpoints that have left, when the time for that is
// over, until ctx ends.
func (p *Proc) endOverdue(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.changed:
		case <-timer.C:
		}
		over, again := p.set.overdue(eventloop.Nanotime(), p.settings.Load().drainTimeout)
		for _, ep := range over {
			p.loops.cut(ep)
		}
		timer.Stop()
		if again > 0 {
			timer.Reset(again)
		}
	}
}

// Update implements proc.Proc: all but the address and the protocol change while
// connections go on, and hold for those, too.
func (p *Proc) Update(svc *config.Service) error {
	p.updating.Lock()
	defer p.updating.Unlock()
	old := p.svc.Load()
	if listenAddress(old) != listenAddress(svc) || old.Config.GetProtocol() != svc.Config.GetProtocol() {
		return proc.ErrRestart
	}
	before := *p.settings.Load()
	p.apply(svc)
	if p.bound.Load() {
		p.setLimit()
	}
	if before != *p.settings.Load() {
		p.loops.each((*loop).settingsChanged)
	}
	return nil
}

// Status implements proc.Proc. What the health checks say does not count: a service that
// is down as a whole is one to be asked for all the same.
func (p *Proc) Status() proc.Status {
	if !p.bound.Load() {
		return proc.Status{Reason: "listener not bound yet"}
	}
	s := proc.Status{Address: p.listener.Addr().String(), Ready: p.set.hasUsable()}
	if !s.Ready {
		s.Reason = "no endpoint is up"
	}
	return s
}
