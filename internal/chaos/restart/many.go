package restart

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

const (
	// fdsOfService is how many descriptors a service without clients needs at most.
	fdsOfService = 8
	// manyVisitors is how many newcomers there are at a time.
	manyVisitors = 4
)

// ManyOptions say how many services are handed over.
type ManyOptions struct {
	Programs Programs
	Dir      string // an empty directory
	Reaper   *Reaper
	Nodes    []string // of the cluster
	Services int
	Restarts int
	Calm     time.Duration // before the first restart
	Logf     func(format string, args ...any)
}

// ManyReport is what happened.
type ManyReport struct {
	Services     int             // fewer than wanted when there are not enough descriptors
	Serving      []time.Duration // from the signal until the new process serves
	Calm, During Latency         // of newcomers
	Usage        Usage           // of the last process
}

// RunMany restarts a daemon that has many services, each a stream of bytes to the nodes, while
// newcomers visit one or the other. None of them may be refused or cut off.
func RunMany(ctx context.Context, o ManyOptions) (rep ManyReport, err error) {
	fds, err := affordable(fdsOfService * o.Services)
	if err != nil {
		return rep, err
	}
	if rep.Services = fds / fdsOfService; rep.Services < o.Services {
		o.Logf("only %d services: the limit of descriptors does not allow for more", rep.Services)
	}
	s := &Stand{Programs: o.Programs, Dir: o.Dir, Reaper: o.Reaper, Nodes: o.Nodes}
	rig := nobody
	rig.Args = []string{"-restart-timeout", "1m"}
	rig.Config = func(c *Config, spare []string) {
		_, port, _ := net.SplitHostPort(spare[0])
		for i := range rep.Services {
			c.Services = append(c.Services, Service{
				Name: fmt.Sprintf("tcp-%d", i), Listen: net.JoinHostPort(manyIP(i), port), More: "protocol: TCP", Nodes: o.Nodes,
			})
		}
	}
	err = s.withRig(ctx, rig, func(r *Rig) error { return r.many(ctx, o, &rep) })
	return rep, err
}

// manyIP is an address of the loopback network for each service.
func manyIP(i int) string { return fmt.Sprintf("127.4.%d.%d", i/250, 1+i%250) }

// many restarts while newcomers come.
func (r *Rig) many(ctx context.Context, o ManyOptions, rep *ManyReport) error {
	visitors := &newcomers{problems: &r.problems, watch: &r.watch, addr: func() string {
		return r.config.Services[rand.IntN(len(r.config.Services))].Listen
	}}
	visiting, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for id := range manyVisitors {
		running.Go(func() { visitors.run(visiting, id) })
	}
	if err := pause(ctx, o.Calm); err != nil {
		return err
	}
	for range o.Restarts {
		r.watch.begin()
		took, err := r.timedRestart(ctx)
		if err != nil {
			return err
		}
		r.watch.end()
		rep.Serving = append(rep.Serving, took)
	}
	cancel()
	running.Wait()
	rep.During, rep.Calm = r.watch.latencies()
	var err error
	rep.Usage, err = usageOf(r.PID())
	return err
}

// timedRestart returns how long the restart took until the new process served. It returns when
// that is the only one.
func (r *Rig) timedRestart(ctx context.Context) (time.Duration, error) {
	old, start := r.PID(), time.Now()
	if err := r.Hangup(); err != nil {
		return 0, err
	}
	pid, err := r.AwaitServing(ctx, old)
	took := time.Since(start)
	if err != nil {
		return took, err
	}
	return took, errors.Join(r.endsWell(ctx, old), r.AwaitAlone(ctx, pid))
}
