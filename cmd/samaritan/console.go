package main

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"samaritan/admin"
	"samaritan/api/common"
	"samaritan/config"
	"samaritan/controller"
	"samaritan/proc"
)

const (
	// moveGrace is how long an address may be taken by the one that gives it up.
	moveGrace = time.Second
	// Pauses between two tries to bind the address.
	bindMin = 10 * time.Millisecond
	bindMax = 5 * time.Second
)

// console is the admin server, which can move from one address to another. While it
// moves there is more than one: the old one is given up once the new one is bound,
// and then finishes the requests that it has.
type console struct {
	// immutable
	log    *slog.Logger
	listen proc.ListenFunc
	build  func() *admin.Server
	part   *part // has the goroutines

	mu    sync.Mutex // guards the following, and the doors
	doors []*door    // that have not ended; the last one is to stay
}

// door is the admin server at one address.
type door struct {
	waiting context.Context // for the address; ends when it is given up
	giveUp  context.CancelFunc

	// guarded by the mutex of the console; the first is changed by keep alone
	address *common.Address // with the port that was chosen, once it is bound
	server  *admin.Server   // nil: not bound
	retired bool
}

func newConsole(log *slog.Logger, listen proc.ListenFunc, build func() *admin.Server) *console {
	return &console{log: log, listen: listen, build: build, part: newPart(context.Background())}
}

// holds tells whether an address can only be bound after we have given it up, or one
// that includes it: it is an admin server's, or a service's that is about to leave it,
// as services have other addresses than the admin server in a valid config.
func (c *console) holds(a *common.Address, services []*config.Service) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return listens(a, services) || slices.ContainsFunc(c.doors, func(d *door) bool { return controller.Overlap(a, d.address) })
}

// serves tells whether there is an admin server.
func (c *console) serves() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.doors, func(d *door) bool { return d.server != nil && !d.retired })
}

// listens tells whether one of the services has the address, or one that includes it.
func listens(a *common.Address, services []*config.Service) bool {
	return slices.ContainsFunc(services, func(s *config.Service) bool {
		return controller.Overlap(a, s.Config.GetListener().GetAddress())
	})
}

// move serves at another address, or at the first one. When ln is nil it is bound as
// soon as it can be; the old one stays until then, unless it is in the way of the new
// one, or of one of the services, which would wait for each other.
func (c *console) move(a *common.Address, ln net.Listener, services []*config.Service) {
	d := &door{address: a}
	d.waiting, d.giveUp = context.WithCancel(c.part.ctx)
	c.mu.Lock()
	first := len(c.doors) == 0
	for _, old := range c.doors {
		if old.server == nil || controller.Overlap(a, old.address) || listens(old.address, services) {
			old.retireLocked()
		}
	}
	c.doors = append(c.doors, d)
	c.mu.Unlock()
	c.part.wg.Go(func() { c.keep(d, ln, !first) })
}

// retire gives up the address, which another process has too; requests finish. move
// begins anew.
func (c *console) retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.doors {
		d.retireLocked()
	}
}

// end closes all of them.
func (c *console) end() { c.part.end() }

// keep is the goroutine of a door. The admin server is not needed to serve clients, so
// it is tried for ever. An address that is being given up while it moves is no failure
// yet.
func (c *console) keep(d *door, ln net.Listener, moves bool) {
	defer c.leave(d)
	for {
		quiet := time.Duration(0)
		if moves {
			quiet = moveGrace
		}
		if ln == nil {
			ln = c.bind(d.waiting, hostPort(d.address), quiet)
		}
		if ln == nil {
			return
		}
		server := c.build()
		if !c.open(d, server, ln.Addr()) {
			_ = ln.Close()
			return
		}
		if moves {
			c.log.Info("admin server has moved", "address", ln.Addr().String())
		}
		err := server.Serve(c.part.ctx, ln)
		if err != nil {
			c.log.Error("admin server failed", "error", err)
		}
		if c.shut(d) || !sleep(d.waiting, bindMin) {
			return
		}
		ln, moves = nil, false
	}
}

// bind tries until it has the address. It returns nil when ctx ends before. That it
// fails is not said in the first moments, for so long as quiet.
func (c *console) bind(ctx context.Context, address string, quiet time.Duration) net.Listener {
	begin, said, pause := time.Now(), false, bindMin
	for {
		ln, err := c.listen(ctx, "tcp", address)
		if err == nil {
			if said {
				c.log.Info("admin server listens", "address", address)
			}
			return ln
		}
		if ctx.Err() != nil {
			return nil
		}
		if !said && time.Since(begin) >= quiet {
			said = true
			c.log.Error("admin server cannot listen, trying again", "error", err)
		}
		if !sleep(ctx, pause/2+rand.N(pause/2)) {
			return nil
		}
		pause = min(2*pause, bindMax)
	}
}

// open lets a door take over. It returns false when it has been retired itself.
func (c *console) open(d *door, server *admin.Server, at net.Addr) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d.retired {
		return false
	}
	d.server = server
	if tcp, ok := at.(*net.TCPAddr); ok {
		d.address = &common.Address{Ip: d.address.GetIp(), Port: uint32(tcp.Port)}
	}
	for _, old := range c.doors {
		if old == d {
			break
		}
		old.retireLocked()
	}
	return true
}

// shut tells whether the door is not wanted any more.
func (c *console) shut(d *door) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	d.server = nil
	return d.retired || c.part.ctx.Err() != nil
}

func (c *console) leave(d *door) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d.giveUp()
	c.doors = slices.DeleteFunc(c.doors, func(other *door) bool { return other == d })
}

func (d *door) retireLocked() {
	d.retired = true
	d.giveUp()
	if d.server != nil {
		d.server.Retire()
	}
}
