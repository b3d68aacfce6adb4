package tcp

import (
	"bytes"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api/service"
)

func TestPoliciesSpreadConnections(t *testing.T) {
	for _, lb := range policies {
		t.Run(lb.String(), func(t *testing.T) {
			p := run(t, all(named(t, "a"), named(t, "b"), named(t, "c")), policy(lb))
			got := map[string]int{}
			for range 60 {
				got[greeting(t, p.dial())]++
			}
			for _, name := range []string{"a", "b", "c"} {
				assert.InDelta(t, 20, got[name], 3, "%v", got) // all stay open, so two choices are even, too
			}
		})
	}
}

func TestServerThatRefusesIsPassedOver(t *testing.T) {
	bad := refusing(t)
	p := run(t, all(bad, named(t, "a")))
	for range 10 {
		assert.Equal(t, "a", greeting(t, p.dial()))
	}
	assert.EqualValues(t, 1, p.stat("upstream.cx_connect_fail"), "it rests after the first time")
	assert.EqualValues(t, 1, p.stat("upstream.cx_connect_retry"))
	assert.EqualValues(t, 1, p.endpointStat("endpoint.cx_connect_fail", bad))
	assert.EqualValues(t, 10, p.stat("upstream.cx_total"))
	assert.Zero(t, p.stat("upstream.unreachable"))
}

func TestServerThatIsSilentIsPassedOver(t *testing.T) {
	bad, open := silent(t)
	p := run(t, all(bad, named(t, "a")), connectTimeout(200*time.Millisecond))
	begin := time.Now()
	assert.Equal(t, "a", greeting(t, p.dial()))
	takesAbout(t, 200*time.Millisecond, begin)
	assert.EqualValues(t, 1, p.stat("upstream.cx_connect_timeout"))
	assert.EqualValues(t, 1, p.stat("upstream.cx_connect_fail"))

	open(func(c *net.TCPConn) { _, _ = c.Write([]byte("b")); echo(c) })
	eventually(t, func() bool { return greeting(t, p.dial()) == "b" }, "it is used again")
	resting := p.Endpoints().([]endpointView)
	for _, ep := range resting {
		assert.True(t, ep.Resting.IsZero(), "%+v", ep)
	}
}

// TestOnlyOneWaitsForAServerThatHangs holds that a hung server costs one connection its
// time after each rest, and not all that come.
func TestOnlyOneWaitsForAServerThatHangs(t *testing.T) {
	bad, _ := silent(t)
	p := run(t, all(bad, named(t, "a")), connectTimeout(2*time.Second), policy(leastConn))
	assert.Equal(t, "a", greeting(t, p.dial()))
	assert.Equal(t, "a", greeting(t, p.dial()))
	eventually(t, func() bool {
		return p.Endpoints().([]endpointView)[0].Resting.IsZero() && p.Endpoints().([]endpointView)[1].Resting.IsZero()
	}, "the rest is over")
	slow := make(chan bool, 20)
	var each sync.WaitGroup
	for range cap(slow) {
		each.Go(func() {
			begin := time.Now()
			c, err := net.Dial("tcp", p.addr)
			if !assert.NoError(t, err) {
				return
			}
			defer c.Close()
			assert.NoError(t, c.SetDeadline(time.Now().Add(patience)))
			_, err = c.Read(make([]byte, 1))
			assert.NoError(t, err)
			slow <- time.Since(begin) > 1900*time.Millisecond
		})
	}
	each.Wait()
	n := 0
	for range cap(slow) {
		if <-slow {
			n++
		}
	}
	assert.LessOrEqual(t, n, 1)
}

func TestAttemptsAreLimited(t *testing.T) {
	p := run(t, append(all(refusing(t), refusing(t), refusing(t)), backup(named(t, "a"))), attempts(2))
	p.resetsClients()
	assert.EqualValues(t, 2, p.stat("upstream.cx_connect_fail"))
	assert.EqualValues(t, 1, p.stat("upstream.cx_connect_retry"))
	assert.EqualValues(t, 1, p.stat("upstream.unreachable"))
	p.update(append(all(refusing(t), refusing(t), refusing(t)), backup(named(t, "b"))), attempts(4))
	assert.Equal(t, "b", greeting(t, p.dial()))
}

func TestClientThatCannotBeServedIsResetAndNamed(t *testing.T) {
	var log syncBuffer
	one, two := refusing(t), refusing(t)
	env := testEnv(t)
	env.Log = slog.New(slog.NewTextHandler(&log, nil))
	p := runWith(t, newService(t, all(one, two)), env)
	for range 100 {
		p.resetsClients()
	}
	assert.EqualValues(t, 100, p.stat("upstream.unreachable"))
	p.becomes("downstream.cx_destroy_total", 100)
	p.end()
	text := log.String()
	assert.Contains(t, text, one+": connection refused")
	assert.Contains(t, text, two+": connection refused")
	assert.Less(t, bytes.Count([]byte(text), []byte("no endpoint could be connected")), 40, "the log is throttled")
}

// syncBuffer is a buffer that several goroutines write to.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestNoEndpointAtAll(t *testing.T) {
	p := run(t, nil)
	s := p.Status()
	assert.False(t, s.Ready)
	assert.Equal(t, "no endpoint is up", s.Reason)
	p.resetsClients()
	assert.EqualValues(t, 1, p.stat("upstream.no_endpoint"))
	p.update([]*service.Endpoint{marked(named(t, "a"), service.Endpoint_DOWN)})
	assert.False(t, p.Status().Ready)
	p.resetsClients()
	p.update(all(named(t, "a")))
	assert.True(t, p.Status().Ready)
	assert.Equal(t, "a", greeting(t, p.dial()))
}

func TestBackupsServeWhileMainOnesCannotBeReached(t *testing.T) {
	p := run(t, []*service.Endpoint{at(refusing(t)), backup(named(t, "b"))})
	for range 5 {
		assert.Equal(t, "b", greeting(t, p.dial()))
	}
	assert.EqualValues(t, 1, p.stat("upstream.cx_connect_fail"))
}

func TestNothingIsReadBeforeAnEndpointIsConnected(t *testing.T) {
	bad, open := silent(t)
	p := run(t, all(bad), connectTimeout(patience))
	c := p.dial()
	_, err := c.Write(make([]byte, 1000))
	require.NoError(t, err)
	pass(50 * time.Millisecond)
	assert.Zero(t, p.stat("downstream.cx_rx_bytes_total"))
	open(echo)
	_, err = c.Read(make([]byte, 1000))
	require.NoError(t, err)
	assert.EqualValues(t, 1000, p.stat("downstream.cx_rx_bytes_total"))
}

func TestClientThatLeavesWhileAnEndpointIsConnected(t *testing.T) {
	bad, _ := silent(t)
	p := run(t, all(bad), connectTimeout(patience))
	c := p.dial()
	p.becomes("downstream.cx_active", 1)
	require.NoError(t, c.SetLinger(0))
	require.NoError(t, c.Close())
	p.becomes("downstream.cx_active", 0)
	assert.EqualValues(t, 1, p.stat("downstream.cx_reset"))
	assert.Zero(t, p.stat("upstream.cx_connect_fail"))
	assert.Zero(t, p.set.all()[0].load.Load())
}

// TestConnectTimeoutChangesLive also holds for attempts that are under way.
func TestConnectTimeoutChangesLive(t *testing.T) {
	bad, _ := silent(t)
	p := run(t, all(bad), connectTimeout(time.Hour))
	c := p.dial()
	p.becomes("downstream.cx_active", 1)
	p.update(all(bad), connectTimeout(50*time.Millisecond))
	isReset(t, c)
	assert.EqualValues(t, 1, p.stat("upstream.cx_connect_timeout"))
}

func TestEndpointWithIPv6(t *testing.T) {
	ln, err := net.Listen("tcp", "[::1]:0")
	require.NoError(t, err)
	serveOn(t, ln, echo)
	p := run(t, all(ln.Addr().String()))
	exchange(t, p.dial(), "hello")
	assert.EqualValues(t, 1, p.endpointStat("endpoint.cx_total", ln.Addr().String()))
}

// TestAttemptThatIsOverSaysNothingOfTheNextOne: a program that is being started has copies
// of all descriptors for a moment, and the kernel reports what it knows of them even when
// they were closed here.
func TestAttemptThatIsOverSaysNothingOfTheNextOne(t *testing.T) {
	one, openOne := silent(t)
	two, openTwo := silent(t)
	p := run(t, all(one, two), connectTimeout(time.Hour))
	c := p.dial()
	p.becomes("downstream.cx_active", 1)
	l := p.loops.first()
	var first string
	var copied int
	done := make(chan struct{})
	l.post(func() {
		defer close(done)
		waiting := l.connecting.front
		first = waiting.ep.address
		copied, _ = syscall.Dup(waiting.sides[server].fd)
		l.attemptFailed(waiting, syscall.ETIMEDOUT)
	})
	<-done
	defer sysClose(copied)
	other := openTwo
	if first == two {
		openOne, other = openTwo, openOne
	}
	openOne(func(*net.TCPConn) {})
	eventually(t, func() bool {
		_, err := syscall.Getpeername(copied)
		return err == nil
	}, "the first one is connected after all")
	p.halt()() // the loop has seen it, if it can
	p.halt()()
	assert.EqualValues(t, 1, p.stat("upstream.cx_connect_fail"))
	assert.Zero(t, p.stat("upstream.cx_total"))
	other(func(c *net.TCPConn) { _, _ = c.Write([]byte("b")); echo(c) })
	assert.Equal(t, "b", greeting(t, c))
}
