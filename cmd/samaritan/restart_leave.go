package main

import (
	"context"
	"errors"
	"os"
	"time"

	"samaritan/hotrestart"
	"samaritan/internal/supervise"
	"samaritan/proc"
)

const (
	// provingTime is how long a process stays, at least, that has handed over: when the new
	// one dies meanwhile it takes back.
	provingTime = 3 * time.Second
	// How often the new process is told what this one has counted, and how often is looked
	// whether clients are left.
	updateEvery = time.Second
	lookEvery   = 20 * time.Millisecond
	// hurry is how long clients may still move when this process has been told to end.
	hurry = time.Second
)

// leave has the clients move to the new process, serves those that cannot until they
// end, and begins the end of this process. When the new one dies before, this one takes
// back.
func (r *restarter) leave(ctx context.Context, s *hotrestart.Successor, spare []hotrestart.Listener) {
	moving := newPart(ctx)
	defer moving.end()
	if ok, why := s.MovesClients(); ok {
		r.moveClients(moving, s)
	} else {
		r.d.log.Warn("clients do not move to the new process, they are served here until they end", "reason", why)
	}
	switch end := r.awaitEnd(ctx, s); {
	case ctx.Err() != nil, end == endGone && r.hurried.Err() != nil: // whatever else there is
	case end == endGone:
		moving.end()
		if !r.takeBack(s, spare) {
			closeAll(spare)
			r.awaitEmpty(ctx)
			r.d.stop()
		}
		return
	case end == endTime:
		left := r.d.clients()
		r.d.log.Warn("the time to drain is over", "clients", left, "after", r.terminate)
		r.mu.Lock()
		r.counters.cut += uint64(left)
		r.mu.Unlock()
		r.update(s, left)
	}
	moving.end()
	closeAll(spare)
	r.succ = s
	r.d.log.Info("handed over, this process ends", "to", s.PID(), "clients", r.d.clients())
	r.d.stop()
}

// moveClients gives the clients of each service to the new process.
func (r *restarter) moveClients(moving *part, s *hotrestart.Successor) {
	r.d.eachProc(func(service string, p proc.Proc) {
		m, ok := p.(proc.Mover)
		if !ok {
			return
		}
		give := func(c proc.Client, done func(error)) {
			s.Give(service, c.FD, c.State, c.Input, func(err error) {
				r.given(service, err)
				done(err)
			})
		}
		moving.wg.Go(func() { // again and again: more may come from the process before
			for sleep(moving.ctx, lookEvery) {
				m.MoveClients(moving.ctx, give)
			}
		})
	})
}

// given counts what has become of a client.
func (r *restarter) given(service string, err error) {
	var refused *hotrestart.RefusedError
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		r.counters.moved++
		return
	case errors.As(err, &refused):
		r.counters.refused++
	}
	r.d.log.Debug("a client did not move and is served here", "service", service, "reason", err)
}

// The reasons for which a process ends that has handed over.
type endReason int

const (
	endDone  endReason = iota // nobody is left here
	endTime                   // the time to drain is over
	endAsked                  // this process, or the new one, was told to end
	endGone                   // the new process has died
)

// awaitEnd waits until this process can end, or has to go on.
func (r *restarter) awaitEnd(ctx context.Context, s *hotrestart.Successor) endReason {
	begin := time.Now()
	limit := time.NewTimer(r.terminate)
	defer limit.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	hurried := r.hurried.Done()
	updated, before, asked := begin, -1, false
	for {
		select {
		case <-ctx.Done():
			return endAsked
		case <-hurried:
			hurried = nil
			limit.Reset(hurry)
		case <-s.Ending():
			return endAsked
		case <-s.Gone():
			return gone(s)
		case <-limit.C:
			if hurried == nil {
				return endAsked
			}
			return endTime
		case now := <-look.C:
			left := r.d.clients()
			proven := hurried == nil || now.Sub(begin) >= min(provingTime, r.terminate)
			done := left == 0 && proven && !r.hasPredecessor()
			if done && asked && s.Answered() {
				return endDone
			}
			if done && !asked || left == 0 && before != 0 || now.Sub(updated) >= updateEvery {
				updated, asked = now, done
				r.update(s, left)
			}
			before = left
		}
	}
}

// end is what SIGTERM does: it begins the end of this process. While clients move to another one
// they have a moment more for it.
func (r *restarter) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.status.Phase == phaseDraining {
		r.hurryUp()
		return
	}
	r.d.stop()
}

// gone is the reason when there is no new process any more. One that was told to end has said
// so before, and both may be known at the same moment.
func gone(s *hotrestart.Successor) endReason {
	select {
	case <-s.Ending():
		return endAsked
	default:
		return endGone
	}
}

// hasPredecessor tells whether the process before this one still drains: what that counts
// reaches the new one through this one.
func (r *restarter) hasPredecessor() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status.Predecessor != nil
}

// update tells the new process what has been counted here, and asks whether it lives. One that
// cannot be told, or does not answer, is gone, which is seen elsewhere.
func (r *restarter) update(s *hotrestart.Successor, left int) {
	state, err := r.d.exportUpdate(left)
	if err == nil {
		err = s.Update(state)
	}
	if err == nil {
		err = s.Ask()
	}
	if err != nil {
		r.d.log.Debug("the new process was not told the numbers", "error", err)
	}
}

// awaitEmpty waits until nobody is left here, for as long as a process may drain.
func (r *restarter) awaitEmpty(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.terminate)
	defer cancel()
	for r.d.clients() > 0 && sleep(ctx, lookEvery) {
	}
}

// takeBack serves again in the place of a new process that has died, unless that one had
// handed over to yet another one by then: false.
func (r *restarter) takeBack(s *hotrestart.Successor, spare []hotrestart.Listener) bool {
	s.Kill()
	if err := r.d.claim(r.named); err != nil {
		r.d.log.Warn("the new process has died, and another one serves in its place", "pid", s.PID(), "error", s.Err(), "reason", err)
		return false
	}
	r.d.log.Error("the new process has died, this one takes back", "pid", s.PID(), "error", s.Err())
	r.d.turn.Lock()
	r.d.stepForward(spare)
	r.d.turn.Unlock()
	r.d.notifier.back()
	if r.d.o.watch { // changes of meanwhile were left to the new process
		r.d.reloader.request(byWatch)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counters.takenBack++
	r.counters.failures++
	r.status.Successor = nil
	r.status.LastError, r.status.LastErrorAt = "the new process died after it had taken over", time.Now()
	r.enterLocked(phaseServing)
	return true
}

// farewell is the last word to the new process, when all has ended here.
func (r *restarter) farewell() {
	if r.succ != nil {
		_ = r.succ.Finish() // it notices the end of this process anyway
	}
}

// clients is how many client connections all services have.
func (d *process) clients() int {
	n := 0
	d.eachProc(func(_ string, p proc.Proc) { n += p.(proc.Pauser).Clients() })
	return n
}

// claim says to the outside that this is the process to talk to. If it is to be the only
// one, and the pid file is that of another, it says nothing and returns errLiving.
func (d *process) claim(only bool) error {
	err := d.pid.write(d.heir.welcome.PID)
	if only && errors.Is(err, errLiving) {
		return err
	}
	if err != nil {
		d.log.Warn("cannot write the pid file, going on without", "error", err)
	}
	if err := supervise.Announce(os.Getpid()); err != nil {
		d.log.Error("the supervisor does not know of this process", "error", err)
	}
	return nil
}
