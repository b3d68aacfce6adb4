package dynamic

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"samaritan/api/bootstrap"
	"samaritan/api/common"
	"samaritan/config"
	"samaritan/internal/logging"
)

// ErrRunning is the error of a second call of [Client.Run].
var ErrRunning = errors.New("dynamic source: was run already")

// Options are what a client needs to know.
type Options struct {
	// Source says how the management server is reached. It must be valid.
	Source *bootstrap.ConfigSource
	// Instance is who asks; its belong is required.
	Instance *common.Instance
	// Apply takes the services that shall run, all of them each time. Services that
	// did not change keep their pointer. It is called by one goroutine. A
	// [config.ClashError] in its error names a service that is left out then.
	Apply func([]*config.Service) error
	// Dir is where the last known state is kept; "" keeps none. It must exist.
	Dir string
	// MakeDir makes Dir if it is not there any more. It is called before each write; nil
	// makes nothing.
	MakeDir func() error
	// Predecessor is how long after the beginning of Run the process whose place this one
	// takes may keep the lock of the state file, as it has a state of its own to write
	// until its Run ends. What is to be written waits for it, and that is no error. 0: nobody
	// else may have the lock. Reading the file takes none.
	Predecessor time.Duration
	// Log takes what happens; nil is silence.
	Log *slog.Logger
	// Version is what the server is told of this program in the user agent.
	Version string
}

// Client follows one management server. Its methods may be called from any
// goroutine.
type Client struct {
	// immutable
	o      Options
	log    *slog.Logger
	timing timing
	retry  chan struct{}     // a Retry waits
	keeper *keeper           // nil without a directory
	news   *logging.Throttle // of what changes

	running atomic.Bool
	loaded  atomic.Bool // what was known before the start is applied

	// owned by the loop
	flush     *time.Timer       // when what changed is to be built and applied
	due       time.Time         // of flush, zero when it is not set
	pace      pace              // of building and applying
	notBefore time.Time         // flush waits until then, at least
	applied   []*config.Service // what Apply took last
	before    *state            // of the client whose place this one takes; nil: there is none
	away      away

	mu      sync.Mutex // guards the following; not held while Apply runs
	model   *model
	link    link
	outcome applyStatus
}

// New returns a client that does nothing before [Client.Run]. The error says what is
// missing in the options.
func New(o Options) (*Client, error) {
	switch {
	case o.Source.GetEndpoint() == "":
		return nil, errors.New("dynamic source: the source has no endpoint")
	case o.Instance.GetBelong() == "":
		return nil, errors.New("dynamic source: the instance has no belong")
	case o.Apply == nil:
		return nil, errors.New("dynamic source: there is nothing to apply services with")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	log := o.Log.With("component", "dynamic")
	c := &Client{
		o: o, log: log, timing: defaultTiming(),
		pace:  pace{burst: applyBurst, longest: applyRest},
		retry: make(chan struct{}, 1),
		model: newModel(logging.NewThrottle(log, 10, 10*time.Second)),
		news:  logging.NewThrottle(log, 10, time.Minute),
	}
	if o.Dir != "" {
		c.keeper = newKeeper(o.Dir, log)
		c.keeper.leave, c.keeper.makeDir = o.Predecessor, o.MakeDir
	}
	return c, nil
}

// Run follows the server until ctx ends; then it returns nil, after all that it
// started. What the file of the last run has is applied at once. The services are
// left as they are at the end, and the lock of the state file is given up. Run can be called once: the second call returns
// [ErrRunning].
func (c *Client) Run(ctx context.Context) error {
	if c.running.Swap(true) {
		return ErrRunning
	}
	c.flush = time.NewTimer(time.Hour)
	c.flush.Stop()
	defer c.flush.Stop()
	if inTheClear(c.o.Source) {
		c.log.Warn("the token goes to the management server unencrypted: set tls", "endpoint", c.o.Source.Endpoint)
	}
	c.setLink(link{since: time.Now(), current: time.Now()})
	defer c.notConnected()
	c.load()
	c.loaded.Store(true)
	if c.keeper == nil {
		c.work(ctx)
		return nil
	}
	var writing sync.WaitGroup
	writing.Go(c.keeper.run)
	c.work(ctx)
	c.saveLast()
	c.keeper.close()
	writing.Wait()
	return nil
}

// Succeed lets c begin with what another client knows, in place of the state file, which
// may be older. It is to be called after the other's Run has returned and before that
// of c. What the other knows of another belong is not used.
func (c *Client) Succeed(other *Client) {
	if s := other.state(); s.Belong == c.o.Instance.Belong {
		c.before = s
	}
}

// Loaded tells whether Run has applied what was known before it, if there was anything.
func (c *Client) Loaded() bool { return c.loaded.Load() }

// Retry lets services try again whose names belonged to another source. It is to be
// called when that has changed; it does not wait.
func (c *Client) Retry() {
	select {
	case c.retry <- struct{}{}:
	default:
	}
}

// work makes one connection after the other.
func (c *Client) work(ctx context.Context) {
	pause := time.Duration(0)
	for ctx.Err() == nil {
		began := time.Now()
		c.session(ctx)
		if c.isConnected() && time.Since(began) >= c.timing.proven {
			pause = 0
		}
		if ctx.Err() == nil {
			c.isAway()
		}
		pause = min(max(2*pause, c.timing.backoffMin), c.timing.backoffMax)
		c.serve(ctx, nil, time.After(pause/2+rand.N(pause/2+1)))
	}
}

// session makes one connection and serves it until it ends.
func (c *Client) session(ctx context.Context) {
	c.mu.Lock()
	names := c.model.begin()
	c.mu.Unlock()
	s := newSession(&c.o, c.timing, names)
	s.start(ctx)
	c.serve(ctx, s, nil)
}

// serve is the loop. It returns when the session has ended, or when the time has
// come if there is none.
func (c *Client) serve(ctx context.Context, s *session, until <-chan time.Time) {
	var updates <-chan update
	var stands, done <-chan struct{}
	ended := ctx.Done()
	if s != nil {
		updates, stands, done = s.updates, s.stands, s.done
		ended = nil // the session ends with ctx, and is waited for
	}
	for {
		select {
		case u := <-updates:
			c.take(s, u)
		case <-stands:
			stands = nil
			c.isThere()
		case <-c.flush.C:
			c.due = time.Time{}
			c.applyChanges(false)
		case <-c.retry:
			c.applyChanges(true)
		case <-done:
			c.away.err = shorten(hide(s.err.Error(), s.token), maxText)
			return
		case <-until:
			return
		case <-ended:
			return
		}
	}
}

// take puts a message into the model, and lets the session ask for what follows.
func (c *Client) take(s *session, u update) {
	c.mu.Lock()
	var follow subscription
	m := c.model
	m.counts.updates++
	c.link.updated[u.stream] = time.Now()
	if u.err != nil {
		m.lost(u.stream, u.err)
	} else {
		follow = m.tell(u.message)
	}
	changed := m.changed
	c.mu.Unlock()
	s.subscribe(follow)
	if changed {
		c.flushIn(max(c.timing.coalesce, time.Until(c.notBefore)))
	}
}

// flushIn lets what changed be applied after a while, unless that is to happen
// earlier already.
func (c *Client) flushIn(d time.Duration) {
	if due := time.Now().Add(d); c.due.IsZero() || due.Before(c.due) {
		c.due = due
		c.flush.Reset(d)
	}
}
