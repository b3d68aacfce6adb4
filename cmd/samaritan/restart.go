package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"samaritan/admin"
	"samaritan/hotrestart"
	"samaritan/internal/stats"
)

const (
	defaultRestartTimeout = 60 * time.Second
	// defaultTerminateTime is how long a process may drain that has handed over.
	defaultTerminateTime = 6 * time.Minute
	// checkTimeout bounds the run of the new binary with -check.
	checkTimeout = 20 * time.Second
	// ackTimeout is how long the new process may take to say that it has taken over, or has
	// taken a client.
	ackTimeout = 10 * time.Second

	terminateTimeEnv = "__Samaritan_Parent_Terminate_Time__"
)

// The phases of a restart, as this process goes through them.
const (
	phaseServing  = "serving"  // none is under way
	phaseChecking = "checking" // the binary and the config
	phaseStarting = "starting" // the new process
	phaseWaiting  = "waiting"  // until it is ready
	phaseHanding  = "handing over"
	phaseDraining = "draining"    // the new process serves; clients move or end
	phaseComing   = "taking over" // this is the new process, and not in charge yet
)

var errReplaced = fmt.Errorf("another process has taken over from this one: %w", admin.ErrUnavailable)

// restarter has another process take the place of this one when it is asked to. One
// restart runs at a time, on the restarter's goroutine; who asks meanwhile is refused.
type restarter struct {
	// immutable
	d         *process
	path      string        // of the binary
	limit     time.Duration // until the new process is ready
	terminate time.Duration // for what cannot move
	wake      chan *attempt // has room for one

	// hurried is ended by hurryUp: this process is to end, and clients are still moving.
	hurried context.Context
	hurryUp context.CancelFunc

	succ  *hotrestart.Successor // after the handover; owned by the goroutine
	named bool                  // the pid file was the successor's then; owned by the goroutine

	mu       sync.Mutex // guards the following
	ended    bool
	status   restartStatus
	readyMS  stats.Histogram
	handMS   stats.Histogram
	counters restartCounters
}

type restartCounters struct {
	restarts, failures, takenBack uint64 // restarts: this process has come by one, 0 or 1
	moved, refused, cut           uint64 // clients, by what became of them
	adopted                       uint64
}

// attempt is one restart.
type attempt struct {
	cause string
	done  chan struct{} // closed once the new process serves, or it is known that it will not
	err   error
	pid   int // of the new process
}

// restartStatus is what /hotrestart shows.
type restartStatus struct {
	Phase string    `json:"phase"`
	Since time.Time `json:"since"`
	PID   int       `json:"pid"`
	// Restarts is how many the service has gone through since it was started.
	Restarts    uint64           `json:"restarts"`
	Successor   *successorStatus `json:"successor,omitempty"`
	Predecessor *predecessor     `json:"predecessor,omitempty"`
	LastError   string           `json:"last_error,omitempty"`
	LastErrorAt time.Time        `json:"last_error_at,omitzero"`
}

type successorStatus struct {
	PID     int    `json:"pid"`
	Version string `json:"version"`
	Waiting string `json:"waiting_for,omitempty"`
}

// predecessor is the process before this one, as long as it drains.
type predecessor struct {
	PID     int    `json:"pid"`
	Version string `json:"version"`
	Clients int    `json:"clients"` // that it still serves
	Adopted uint64 `json:"adopted"` // clients that have come from it
}

func newRestarter(d *process, path string) *restarter {
	hurried, hurryUp := context.WithCancel(context.Background())
	return &restarter{
		hurried: hurried, hurryUp: hurryUp,
		d: d, path: path, limit: d.o.restartTimeout, terminate: terminateTime(d),
		wake:   make(chan *attempt, 1),
		status: restartStatus{Phase: phaseComing, Since: time.Now(), PID: os.Getpid()},
	}
}

// terminateTime is from the environment, which is the new process's, too.
func terminateTime(d *process) time.Duration {
	text := os.Getenv(terminateTimeEnv)
	if text == "" {
		return defaultTerminateTime
	}
	t, err := time.ParseDuration(text)
	if err != nil || t < 0 {
		d.log.Warn("the environment has no valid duration, using the default", "name", terminateTimeEnv, "value", text, "default", defaultTerminateTime)
		return defaultTerminateTime
	}
	return t
}

// request asks for a restart and does not wait for it. An error means that there will
// be none.
func (r *restarter) request(cause string) (*attempt, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := &attempt{cause: cause, done: make(chan struct{})}
	switch {
	case r.ended:
		return nil, fmt.Errorf("no restart: the process ends: %w", admin.ErrUnavailable)
	case r.status.Phase == phaseDraining:
		return nil, fmt.Errorf("no restart: %w (pid %d)", errReplaced, r.status.Successor.PID)
	case r.status.Phase != phaseServing:
		return nil, fmt.Errorf("no restart: one is under way (%s): %w", r.status.Phase, admin.ErrBusy)
	}
	r.enterLocked(phaseChecking)
	r.wake <- a // has room: there is one attempt at a time
	return a, nil
}

// restart is the operation of the admin server: it returns when the new process serves.
func (r *restarter) restart(ctx context.Context) (admin.Restarted, error) {
	a, err := r.request(byAdmin)
	if err != nil {
		return admin.Restarted{}, err
	}
	select {
	case <-a.done:
		return admin.Restarted{PID: a.pid}, a.err
	case <-ctx.Done():
		return admin.Restarted{}, ctx.Err()
	}
}

// signalled is the same for SIGHUP.
func (r *restarter) signalled() {
	if _, err := r.request("SIGHUP"); err != nil {
		r.d.log.Warn("SIGHUP is ignored", "reason", err)
	}
}

// run restarts as it is asked to, until ctx ends.
func (r *restarter) run(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case a := <-r.wake:
			r.one(ctx, a)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	select {
	case a := <-r.wake:
		a.err = errEnding
		close(a.done)
	default:
	}
}

// one is a restart. Reloads wait for it: both change what runs.
func (r *restarter) one(ctx context.Context, a *attempt) {
	r.d.turn.Lock()
	r.d.log.Info("hot restart begins", "cause", a.cause, "binary", r.path)
	r.d.notifier.reloading(true)
	s, err := r.raise(ctx)
	var spare []hotrestart.Listener
	if err == nil {
		spare, err = r.handOver(ctx, s)
	}
	r.d.turn.Unlock()
	if err != nil {
		r.failed(ctx, err)
		r.d.notifier.reloading(false)
		a.err = err
		close(a.done)
		return
	}
	a.pid = s.PID()
	close(a.done)
	r.leave(ctx, s, spare)
}

// failed notes why all stays as it is.
func (r *restarter) failed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		r.d.log.Info("hot restart given up: the process ends")
	} else {
		r.d.log.Error("hot restart failed, this process goes on", "error", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counters.failures++
	r.status.Successor = nil
	r.status.LastError, r.status.LastErrorAt = err.Error(), time.Now()
	r.enterLocked(phaseServing)
}

func (r *restarter) enter(phase string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.enterLocked(phase)
}

func (r *restarter) enterLocked(phase string) { r.status.Phase, r.status.Since = phase, time.Now() }

// replaced tells whether another process serves in the place of this one.
func (r *restarter) replaced() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status.Phase == phaseDraining
}

// begun says how many restarts there have been, with the one by which this process has
// come.
func (r *restarter) begun(restarts uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Restarts, r.counters.restarts = restarts, 1
}

func (r *restarter) restarts() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status.Restarts
}

// lastError is why the last restart failed, empty when it did not.
func (r *restarter) lastError() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status.LastError
}

// succeed says that clients of another process come.
func (r *restarter) succeed(w welcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Predecessor = &predecessor{PID: w.PID, Version: w.Version}
}

// adopted counts one.
func (r *restarter) adopted() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counters.adopted++
	r.status.Predecessor.Adopted++
}

// predecessorHas says how many clients are left there.
func (r *restarter) predecessorHas(clients int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Predecessor.Clients = clients
}

// alone says that no more come, and returns how many have.
func (r *restarter) alone() (adopted uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	adopted = r.status.Predecessor.Adopted
	r.status.Predecessor = nil
	return adopted
}

// show is what /hotrestart answers.
func (r *restarter) show() any {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.status
	if s.Successor != nil {
		c := *s.Successor
		s.Successor = &c
	}
	if s.Predecessor != nil {
		c := *s.Predecessor
		s.Predecessor = &c
	}
	return s
}

// Stats implements stats.Source.
func (r *restarter) Stats(emit func(stats.Sample)) {
	r.mu.Lock()
	c, ready, hand := r.counters, r.readyMS.Clone(), r.handMS.Clone()
	busy, left := 0.0, 0.0
	if r.status.Phase != phaseServing {
		busy = 1
	}
	if p := r.status.Predecessor; p != nil {
		busy, left = 1, float64(p.Clients)
	}
	r.mu.Unlock()
	for _, s := range []stats.Sample{
		{Name: "restarts_total", Value: float64(c.restarts), Help: "Hot restarts since the service was started."},
		{Name: "failures_total", Value: float64(c.failures), Help: "Hot restarts that failed; the process that was asked went on, or took back."},
		{Name: "taken_back_total", Value: float64(c.takenBack), Help: "Of these: times that the process before took the service back, as the new one had died or hung."},
		{Name: "clients_moved_total", Value: float64(c.moved), Help: "Client connections that moved to a new process."},
		{Name: "clients_refused_total", Value: float64(c.refused), Help: "Client connections that the new process did not take, and that the old one served on."},
		{Name: "clients_cut_total", Value: float64(c.cut), Help: "Client connections that were left when the time of an old process was over, and ended with it."},
		{Name: "clients_adopted_total", Value: float64(c.adopted), Help: "Client connections that were taken over from an old process."},
		{Name: "in_progress", Kind: stats.Gauge, Value: busy, Help: "1 from the begin of a hot restart until the old process has ended, else 0."},
		{Name: "predecessor_clients", Kind: stats.Gauge, Value: left, Help: "Client connections that the old process still serves."},
		{Name: "ready_ms", Kind: stats.Distribution, Hist: ready, Scale: 1, Help: "Milliseconds from the begin of a hot restart until the new process was ready."},
		{Name: "handover_ms", Kind: stats.Distribution, Hist: hand, Scale: 1, Help: "Milliseconds from then until it accepted clients."},
	} {
		s.Name = "hotrestart." + s.Name
		emit(s)
	}
}
