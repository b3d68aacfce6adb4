package controller

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"samaritan/api/common"
	"samaritan/config"
	"samaritan/proc"
)

// errEnded is the failure of a proc that returns without an error and unasked.
var errEnded = errors.New("the proc ended by itself")

// instance is one proc and the goroutine that runs it.
type instance struct {
	// immutable
	c       *Controller
	owner   *supervisor
	proc    proc.Proc
	address *common.Address // the one configured
	started time.Time
	cancel  context.CancelFunc
	done    chan struct{} // closed when Run has returned
	err     error         // of Run, when done is closed

	retired bool // told to drain; guarded by the mutex of the controller
}

// build makes a proc that binds by listen. A protocol that nobody builds is an error like
// any other.
func (c *Controller) build(svc *config.Service, listen proc.ListenFunc) (proc.Proc, error) {
	protocol := svc.Config.GetProtocol()
	builder := c.o.Builders[protocol]
	if builder == nil {
		return nil, fmt.Errorf("protocol %s is not supported by this build", protocol)
	}
	env := c.o.Env
	env.Listen = listen
	if env.Log == nil {
		env.Log = c.log
	}
	env.Log = env.Log.With("service", svc.Name)
	return builder(svc, env)
}

// start runs a proc. It has the values of ctx but not its end: who started it retires
// it.
func (c *Controller) start(ctx context.Context, owner *supervisor, p proc.Proc) *instance {
	i := &instance{
		c: c, owner: owner, proc: p,
		address: owner.address(),
		started: time.Now(),
		done:    make(chan struct{}),
	}
	ctx, i.cancel = context.WithCancel(context.WithoutCancel(ctx))
	c.mu.Lock()
	c.runs[i] = struct{}{}
	c.mu.Unlock()
	go i.run(ctx)
	return i
}

func (i *instance) run(ctx context.Context) {
	defer i.cancel()
	i.err = i.proc.Run(ctx)
	i.c.mu.Lock()
	delete(i.c.runs, i)
	i.c.mu.Unlock()
	close(i.done)
}

// retire tells the proc to drain. Nobody needs to wait for it but the supervisor
// at its end.
func (i *instance) retire() {
	i.c.mu.Lock()
	i.retired = true
	i.c.mu.Unlock()
	i.cancel()
}

// failure is why the proc has ended unasked.
func (i *instance) failure() error {
	if i.err == nil {
		return errEnded
	}
	return i.err
}

func (i *instance) bound() bool { return i.proc.Status().Address != "" }

// draining tells whether a proc that was told to drain may still have the
// address, so that who cannot bind it should just wait a moment.
func (c *Controller) draining(a *common.Address) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.runs {
		if i.retired && Overlap(i.address, a) {
			return true
		}
	}
	return false
}

// inCircle tells whether the address that a service wants is held by one that wants
// another, and so on, back to the address that the service itself holds.
func (c *Controller) inCircle(s *supervisor) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := s
	for range c.services {
		if at = c.holderLocked(at.wanted.Config.GetListener().GetAddress(), at); at == nil {
			return false
		}
		if at == s {
			return true
		}
	}
	return false
}

// holderLocked is another service whose proc has an address that it shall leave.
func (c *Controller) holderLocked(a *common.Address, not *supervisor) *supervisor {
	for _, s := range c.services {
		if s != not && s.serving != nil && Overlap(s.serving.address, a) && !Overlap(s.serving.address, s.wanted.Config.GetListener().GetAddress()) {
			return s
		}
	}
	return nil
}

// Overlap tells whether two listeners cannot be bound at the same time.
func Overlap(a, b *common.Address) bool {
	if a.GetPort() != b.GetPort() || a.GetPort() == 0 {
		return false
	}
	x, errX := netip.ParseAddr(a.GetIp())
	y, errY := netip.ParseAddr(b.GetIp())
	if errX != nil || errY != nil {
		return true
	}
	x, y = x.Unmap(), y.Unmap()
	return x == y || x.IsUnspecified() || y.IsUnspecified()
}

// isDone tells whether Run has returned; not for one that is not there.
func (i *instance) isDone() bool {
	if i == nil {
		return false
	}
	select {
	case <-i.done:
		return true
	default:
		return false
	}
}

// doneChan is nil, which waits for ever, for one that is not there.
func (i *instance) doneChan() <-chan struct{} {
	if i == nil {
		return nil
	}
	return i.done
}
