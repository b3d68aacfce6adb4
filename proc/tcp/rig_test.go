package tcp

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	"samaritan/api/common"
	"samaritan/api/protocol"
	"samaritan/api/service"
	"samaritan/config"
	"samaritan/internal/stats"
	"samaritan/proc"
)

// patience is how long a test waits for what has to happen.
const patience = 10 * time.Second

// change is something that a test wants of the config of a service.
type change func(*service.Config)

func idle(d time.Duration) change {
	return func(c *service.Config) { c.IdleTimeout = durationpb.New(d) }
}

func connectTimeout(d time.Duration) change {
	return func(c *service.Config) { c.ConnectTimeout = durationpb.New(d) }
}

func policy(p service.LoadBalancePolicy) change {
	return func(c *service.Config) { c.LbPolicy = p }
}

func limit(n uint32) change {
	return func(c *service.Config) { c.Listener.ConnectionLimit = n }
}

func drainTimeout(d time.Duration) change {
	return func(c *service.Config) { option(c).DrainTimeout = durationpb.New(d) }
}

func attempts(n uint32) change {
	return func(c *service.Config) { option(c).ConnectAttempts = n }
}

func option(c *service.Config) *protocol.TCPOption {
	if c.GetTcpOption() == nil {
		c.ProtocolOptions = &service.Config_TcpOption{TcpOption: &protocol.TCPOption{}}
	}
	return c.GetTcpOption()
}

func apiAddress(a string) *common.Address {
	at := netip.MustParseAddrPort(a)
	return &common.Address{Ip: at.Addr().String(), Port: uint32(at.Port())}
}

// at is a main endpoint that is up.
func at(address string) *service.Endpoint { return &service.Endpoint{Address: apiAddress(address)} }

func all(addresses ...string) (some []*service.Endpoint) {
	for _, a := range addresses {
		some = append(some, at(a))
	}
	return some
}

func backup(address string) *service.Endpoint {
	e := at(address)
	e.Type = service.Endpoint_BACKUP
	return e
}

func marked(address string, s service.Endpoint_State) *service.Endpoint {
	e := at(address)
	e.State = s
	return e
}

func newService(t testing.TB, endpoints []*service.Endpoint, changes ...change) *config.Service {
	t.Helper()
	c := &service.Config{Listener: &service.Listener{Address: apiAddress("127.0.0.1:0")}, Protocol: protocol.Protocol_TCP}
	for _, ch := range changes {
		ch(c)
	}
	svc, err := config.NewService("web", c, endpoints)
	require.NoError(t, err)
	return svc
}

// proxy is a Proc that runs.
type proxy struct {
	*Proc
	t     testing.TB
	addr  string
	stop  context.CancelFunc
	ended chan error
}

func run(t testing.TB, endpoints []*service.Endpoint, changes ...change) *proxy {
	t.Helper()
	return runWith(t, newService(t, endpoints, changes...), testEnv(t))
}

// testEnv is what a Proc needs of its process.
func testEnv(t testing.TB) proc.Env {
	return proc.Env{
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Drain: 50 * time.Millisecond,
		Listen: func(ctx context.Context, network, address string) (net.Listener, error) {
			var lc net.ListenConfig
			lc.SetMultipathTCP(false) // as the daemon does
			return lc.Listen(ctx, network, address)
		},
	}
}

func runWith(t testing.TB, svc *config.Service, env proc.Env) *proxy {
	t.Helper()
	made, err := New(svc, env)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	p := &proxy{Proc: made.(*Proc), t: t, stop: stop, ended: make(chan error, 1)}
	go func() { p.ended <- p.Run(ctx) }()
	t.Cleanup(p.end)
	eventually(t, func() bool { return p.Status().Address != "" }, "it listens")
	p.addr = p.Status().Address
	return p
}

// end ends the proxy and waits for that.
func (p *proxy) end() {
	p.stop()
	select {
	case err := <-p.ended:
		assert.NoError(p.t, err)
		p.ended <- err
	case <-time.After(patience):
		p.t.Error("Run does not return")
	}
}

func (p *proxy) update(endpoints []*service.Endpoint, changes ...change) {
	p.t.Helper()
	require.NoError(p.t, p.Update(newService(p.t, endpoints, changes...)))
}

// stat is a number of the service, under its name in the text without the service.
func (p *proxy) stat(name string) float64 {
	for _, s := range p.samples() {
		if s.Name == name && s.Endpoint == "" {
			if s.Kind == stats.Distribution {
				return float64(s.Hist.Count())
			}
			return s.Value
		}
	}
	return -1
}

func (p *proxy) endpointStat(name, endpoint string) float64 {
	for _, s := range p.samples() {
		if s.Name == name && s.Endpoint == endpoint {
			return s.Value
		}
	}
	return -1
}

func (p *proxy) samples() []stats.Sample { return stats.Gather([]stats.Source{p}).Samples() }

// becomes waits until a number has a value.
func (p *proxy) becomes(name string, value float64) {
	p.t.Helper()
	eventually(p.t, func() bool { return p.stat(name) == value }, "%s becomes %v, is %v", name, value, func() any { return p.stat(name) })
}

// dial connects a client to the proxy.
func (p *proxy) dial() *net.TCPConn {
	p.t.Helper()
	return dial(p.t, p.addr)
}

func dial(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	require.NoError(t, c.SetDeadline(time.Now().Add(3*patience)))
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// eventually waits for a condition; arguments that are functions are called when it did
// not come.
func eventually(t testing.TB, ok func() bool, what string, args ...any) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			for i, a := range args {
				if fn, ok := a.(func() any); ok {
					args[i] = fn()
				}
			}
			t.Fatalf("waited in vain: "+what, args...)
		}
	}
}

// pass lets real time go by, where a test is about nothing happening.
func pass(d time.Duration) { <-time.After(d) }

// exchange sends text and expects it back.
func exchange(t testing.TB, c net.Conn, text string) {
	t.Helper()
	require.NoError(t, tryExchange(c, text))
}

func tryExchange(c net.Conn, text string) error {
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	b := make([]byte, len(text))
	if _, err := io.ReadFull(c, b); err != nil {
		return err
	}
	if string(b) != text {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// isReset asserts that the connection ends with a reset.
func isReset(t testing.TB, c net.Conn) {
	t.Helper()
	_, err := io.ReadAll(c)
	assert.ErrorIs(t, err, syscall.ECONNRESET)
}

// resetsClients asserts that a new client is reset.
func (p *proxy) resetsClients() {
	p.t.Helper()
	c, err := net.Dial("tcp", p.addr)
	if err != nil { // it was that fast
		assert.ErrorIs(p.t, err, syscall.ECONNRESET)
		return
	}
	defer c.Close()
	assert.NoError(p.t, c.SetDeadline(time.Now().Add(patience)))
	isReset(p.t, c)
}

// isClosed asserts that the connection ends in order, with nothing more to read.
func isClosed(t testing.TB, c net.Conn) {
	t.Helper()
	b, err := io.ReadAll(c)
	assert.NoError(t, err)
	assert.Empty(t, b)
}

// takesAbout checks that a timeout was not too early, and not late beyond what a busy
// machine explains.
func takesAbout(t testing.TB, timeout time.Duration, begin time.Time) {
	t.Helper()
	took := time.Since(begin)
	assert.GreaterOrEqual(t, took, timeout-5*time.Millisecond)
	assert.Less(t, took, 10*timeout+time.Second)
}
