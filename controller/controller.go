package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"samaritan/config"
	"samaritan/proc"
)

// ErrRunning is the error of a second call of [Controller.Run].
var ErrRunning = errors.New("controller: was run already")

// Options are what a controller works with. Events, Builders and Share are required.
type Options struct {
	// Events say what to run. When the channel is closed, all goes on as it is.
	Events <-chan config.Event
	// Builders are the protocols that can be served.
	Builders proc.Builders
	// Env is handed to every proc, its Log with the name of the service added.
	Env proc.Env
	// Share takes the place of Env.Listen for a proc that follows another one of the same
	// service at an address that cannot be bound twice: it binds it all the same.
	Share proc.ListenFunc
	// Log is told of failures and recoveries; nil discards.
	Log *slog.Logger
	// Anew is called when what a service has counted is over: it is removed, or another
	// proc has taken the place of its proc. It must not call the controller; nil is
	// allowed.
	Anew func(service string)
}

// Controller owns all procs of the process. New makes it, Run runs it, once.
type Controller struct {
	// immutable
	o   Options
	log *slog.Logger

	// atomic
	events         atomic.Uint64
	updateFailures atomic.Uint64
	failures       atomic.Uint64
	restarts       atomic.Uint64

	supervisors sync.WaitGroup

	mu       sync.Mutex // guards the following, and what services say is guarded by it
	ran      bool
	services map[string]*supervisor   // configured
	leaving  map[*supervisor]struct{} // removed, still draining
	runs     map[*instance]struct{}   // procs whose Run has not returned
}

// New builds a controller and starts nothing.
func New(o Options) *Controller {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Controller{
		o:        o,
		log:      o.Log,
		services: map[string]*supervisor{},
		leaving:  map[*supervisor]struct{}{},
		runs:     map[*instance]struct{}{},
	}
}

// Run applies events until ctx ends. Then all procs drain at the same time, and
// Run returns nil when the last one has returned. The second call returns
// [ErrRunning].
func (c *Controller) Run(ctx context.Context) error {
	c.mu.Lock()
	ran := c.ran
	c.ran = true
	c.mu.Unlock()
	if ran {
		return ErrRunning
	}
	events := c.o.Events
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case event, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			c.apply(ctx, event)
		}
	}
	c.supervisors.Wait() // their contexts are children of ctx
	return nil
}

// apply notes what one event says. It waits for nobody.
func (c *Controller) apply(ctx context.Context, event config.Event) {
	c.events.Add(1)
	switch e := event.(type) {
	case config.ServiceAdded:
		c.want(ctx, e.Service)
	case config.ConfigChanged:
		c.want(ctx, e.Service)
	case config.EndpointsChanged:
		c.want(ctx, e.Service)
	case config.ServiceRemoved:
		c.remove(e.Name)
	default:
		c.log.Error("unknown config event", "type", fmt.Sprintf("%T", event))
	}
}

// want makes svc the state to reach for its service.
func (c *Controller) want(ctx context.Context, svc *config.Service) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.services[svc.Name]
	if s != nil {
		s.wanted = svc
		select {
		case s.wake <- struct{}{}:
		default: // the supervisor has not looked yet
		}
		return
	}
	s = newSupervisor(c, svc)
	ctx, s.cancel = context.WithCancel(ctx)
	c.services[svc.Name] = s
	c.supervisors.Go(func() { s.supervise(ctx) })
}

// remove lets a service drain. Its name and its address are free for another.
func (c *Controller) remove(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.services[name]
	if s == nil {
		return
	}
	delete(c.services, name)
	c.anew(name)
	c.leaving[s] = struct{}{}
	s.setStateLocked(Draining)
	for i := range c.runs {
		if i.owner == s {
			i.retired = true // now, for a service that the next event gives the address
		}
	}
	s.cancel()
}

func (c *Controller) anew(service string) {
	if c.o.Anew != nil {
		c.o.Anew(service)
	}
}

// gone is called by a supervisor as its last act.
func (c *Controller) gone(s *supervisor) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.leaving, s)
}
