package health

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"samaritan/internal/logging"
)

const (
	// announceEvery is the least time between two snapshots, and between two calls of
	// Options.Changed.
	announceEvery = 10 * time.Millisecond

	// At most that many lines of a kind are logged per second.
	logLines = 20
)

// errRan is the error of a second call of [Monitor.Run].
var errRan = errors.New("health: the monitor was run already")

// Options are what a monitor works with. All may be left out.
type Options struct {
	// Log gets a line for each change of a verdict, a limited number per second; nil
	// discards.
	Log *slog.Logger
	// Changed is called after verdicts have changed, when Unhealthy shows it. One call
	// stands for all changes since the one before. It runs on a goroutine of the
	// monitor, never twice at the same time; checks go on while it runs.
	Changed func()
	// Dial connects to endpoints; nil is that of a [net.Dialer].
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Monitor checks addresses and keeps a verdict for each. Any goroutine may call its
// methods at any time.
type Monitor struct {
	// immutable
	log     *slog.Logger
	lines   *logging.Throttle
	changed func()
	dial    dialFunc
	wake    chan struct{} // the scheduler has to look again
	news    chan struct{} // down has changed

	// atomic
	unhealthy atomic.Pointer[map[string]bool]

	checks sync.WaitGroup

	mu        sync.Mutex // guards the following
	ran       bool       // Run was called
	plan      *plan      // nil when nothing is checked
	addresses []string   // as Configure got them last, none without a plan
	endpoints map[string]*endpoint
	down      map[string]bool
	schedule  schedule
}

// New builds a monitor that checks nothing yet, and starts nothing.
func New(o Options) *Monitor {
	m := &Monitor{
		log: o.Log, changed: o.Changed, dial: o.Dial,
		wake: make(chan struct{}, 1), news: make(chan struct{}, 1),
		endpoints: map[string]*endpoint{}, down: map[string]bool{},
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	if m.changed == nil {
		m.changed = func() {}
	}
	if m.dial == nil {
		m.dial = netDial
	}
	m.lines = logging.NewThrottle(m.log, logLines, time.Second)
	m.unhealthy.Store(&map[string]bool{})
	return m
}

// Run checks until ctx ends, and returns nil when all goroutines of the monitor have
// ended. The verdicts stay as they are then. A second call is an error.
func (m *Monitor) Run(ctx context.Context) error {
	if !m.begin() {
		return errRan
	}
	var announcer sync.WaitGroup
	announcer.Go(func() { m.announce(ctx) })
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-m.wake:
			timer.Reset(m.startDue(ctx))
		case <-timer.C:
			timer.Reset(m.startDue(ctx))
		}
	}
	m.checks.Wait() // their contexts are children of ctx
	announcer.Wait()
	m.lines.Flush()
	return nil
}

// begin plans the first checks of all that was configured so far.
func (m *Monitor) begin() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ran {
		return false
	}
	m.ran = true
	for _, e := range m.endpoints {
		m.planLocked(e, time.Now().Add(m.plan.first()))
	}
	return true
}

// Healthy reports whether the address is not known to be down. That holds for one that
// is not checked, or was not checked yet.
func (m *Monitor) Healthy(address string) bool { return !(*m.unhealthy.Load())[address] }

// Unhealthy returns the addresses that are down, as they were at one moment some
// milliseconds ago at most. The map never changes, and must not be changed.
func (m *Monitor) Unhealthy() map[string]bool { return *m.unhealthy.Load() }

// poke makes sure that whoever waits for the channel, which has room for one, looks.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
