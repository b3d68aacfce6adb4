package controller

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"samaritan/api/common"
	"samaritan/api/protocol"
	"samaritan/api/service"
	"samaritan/config"
	"samaritan/internal/stats"
	"samaritan/proc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is what fake procs live in: the addresses in use, and what happened.
type world struct {
	mu      sync.Mutex
	bound   map[uint32]int
	log     []string
	anew    []string // services whose numbers begin anew
	procs   []*fake
	drain   time.Duration // of the procs made from now on
	bind    time.Duration // how long they take to bind
	failNew error         // of the builder, for port 1
	failRun error         // for port 1
	failUpd error
}

func newWorld() *world { return &world{bound: map[uint32]int{}} }

func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) note(format string, args ...any) {
	w.set(func() { w.log = append(w.log, fmt.Sprintf(format, args...)) })
}

// take returns what happened since the last call.
func (w *world) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	log := w.log
	w.log = nil
	return log
}

// door is a listener at a port of the world.
type door struct {
	net.Listener
	w    *world
	port uint32
}

// listen binds a port that nobody has, share also one that somebody has.
func (w *world) listen(_ context.Context, _, address string) (net.Listener, error) {
	return w.open(address, func(holders int) bool { return holders == 0 })
}

func (w *world) share(_ context.Context, _, address string) (net.Listener, error) {
	return w.open(address, func(int) bool { return true })
}

func (w *world) open(address string, may func(holders int) bool) (net.Listener, error) {
	at := netip.MustParseAddrPort(address)
	port := uint32(at.Port())
	w.mu.Lock()
	defer w.mu.Unlock()
	if !may(w.bound[port]) {
		return nil, &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	}
	w.bound[port]++
	w.log = append(w.log, fmt.Sprintf("bind %d", port))
	return &door{w: w, port: port}, nil
}

func (d *door) Close() error {
	d.w.note("close %d", d.port)
	d.w.set(func() {
		if d.w.bound[d.port]--; d.w.bound[d.port] == 0 {
			delete(d.w.bound, d.port)
		}
	})
	return nil
}

func (w *world) build(svc *config.Service, env proc.Env) (proc.Proc, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failNew != nil && portOf(svc) == 1 {
		return nil, w.failNew
	}
	f := &fake{w: w, svc: svc, listen: env.Listen, drain: w.drain, bind: w.bind, failRun: w.failRun, crash: make(chan error, 1)}
	w.procs = append(w.procs, f)
	return f, nil
}

// last is the proc that was built last.
func (w *world) last() *fake {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.procs[len(w.procs)-1]
}

// fake is a proc that binds a port of its world.
type fake struct {
	w           *world
	listen      proc.ListenFunc
	drain, bind time.Duration
	failRun     error
	crash       chan error

	mu     sync.Mutex
	svc    *config.Service
	status proc.Status
}

func portOf(s *config.Service) uint32 { return s.Config.GetListener().GetAddress().GetPort() }

func (f *fake) Run(ctx context.Context) error {
	select {
	case <-time.After(f.bind):
	case <-ctx.Done():
		return nil
	}
	if f.failRun != nil && portOf(f.service()) == 1 {
		return f.failRun
	}
	port := portOf(f.service())
	address := fmt.Sprintf("127.0.0.1:%d", port)
	ln, err := f.listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	f.setStatus(proc.Status{Ready: true, Address: address})
	select {
	case err := <-f.crash:
		_ = ln.Close()
		return err
	case <-ctx.Done():
	}
	_ = ln.Close()
	time.Sleep(f.drain)
	f.w.note("end %d", port)
	return nil
}

func (f *fake) setStatus(s proc.Status) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status = s
}

func (f *fake) service() *config.Service {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.svc
}

func (f *fake) Update(svc *config.Service) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !proto.Equal(f.svc.Config.GetListener().GetAddress(), svc.Config.GetListener().GetAddress()) ||
		f.svc.Config.GetProtocol() != svc.Config.GetProtocol() {
		return proc.ErrRestart
	}
	if f.svc.Config.GetListener().GetConnectionLimit() != svc.Config.GetListener().GetConnectionLimit() &&
		svc.Config.GetListener().GetConnectionLimit() == needsRestart {
		return proc.ErrRestart
	}
	f.w.mu.Lock()
	err := f.w.failUpd
	f.w.mu.Unlock()
	if err != nil {
		return err
	}
	f.svc = svc
	f.w.note("update %d", portOf(svc))
	return nil
}

// needsRestart as a limit is a change that a fake cannot make in place.
const needsRestart = 99

func (f *fake) Status() proc.Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

func (f *fake) Stats(emit func(stats.Sample)) {
	emit(stats.Sample{Service: f.service().Name, Name: "downstream.cx_total", Value: 1})
}

// stage is a controller that runs in a synctest bubble.
type stage struct {
	*Controller
	t      *testing.T
	w      *world
	events chan config.Event
	end    context.CancelFunc
	done   chan error
}

// play runs f on a stage in a bubble and ends the controller after it.
func play(t *testing.T, f func(s *stage)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := &stage{t: t, w: w, events: make(chan config.Event), done: make(chan error, 1)}
		s.Controller = New(Options{
			Events:   s.events,
			Builders: proc.Builders{protocol.Protocol_Redis: w.build},
			Env:      proc.Env{Listen: w.listen},
			Share:    w.share,
			Anew:     func(service string) { w.set(func() { w.anew = append(w.anew, service) }) },
		})
		ctx, cancel := context.WithCancel(context.Background())
		s.end = cancel
		go func() { s.done <- s.Run(ctx) }()
		f(s)
		cancel()
		require.NoError(t, <-s.done)
		require.Empty(t, w.bound, "addresses that nobody gave back")
		require.Empty(t, s.runs)
		require.Empty(t, s.leaving)
	})
}

// send hands over events and lets what follows at once happen.
func (s *stage) send(events ...config.Event) {
	for _, e := range events {
		s.events <- e
	}
	s.pass(0)
}

// pass lets time go by, and what happens then happen.
func (s *stage) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (s *stage) only() ServiceStatus {
	list := s.Services()
	require.Len(s.t, list, 1)
	return list[0]
}

// svc is a Redis service; each option changes its config.
func svc(name string, port uint32, options ...func(*service.Config)) *config.Service {
	c := &service.Config{
		Listener: &service.Listener{Address: &common.Address{Ip: "127.0.0.1", Port: port}},
		Protocol: protocol.Protocol_Redis,
	}
	for _, o := range options {
		o(c)
	}
	return &config.Service{Name: name, Config: c}
}

func speaks(p protocol.Protocol) func(*service.Config) {
	return func(c *service.Config) { c.Protocol = p }
}

func limit(n uint32) func(*service.Config) {
	return func(c *service.Config) { c.Listener.ConnectionLimit = n }
}

var errBad = errors.New("it does not work")
