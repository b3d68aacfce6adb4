package restart

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"
)

const (
	// sweepShort and sweepLong are how many restarts are hit, in the two forms.
	sweepShort = 2
	sweepLong  = 25

	// newProcess is how long a process may take until it can be seen that it is there: in its
	// first moment it has no arguments.
	newProcess = 50 * time.Millisecond

	// sweepSpan is how long after its begin a restart may be hit: longer than one takes.
	sweepSpan = 120 * time.Millisecond
)

// sweepScenarios hit restarts at any moment.
func sweepScenarios() (all []Scenario) {
	for _, who := range []string{"old", "new"} {
		for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
			for _, n := range []int{sweepShort, sweepLong} {
				name := fmt.Sprintf("%v to the %s process at any moment, %d times", sig, who, n)
				all = append(all, Scenario{name, n == sweepLong, func(ctx context.Context, s *Stand) error {
					return sweep(ctx, s, who == "old", sig, n)
				}})
			}
		}
	}
	return all
}

// sweep hits n restarts. Somebody has to serve afterwards, unless the process was hit that
// had nobody beside it; and no client whose connection lives may have lost anything.
func sweep(ctx context.Context, s *Stand, old bool, sig syscall.Signal, n int) error {
	return s.withRig(ctx, RigOptions{MayLose: true, Litter: old && sig == syscall.SIGKILL}, func(r *Rig) error {
		r.cancel() // newcomers: there may be nobody for a moment
		r.running.Wait()
		moments := rand.New(rand.NewPCG(uint64(n), uint64(sig)))
		for i := range n {
			wait := time.Duration(moments.Int64N(int64(sweepSpan)))
			if err := r.hit(ctx, old, sig, wait); err != nil {
				return fmt.Errorf("hit %d, after %v: %w", i+1, wait, err)
			}
		}
		return r.goodRestart(ctx)
	})
}

// hit hits one restart, and returns when one process serves again, alone.
func (r *Rig) hit(ctx context.Context, old bool, sig syscall.Signal, wait time.Duration) error {
	r.first = r.PID()
	if err := errors.Join(r.Hangup(), pause(ctx, wait)); err != nil {
		return err
	}
	victim := r.first
	if !old {
		if victim = r.other(); victim == 0 {
			return r.settles(ctx) // it was not there yet
		}
	}
	if err := kill(victim, sig); err != nil {
		return err
	}
	return r.settles(ctx)
}

// other is a process besides the first one, 0 without any.
func (r *Rig) other() int {
	for _, pid := range r.Processes() {
		if pid != r.first {
			return pid
		}
	}
	return 0
}

// settles waits until one process serves, alone. When none is left it starts one.
func (r *Rig) settles(ctx context.Context) error {
	return eventually(ctx, startLimit, func() error {
		all := r.Processes()
		if len(all) == 0 {
			pid, err := r.launch(r.options)
			return errors.Join(fmt.Errorf("restart: all processes have ended, %d is started", pid), err, pause(ctx, newProcess))
		}
		s, err := r.Restart(ctx)
		switch {
		case err != nil:
			return err
		case len(all) != 1 || s.PID != all[0] || r.PID() != s.PID || s.Phase != "serving":
			return fmt.Errorf("restart: the processes are %v, %d is %s, the pid file has %d\n%s", all, s.PID, s.Phase, r.PID(), r.LogTail(15))
		}
		return call(r.addr, "hit")
	})
}
