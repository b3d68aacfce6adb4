package restart

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"samaritan/internal/testredis"
)

// signalScenarios are those in which somebody gets a signal.
func signalScenarios() []Scenario {
	all := []Scenario{
		{"SIGTERM to the old process while it drains", false, termOldDraining},
		{"SIGTERM to the new process while the old one drains", false, termNewDraining},
		{"SIGTERM to the new process before it is ready", false, termNewStarting},
		{"kill -9 of the old process before the new one has come", false, killOldStarting},
		{"kill -9 of the old process before the new one is ready", false, killOldWaiting},
		{"kill -9 of the old process while it drains", false, killOldDraining},
		{"two SIGHUPs at once", false, twoHangups},
		{"SIGHUP to the process that drains, and a chain behind it", false, hangupDraining},
	}
	for _, point := range []string{"check", "start", "hello", "listeners", "go"} {
		all = append(all, Scenario{"SIGTERM to the old process, new one at " + point, point == "hello", func(ctx context.Context, s *Stand) error {
			return termOld(ctx, s, point)
		}})
	}
	return all
}

// withRig runs a scenario with a rig of its own.
func (s *Stand) withRig(ctx context.Context, o RigOptions, do func(r *Rig) error) error {
	r, err := s.newRig(ctx, o)
	if err != nil {
		return err
	}
	err = do(r)
	if err = errors.Join(err, r.end()); err != nil {
		err = fmt.Errorf("%w\n%s", err, r.LogTail(40))
	}
	return err
}

// nobody is a rig without clients.
var nobody = RigOptions{Clients: -1}

// termOld ends the old process while the new one hangs at a point before it has taken over:
// both end.
func termOld(ctx context.Context, s *Stand, point string) error {
	return s.withRig(ctx, nobody, func(r *Rig) error {
		if err := errors.Join(r.plan("hang "+point), r.Hangup(), r.awaitReached(ctx)); err != nil {
			return err
		}
		return errors.Join(kill(r.first, syscall.SIGTERM), r.endsWell(ctx, r.first), r.awaitNobody(ctx))
	})
}

// heldBy begins a restart whose old process cannot end, and returns the new one.
func (r *Rig) heldBy(ctx context.Context) (d *deaf, pid int, err error) {
	if d, err = r.newDeaf(ctx); err != nil {
		return nil, 0, err
	}
	if err = r.Hangup(); err == nil {
		pid, err = r.AwaitServing(ctx, r.first)
	}
	if err == nil {
		err = r.awaitLeft(ctx, 1)
	}
	return d, pid, err
}

// awaitLeft waits until the process before the one that serves has so many clients.
func (r *Rig) awaitLeft(ctx context.Context, clients int) error {
	return eventually(ctx, startLimit, func() error {
		s, err := r.Restart(ctx)
		switch {
		case err != nil:
			return err
		case s.Predecessor == nil:
			return errors.New("restart: no process drains")
		case s.Predecessor.Clients != clients:
			return fmt.Errorf("restart: %d clients are with the old process, not %d", s.Predecessor.Clients, clients)
		}
		return nil
	})
}

func termOldDraining(ctx context.Context, s *Stand) error {
	return s.withRig(ctx, RigOptions{Drain: drainLong}, func(r *Rig) error {
		d, pid, err := r.heldBy(ctx)
		if err != nil {
			return err
		}
		defer d.nc.Close()
		return errors.Join(
			kill(r.first, syscall.SIGTERM), r.endsWell(ctx, r.first), r.AwaitAlone(ctx, pid),
			d.isClosed(), r.awaitLost(ctx, 0), r.goodRestart(ctx),
		)
	})
}

func termNewDraining(ctx context.Context, s *Stand) error {
	o := nobody
	o.Drain = drainLong
	return s.withRig(ctx, o, func(r *Rig) error {
		d, pid, err := r.heldBy(ctx)
		if err != nil {
			return err
		}
		defer d.nc.Close()
		return errors.Join(kill(pid, syscall.SIGTERM), r.endsWell(ctx, pid), r.endsWell(ctx, r.first), r.awaitNobody(ctx))
	})
}

func termNewStarting(ctx context.Context, s *Stand) error {
	return s.withRig(ctx, RigOptions{}, func(r *Rig) error {
		if err := errors.Join(r.Configure(r.neverReady()), r.Hangup(), r.awaitPhase(ctx, "waiting")); err != nil {
			return err
		}
		pid, err := r.child(ctx)
		if err != nil {
			return err
		}
		return errors.Join(
			kill(pid, syscall.SIGTERM), r.awaitFailure(ctx, ""), r.awaitLost(ctx, 0),
			r.Configure(r.config), r.goodRestart(ctx), r.awaitLost(ctx, 0),
		)
	})
}

// neverReady is the config with another service, whose nodes do not answer.
func (r *Rig) neverReady() Config {
	c := r.config
	c.Services = append(c.Services[:len(c.Services):len(c.Services)], Service{Name: "never-ready", Listen: r.spare[0], Nodes: []string{r.spare[1]}})
	return c
}

func killOldStarting(ctx context.Context, s *Stand) error {
	return s.withRig(ctx, nobody, func(r *Rig) error {
		client, err := testredis.Dial(r.addr)
		if err != nil {
			return err
		}
		defer client.Close()
		release := func() error { return os.WriteFile(filepath.Join(r.dir, "release"), nil, 0o600) }
		if err := errors.Join(r.installReal(), r.plan("exec start"), r.Hangup(), r.awaitReached(ctx)); err != nil {
			return err
		}
		if err := errors.Join(kill(r.first, syscall.SIGKILL), release()); err != nil {
			return err
		}
		return errors.Join(r.servesAlone(ctx), r.goodRestart(ctx))
	})
}

// installReal puts the real program where the misbehaving one finds it. The name of the file
// is that of the process.
func (r *Rig) installReal() error {
	dir := filepath.Join(r.dir, "real")
	return errors.Join(os.Mkdir(dir, 0o700), copyFile(r.stand.Programs.Samaritan, filepath.Join(dir, programName)))
}

// servesAlone waits until a process other than the first one serves, and is the only one.
func (r *Rig) servesAlone(ctx context.Context) error {
	pid, err := r.AwaitServing(ctx, r.first)
	if err != nil {
		return err
	}
	return errors.Join(r.AwaitAlone(ctx, pid), eventually(ctx, startLimit, func() error { return call(r.addr, "new") }))
}

// killOldWaiting kills it while the new one waits for a service that is never ready: it has
// to serve with the others.
func killOldWaiting(ctx context.Context, s *Stand) error {
	return s.withRig(ctx, RigOptions{MayLose: true}, func(r *Rig) error {
		if err := errors.Join(r.Configure(r.neverReady()), r.Hangup(), r.awaitPhase(ctx, "waiting")); err != nil {
			return err
		}
		if err := errors.Join(kill(r.first, syscall.SIGKILL), r.servesAlone(ctx)); err != nil {
			return err
		}
		return errors.Join(r.Configure(r.config), r.goodRestart(ctx))
	})
}

func killOldDraining(ctx context.Context, s *Stand) error {
	return s.withRig(ctx, RigOptions{Drain: drainLong}, func(r *Rig) error {
		d, pid, err := r.heldBy(ctx)
		if err != nil {
			return err
		}
		defer d.nc.Close()
		return errors.Join(
			kill(r.first, syscall.SIGKILL), r.AwaitAlone(ctx, pid), d.isClosed(),
			r.awaitLost(ctx, 0), r.goodRestart(ctx), r.awaitLost(ctx, 0),
		)
	})
}

func twoHangups(ctx context.Context, s *Stand) error {
	return s.withRig(ctx, RigOptions{}, func(r *Rig) error {
		if err := errors.Join(r.Hangup(), r.Hangup(), r.Hangup()); err != nil {
			return err
		}
		pid, err := r.AwaitServing(ctx, r.first)
		if err != nil {
			return err
		}
		if err := errors.Join(r.endsWell(ctx, r.first), r.AwaitAlone(ctx, pid), r.awaitLost(ctx, 0)); err != nil {
			return err
		}
		now, err := r.Restart(ctx)
		if err == nil && now.Restarts != 1 {
			err = fmt.Errorf("restart: there were %d restarts, not 1", now.Restarts)
		}
		return err
	})
}

// hangupDraining has three processes at a time, the first of which has a client that does
// not read.
func hangupDraining(ctx context.Context, s *Stand) error {
	return s.withRig(ctx, RigOptions{Drain: drainLong}, func(r *Rig) error {
		d, second, err := r.heldBy(ctx)
		if err != nil {
			return err
		}
		defer d.nc.Close()
		if err := errors.Join(kill(r.first, syscall.SIGHUP), r.Hangup()); err != nil {
			return err
		}
		third, err := r.AwaitServing(ctx, second)
		if err != nil {
			return err
		}
		if all := r.Processes(); len(all) != 3 {
			return fmt.Errorf("restart: the processes are %v, not three", all)
		}
		return errors.Join(
			r.awaitLost(ctx, 0), d.hear(), r.endsWell(ctx, r.first), r.endsWell(ctx, second),
			r.AwaitAlone(ctx, third), r.awaitLost(ctx, 0),
		)
	})
}
