package restart

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"samaritan/internal/chaos"
	"samaritan/internal/testredis"
)

// Limits of the daemons that fail.
const (
	// failTimeout is their -restart-timeout.
	failTimeout = 2 * time.Second

	// drainTime is how long the process before stays at most: longer than it waits for
	// answers.
	drainTime = "4s"

	// drainLong is that for tests whose clients stay with the process before.
	drainLong = "1m"

	// rigClients is how many clients there are.
	rigClients = 10

	// serviceName is that of the service of a rig.
	serviceName = "redis"
)

// Programs are the files that the tests need.
type Programs struct {
	Samaritan string
	Misbehave string // package misbehave

	// OtherSessions is a daemon whose sessions are of another version, OtherProtocol one
	// whose protocol is.
	OtherSessions, OtherProtocol string
}

// Stand is what rigs have in common. Several can be used at a time.
type Stand struct {
	Programs Programs
	Dir      string // an empty directory
	Reaper   *Reaper
	Nodes    []string // of the cluster

	rigs atomic.Int64
}

// Rig is a daemon with clients, for one scenario. Its methods must not be called at the
// same time, but for those of the Daemon.
type Rig struct {
	*Daemon

	// Immutable.
	stand   *Stand
	addr    string   // of the service
	config  Config   // the first one
	options Options  // of the daemon
	spare   []string // further addresses

	first    int // pid of the process that is to be replaced
	problems problems
	watch    stopwatch
	lost     atomic.Int64 // connections of clients that ended, of newcomers too when they may
	open     atomic.Int64
	crowd    *chaos.Crowd
	visitors *newcomers
	running  sync.WaitGroup
	cancel   context.CancelFunc // of what runs
	release  func()             // of the addresses
}

// RigOptions change a rig from what most need.
type RigOptions struct {
	MayLose bool   // connections of clients may end
	Litter  bool   // see Options
	Drain   string // drainTime when empty
	Args    []string
	Clients int // rigClients when 0; fewer than 0 are none, and no newcomers
	Config  func(c *Config, spare []string)
}

// spareAddrs is how many addresses a rig has for further use.
const spareAddrs = 3

// newRig starts a daemon and its clients. The caller has to call end.
func (s *Stand) newRig(ctx context.Context, o RigOptions) (_ *Rig, err error) {
	number := int(s.rigs.Add(1))
	dir := filepath.Join(s.Dir, fmt.Sprint(number))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	addrs, release, err := testredis.ReserveAddresses(2 + spareAddrs)
	if err != nil {
		return nil, err
	}
	r := &Rig{stand: s, addr: addrs[0], spare: addrs[2:], release: release, cancel: func() {}}
	r.config = Config{Admin: addrs[1], Services: []Service{{Name: serviceName, Listen: r.addr, Nodes: s.Nodes}}}
	if o.Config != nil {
		o.Config(&r.config, r.spare)
	}
	if o.Drain == "" {
		o.Drain = drainTime
	}
	if o.Clients == 0 {
		o.Clients = rigClients
	}
	r.options = Options{
		Binary: s.Programs.Samaritan, Dir: dir, Reaper: s.Reaper, Config: r.config, MayLitter: o.Litter,
		Args: append([]string{"-restart-timeout", failTimeout.String(), "-drain", "2s"}, o.Args...),
		Env:  []string{"__Samaritan_Parent_Terminate_Time__=" + o.Drain},
	}
	r.Daemon, err = Launch(ctx, r.options)
	if err != nil {
		release()
		return nil, err
	}
	r.first = r.PID()
	if o.Clients < 0 {
		return r, nil
	}
	if err = r.populate(number, o); err != nil {
		err = errors.Join(err, r.end())
	}
	return r, err
}

// populate has the clients come.
func (r *Rig) populate(number int, o RigOptions) error {
	var dials []func() (chaos.Link, error)
	for i := range o.Clients {
		dials = append(dials, func() (chaos.Link, error) {
			return r.dial(2+i%2, o.MayLose)
		})
	}
	r.crowd = chaos.NewCrowd(chaos.CrowdOptions{
		Addr: r.addr, Dial: dials, Name: number, Seed: uint64(number), MayClose: o.MayLose,
		Pauses: [2]time.Duration{20 * time.Millisecond, 60 * time.Millisecond},
	})
	if err := r.crowd.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background()) // until end
	r.cancel = cancel
	r.visitors = &newcomers{addr: func() string { return r.addr }, problems: &r.problems, watch: &r.watch}
	if o.MayLose {
		r.visitors.cut = &r.lost
	}
	r.running.Go(func() { r.visitors.run(ctx, 0) })
	return nil
}

// dial connects a client. Where connections may end, there may be nobody for a while to
// connect to.
func (r *Rig) dial(proto int, again bool) (l chaos.Link, err error) {
	limit := time.Duration(0)
	if again {
		limit = startLimit
	}
	for end := time.Now().Add(limit); ; time.Sleep(look) {
		if l, err = chaos.DialRaw(r.addr, proto, replyLimit, &r.open); err == nil {
			return &counted{l, &r.lost}, nil
		}
		if time.Now().After(end) {
			return nil, err
		}
	}
}

// withoutNewcomers has them stay away, and waits until the daemon has nobody but the crowd: a
// newcomer that has left does not notice that its session is lost.
func (r *Rig) withoutNewcomers(ctx context.Context) error {
	r.cancel()
	r.running.Wait()
	return eventually(ctx, startLimit, func() error {
		n, err := r.stat(ctx, "service."+serviceName+".downstream.cx_active")
		if err == nil && n != rigClients {
			err = fmt.Errorf("restart: there are %.0f connections of clients, not %d", n, rigClients)
		}
		return err
	})
}

// counted counts the connections that end without having been closed.
type counted struct {
	chaos.Link
	lost *atomic.Int64
}

// Exchange is that of the link.
func (c *counted) Exchange(cmds [][]any, each func(i int, v any)) error {
	err := c.Link.Exchange(cmds, each)
	if err != nil {
		c.lost.Add(1)
	}
	return err
}

// end has all clients leave and all processes end, and returns everything that went wrong.
func (r *Rig) end() error {
	r.cancel()
	r.running.Wait()
	var errs []error
	if r.crowd != nil {
		r.crowd.Stop()
		for _, v := range r.crowd.Settle().Violations {
			errs = append(errs, errors.New(v))
		}
	}
	for _, p := range r.problems.all() {
		errs = append(errs, errors.New(p))
	}
	errs = append(errs, r.Close())
	r.release()
	return errors.Join(errs...)
}

// plan puts the misbehaving program in the place of the daemon's, and says what it is to do.
func (r *Rig) plan(what string) error {
	path := filepath.Join(r.dir, "misbehave")
	return errors.Join(os.WriteFile(path, []byte(what), 0o600), r.Install(r.stand.Programs.Misbehave))
}

// awaitReached waits until the misbehaving program is where it does what it is to do.
func (r *Rig) awaitReached(ctx context.Context) error {
	return eventually(ctx, startLimit, func() error {
		_, err := os.Stat(filepath.Join(r.dir, "reached"))
		return err
	})
}

// child returns the process that is not the first one.
func (r *Rig) child(ctx context.Context) (pid int, err error) {
	err = eventually(ctx, startLimit, func() error {
		all := slices.DeleteFunc(r.Processes(), func(p int) bool { return p == r.first })
		if len(all) != 1 {
			return fmt.Errorf("restart: processes %v besides %d, and not one", all, r.first)
		}
		pid = all[0]
		return nil
	})
	return pid, err
}

// awaitNobody waits until there is no process.
func (r *Rig) awaitNobody(ctx context.Context) error {
	return eventually(ctx, endLimit, func() error {
		if all := r.Processes(); len(all) > 0 {
			return fmt.Errorf("restart: processes %v have not ended\n%s", all, r.LogTail(15))
		}
		return nil
	})
}

// awaitPhase waits until the first process is so far.
func (r *Rig) awaitPhase(ctx context.Context, phase string) error {
	return eventually(ctx, startLimit, func() error {
		s, err := r.Restart(ctx)
		if err == nil && s.Phase != phase {
			err = fmt.Errorf("restart: process %d is %s, not %s; its last failure: %s", s.PID, s.Phase, phase, s.LastError)
		}
		return err
	})
}

// awaitFailure waits until the first process serves again, alone, for a reason that has
// these words.
func (r *Rig) awaitFailure(ctx context.Context, words string) error {
	err := eventually(ctx, startLimit, func() error {
		s, err := r.Restart(ctx)
		switch {
		case err != nil:
			return err
		case s.PID != r.first:
			return final{fmt.Errorf("restart: process %d serves, not the first one, %d", s.PID, r.first)}
		case s.Phase != "serving" || s.LastError == "":
			return fmt.Errorf("restart: process %d is %s; its last failure: %s", s.PID, s.Phase, s.LastError)
		case !strings.Contains(s.LastError, words):
			return final{fmt.Errorf("restart: the reason is %q, which does not have %q", s.LastError, words)}
		case r.PID() != r.first:
			return fmt.Errorf("restart: the pid file has %d, not %d", r.PID(), r.first)
		}
		return nil
	})
	return errors.Join(err, r.AwaitAlone(ctx, r.first))
}

// awaitLost waits until so many connections of clients have ended, and a while longer: all
// clients have sent something by then.
func (r *Rig) awaitLost(ctx context.Context, want int) error {
	before := r.crowd.Count()
	return eventually(ctx, startLimit, func() error {
		if got := int(r.lost.Load()); got != want {
			return fmt.Errorf("restart: %d connections of clients have ended, not %d", got, want)
		}
		if r.crowd.Count() < before+100*rigClients {
			return errors.New("restart: the clients do not go on")
		}
		return nil
	})
}

// goodRestart restarts with the real program, which has to work.
func (r *Rig) goodRestart(ctx context.Context) error {
	old := r.PID()
	if err := errors.Join(r.Install(r.stand.Programs.Samaritan), r.Hangup()); err != nil {
		return err
	}
	pid, err := r.AwaitServing(ctx, old)
	if err != nil {
		return err
	}
	return errors.Join(r.endsWell(ctx, old), r.AwaitAlone(ctx, pid))
}

// endsWell waits for the end of a process.
func (r *Rig) endsWell(ctx context.Context, pid int) error {
	status, err := r.AwaitEnd(ctx, pid)
	if err == nil && (!status.Exited() || status.ExitStatus() != 0) {
		err = fmt.Errorf("restart: process %d has ended with status %#x", pid, status)
	}
	return err
}
