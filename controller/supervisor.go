package controller

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"syscall"
	"time"

	"samaritan/api/common"
	"samaritan/config"
	"samaritan/proc"
)

const (
	// Pauses between two tries.
	retryMin = 100 * time.Millisecond
	retryMax = 5 * time.Second
	// A proc that lived so long is no failed start: its end begins a new series.
	provenAfter = 2 * retryMax

	// How often a proc that starts is asked whether it is bound, and how often
	// an address is tried that a draining proc is about to give up.
	pollMin = time.Millisecond
	pollMax = 50 * time.Millisecond
)

// supervisor is what there is of one configured service. Its goroutine is the only
// one to change it, apart from wanted.
type supervisor struct {
	// immutable
	c      *Controller
	name   string
	log    *slog.Logger
	cancel context.CancelFunc
	wake   chan struct{} // says that wanted changed

	// owned by its goroutine
	applied *config.Service // what the procs were told last
	all     []*instance     // whose end has to be waited for
	due     bool            // no proc has what is applied: one has to be started
	retry   time.Time       // not before that, while due
	pause   time.Duration   // the longest that the last one between two tries could be
	poll    time.Duration   // the last one between two looks
	vacant  time.Duration   // the last one between two tries of an address that is being given up
	logged  string          // the last failure that was logged

	proven    bool // there was a proc that was bound
	contended bool // a draining proc had the address when the last proc was started

	// guarded by the mutex of the controller
	wanted    *config.Service
	serving   *instance // bound, or was
	coming    *instance // started, takes the place of serving once it is bound
	state     State
	since     time.Time
	lastError string
	nextRetry time.Time
}

func newSupervisor(c *Controller, svc *config.Service) *supervisor {
	return &supervisor{
		c: c, name: svc.Name,
		log:    c.log.With("service", svc.Name),
		wake:   make(chan struct{}, 1),
		wanted: svc,
		state:  Starting,
		since:  time.Now(),
	}
}

// supervise is the goroutine of a service. Each round first makes the procs what
// they shall be, as far as that can be done now, and then waits for whatever
// changes that: another config, the end of a proc, the time to look or to try
// again.
func (s *supervisor) supervise(ctx context.Context) {
	defer s.c.gone(s)
	for ctx.Err() == nil {
		s.reap()
		s.promote() // first, so that one that is bound is not taken for one that is not
		s.configure(ctx)
		if s.due && !time.Now().Before(s.retry) {
			s.startNext(ctx)
		}
		s.wait(ctx)
	}
	s.c.mu.Lock()
	s.setStateLocked(Draining)
	s.c.mu.Unlock()
	for _, i := range s.all {
		i.retire()
	}
	for _, i := range s.all {
		<-i.done
	}
}

// wait blocks until there is something to do. All that starts is looked at soon.
func (s *supervisor) wait(ctx context.Context) {
	var alarm <-chan time.Time
	switch {
	case s.coming != nil:
		s.poll = min(max(2*s.poll, pollMin), pollMax)
		alarm = time.After(s.poll)
	case s.due:
		alarm = time.After(time.Until(s.retry))
	}
	select {
	case <-ctx.Done():
	case <-s.wake:
	case <-alarm:
	case <-s.coming.doneChan():
	case <-s.serving.doneChan():
	}
}

// reap takes note of procs that have ended unasked.
func (s *supervisor) reap() {
	coming, serving := s.coming, s.serving
	if serving.isDone() {
		s.place(nil, coming)
		if coming == nil && !s.due {
			s.fail(serving.failure(), serving.started)
		} else {
			s.log.Error("the old proc ended before the new one was up", "error", serving.failure())
		}
	}
	if coming.isDone() {
		s.place(s.serving, nil)
		s.fail(coming.failure(), coming.started)
	}
	kept := s.all[:0]
	for _, i := range s.all {
		if !i.isDone() {
			kept = append(kept, i)
		}
	}
	clear(s.all[len(kept):])
	s.all = kept
}

// configure applies what is wanted to the proc that can take it, the newest
// first. When none can, a new one is due at once.
func (s *supervisor) configure(ctx context.Context) {
	s.c.mu.Lock()
	wanted := s.wanted
	s.c.mu.Unlock()
	if wanted == s.applied {
		return
	}
	s.applied = wanted
	if s.coming != nil {
		if s.update(s.coming, wanted) {
			return
		}
		s.coming.retire()
		s.place(s.serving, nil)
	}
	if s.serving != nil && s.update(s.serving, wanted) {
		s.due = false
		s.recovered()
		return
	}
	if s.serving != nil {
		s.c.restarts.Add(1)
	}
	s.pause, s.vacant = 0, 0
	s.startNext(ctx)
}

// update reports whether the proc keeps going; false when it has to be replaced.
// A change that the proc does not take leaves it as it was.
func (s *supervisor) update(i *instance, svc *config.Service) bool {
	err := i.proc.Update(svc)
	if errors.Is(err, proc.ErrRestart) {
		return false
	}
	if err != nil {
		s.c.updateFailures.Add(1)
		s.log.Error("the service does not take its new config and keeps the old one", "error", err)
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.lastError, s.nextRetry = "", time.Time{}
	if err != nil {
		s.lastError = err.Error()
	}
	if i == s.serving {
		s.setStateLocked(Running)
	}
	return true
}

// startNext starts a proc for what is applied. One that wants the address of the old
// proc shares it until it is bound.
func (s *supervisor) startNext(ctx context.Context) {
	listen := s.c.o.Env.Listen
	if s.serving != nil && Overlap(s.serving.address, s.address()) {
		listen = s.c.o.Share
	}
	p, err := s.c.build(s.applied, listen)
	if err != nil {
		s.fail(err, time.Now())
		return
	}
	s.contended = s.c.draining(s.address())
	i := s.c.start(ctx, s, p)
	s.due, s.poll = false, 0
	s.all = append(s.all, i)
	s.place(s.serving, i)
	s.c.mu.Lock()
	s.nextRetry = time.Time{}
	s.setStateLocked(Starting)
	s.c.mu.Unlock()
}

// promote lets the proc that is coming up take over once it is bound.
func (s *supervisor) promote() {
	i := s.coming
	if i == nil || !i.bound() {
		return
	}
	if s.serving != nil {
		s.serving.retire()
	}
	if s.proven {
		s.c.anew(s.name)
	}
	s.proven = true
	s.vacant = 0
	s.place(i, nil)
	s.c.mu.Lock()
	s.lastError = ""
	s.setStateLocked(Running)
	s.c.mu.Unlock()
	s.recovered()
}

// recovered says so when a failure was logged, which is then one to be logged again.
func (s *supervisor) recovered() {
	if s.logged != "" {
		s.log.Info("service runs again")
		s.logged = ""
	}
}

// fail notes a failure and when to try again. An address that a draining proc is
// about to give up is not a failure yet.
func (s *supervisor) fail(err error, started time.Time) {
	s.due = true
	if errors.Is(err, syscall.EADDRINUSE) {
		s.yield()
	}
	if errors.Is(err, syscall.EADDRINUSE) && (s.contended || s.c.draining(s.address())) {
		s.vacant = min(max(2*s.vacant, pollMin), pollMax)
		s.retry = time.Now().Add(s.vacant)
		return
	}
	s.c.failures.Add(1)
	if time.Since(started) >= provenAfter {
		s.pause = 0
	}
	s.pause = min(max(2*s.pause, 2*retryMin), retryMax)
	s.retry = time.Now().Add(s.pause/2 + rand.N(s.pause/2+1))
	s.c.mu.Lock()
	s.lastError, s.nextRetry = err.Error(), s.retry
	s.setStateLocked(Failed)
	s.c.mu.Unlock()
	if s.logged != s.lastError {
		s.logged = s.lastError
		s.log.Error("service failed, trying again", "error", err)
	}
}

// yield gives up the address of the old proc when services wait for each other's in a
// circle, as two that trade theirs do: one of them has to begin.
func (s *supervisor) yield() {
	if s.serving != nil && s.c.inCircle(s) {
		s.serving.retire()
		s.place(nil, s.coming)
	}
}

// address is the one to listen on.
func (s *supervisor) address() *common.Address { return s.applied.Config.GetListener().GetAddress() }

// place says which procs there are.
func (s *supervisor) place(serving, coming *instance) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.serving, s.coming = serving, coming
}

func (s *supervisor) setStateLocked(state State) {
	if s.state != state && s.state != Draining {
		s.state, s.since = state, time.Now()
	}
}
