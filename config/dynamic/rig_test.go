package dynamic

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"samaritan/api/bootstrap"
	"samaritan/api/common"
	"samaritan/config"
	"samaritan/internal/logging"
	"samaritan/internal/stats"
)

// sink takes what a client applies.
type sink struct {
	mu    sync.Mutex
	calls [][]*config.Service
	fail  func([]*config.Service) error // nil: takes all
	taken []*config.Service
}

func (s *sink) apply(services []*config.Service) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, services)
	if s.fail != nil {
		if err := s.fail(services); err != nil {
			return err
		}
	}
	s.taken = services
	return nil
}

func (s *sink) failing(f func([]*config.Service) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = f
}

func (s *sink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

func (s *sink) services() []*config.Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}

func (s *sink) get(name string) *config.Service {
	for _, svc := range s.services() {
		if svc.Name == name {
			return svc
		}
	}
	return nil
}

// text is what runs, in short: "a:1001[1 2] b:1002[]".
func (s *sink) text() string {
	var parts []string
	for _, svc := range s.services() {
		var hosts []string
		for _, e := range svc.Endpoints {
			hosts = append(hosts, strings.TrimPrefix(e.Address.Ip, "10.0.0."))
		}
		parts = append(parts, fmt.Sprintf("%s:%d[%s]", svc.Name, svc.Config.Listener.Address.Port, strings.Join(hosts, " ")))
	}
	return strings.Join(parts, " ")
}

// logText is a log that can be read while it is written.
type logText struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logText) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), part)
}

// rig is a client under test.
type rig struct {
	*Client
	*sink
	t    *testing.T
	log  *logText
	stop func() // ends it, and waits
}

// prepare makes a client with short pauses that does not run yet.
func prepare(t *testing.T, o Options) *rig {
	t.Helper()
	r := &rig{sink: &sink{}, t: t, log: &logText{}}
	o.Apply = r.apply
	o.Log = slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if o.Instance == nil {
		o.Instance = &common.Instance{Id: "web-1", Belong: "web"}
	}
	c, err := New(o)
	require.NoError(t, err)
	c.timing.backoffMin, c.timing.backoffMax = 2*time.Millisecond, 20*time.Millisecond
	c.timing.settle = 20 * time.Millisecond
	c.timing.proven = time.Second
	c.timing.reapply = 20 * time.Millisecond
	if c.keeper != nil {
		c.keeper.every, c.keeper.again, c.keeper.yield = time.Millisecond, time.Millisecond, time.Millisecond
	}
	r.Client = c
	return r
}

func (r *rig) run() *rig {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			require.NoError(r.t, err)
		case <-time.After(within):
			require.Fail(r.t, "the client does not end")
		}
	})
	r.t.Cleanup(r.stop)
	return r
}

// start runs a client of the server at the address.
func start(t *testing.T, address string) *rig {
	t.Helper()
	return prepareFor(t, address).run()
}

func prepareFor(t *testing.T, address string) *rig {
	t.Helper()
	return prepare(t, Options{Source: &bootstrap.ConfigSource{Endpoint: address}})
}

// runs waits until exactly this is applied.
func (r *rig) runs(want string) {
	r.t.Helper()
	require.Eventually(r.t, func() bool { return r.text() == want }, within, time.Millisecond, "want %q", want)
}

func (r *rig) until(what string, f func(Status) bool) Status {
	r.t.Helper()
	var s Status
	require.Eventually(r.t, func() bool { s = r.Status(); return f(s) }, within, time.Millisecond, what)
	return s
}

func (r *rig) connected() Status {
	r.t.Helper()
	return r.until("connected", func(s Status) bool { return s.Connected })
}

// logged waits until a part of a line was logged n times: what happens is logged
// after it can be seen. More is wrong.
func (r *rig) logged(part string, n int) {
	r.t.Helper()
	require.Eventually(r.t, func() bool { return r.log.count(part) >= n }, within, time.Millisecond, part)
	require.Equal(r.t, n, r.log.count(part), part)
}

// stat is the value of a stat, -1 when there is none.
func (r *rig) stat(name string) float64 {
	value := -1.0
	r.Stats(func(s stats.Sample) {
		if s.Name == "dynamic."+name {
			value = s.Value
		}
	})
	return value
}

// still checks that nothing more is applied: what the client got before an update
// that it counts has been worked off.
func (r *rig) still(want string, updates float64) {
	r.t.Helper()
	require.Eventually(r.t, func() bool { return r.stat("updates_total") >= updates }, within, time.Millisecond)
	require.Never(r.t, func() bool { return r.text() != want }, 50*time.Millisecond, 5*time.Millisecond, "want %q", want)
}

// quiet is a log that nobody reads.
func quiet() *logging.Throttle {
	return logging.NewThrottle(slog.New(slog.DiscardHandler), 1, time.Hour)
}
