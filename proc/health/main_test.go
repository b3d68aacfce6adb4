package health

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/durationpb"

	"samaritan/api/hc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network is a fake one: it says how each address answers a TCP check, and remembers
// when it was asked.
type network struct {
	took time.Duration // by each check

	mu       sync.Mutex // guards the following
	answers  map[string]func(context.Context) error
	starts   map[string][]time.Time
	parallel int
	most     int // parallel ones, since it was set to zero
}

func newNetwork() *network {
	return &network{answers: map[string]func(context.Context) error{}, starts: map[string][]time.Time{}}
}

// refuse lets a connection fail at once, hang lets it wait for the end of the timeout.
func refuse(context.Context) error { return errRefused }

func hang(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

var errRefused = &net.OpError{Op: "dial", Err: net.UnknownNetworkError("refused")}

// set says how an address answers from now on; nil is well.
func (n *network) set(answer func(context.Context) error, addresses ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, a := range addresses {
		n.answers[a] = answer
	}
}

// startsOf returns when an address was checked.
func (n *network) startsOf(address string) []time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.starts[address]
}

// checks returns how many checks of an address have begun.
func (n *network) checks(address string) int { return len(n.startsOf(address)) }

func (n *network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	n.starts[address] = append(n.starts[address], time.Now())
	answer := n.answers[address]
	n.parallel++
	n.most = max(n.most, n.parallel)
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.parallel--
	}()
	if n.took > 0 {
		time.Sleep(n.took) // house: only called within a bubble
	}
	if answer != nil {
		if err := answer(ctx); err != nil {
			return nil, err
		}
	}
	here, there := net.Pipe()
	there.Close()
	return here, nil
}

// peak returns the most checks at a time since it was asked last.
func (n *network) peak() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	most := n.most
	n.most = n.parallel
	return most
}

// rig is a monitor that runs in a bubble.
type rig struct {
	*Monitor
	net *network
}

// inBubble runs a test with a monitor that runs. Its clock is a fake.
func inBubble(t *testing.T, o Options, test func(t *testing.T, r rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(o)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		test(t, r)
		cancel()
		require.NoError(t, <-done)
	})
}

func newRig(o Options) rig {
	n := newNetwork()
	o.Dial = n.dial
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return rig{New(o), n}
}

// after lets time pass, and all that is to be done at its end.
func after(d time.Duration) {
	time.Sleep(d) // house: only called within a bubble
	synctest.Wait()
}

// tcpCheck is a check with thresholds of three.
func tcpCheck(interval, timeout time.Duration) *hc.HealthCheck {
	return &hc.HealthCheck{
		Interval: durationpb.New(interval), Timeout: durationpb.New(timeout), FallThreshold: 3, RiseThreshold: 3,
		Checker: &hc.HealthCheck_TcpChecker{TcpChecker: &hc.TCPChecker{}},
	}
}

// statusOf returns the status of an address that is checked.
func (r rig) statusOf(t *testing.T, address string) Status {
	t.Helper()
	for _, s := range r.Statuses() {
		if s.Address == address {
			return s
		}
	}
	require.Failf(t, "not checked", "%s in %v", address, r.Statuses())
	return Status{}
}
