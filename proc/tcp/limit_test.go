package tcp

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api/protocol"
	"samaritan/api/service"
	"samaritan/config"
	"samaritan/proc"
)

// turnedAway asserts that a new client is closed without having been served.
func (p *proxy) turnedAway() {
	p.t.Helper()
	c, err := net.Dial("tcp", p.addr)
	if err != nil {
		return
	}
	defer c.Close()
	assert.NoError(p.t, c.SetDeadline(time.Now().Add(patience)))
	b, _ := io.ReadAll(c)
	assert.Empty(p.t, b)
}

func TestConnectionsAreLimited(t *testing.T) {
	to := all(serve(t, echo))
	p := run(t, to, limit(2))
	one, two := p.dial(), p.dial()
	exchange(t, one, "1")
	exchange(t, two, "2")
	p.turnedAway()
	p.turnedAway()
	assert.EqualValues(t, 2, p.stat("downstream.cx_restricted"))
	assert.EqualValues(t, 2, p.stat("downstream.cx_total"))
	exchange(t, one, "still")

	require.NoError(t, one.Close())
	p.becomes("downstream.cx_active", 1)
	exchange(t, p.dial(), "room for one")
	p.update(to, limit(1))
	p.turnedAway()
	exchange(t, two, "those that are there stay")
	p.update(to)
	exchange(t, p.dial(), "no limit")
}

func TestUpdateThatNeedsAnotherProc(t *testing.T) {
	p := run(t, all(serve(t, echo)))
	assert.ErrorIs(t, p.Update(newService(t, nil, func(c *service.Config) { c.Listener.Address.Port = 1 })), proc.ErrRestart)
	assert.ErrorIs(t, p.Update(newService(t, nil, func(c *service.Config) { c.Protocol = protocol.Protocol_MySQL })), proc.ErrRestart)
	exchange(t, p.dial(), "it goes on")
}

func TestMySQLIsProxiedAsItIs(t *testing.T) {
	p := run(t, all(named(t, "m")), func(c *service.Config) { c.Protocol = protocol.Protocol_MySQL })
	c := p.dial()
	assert.Equal(t, "m", greeting(t, c), "the server speaks first")
	exchange(t, c, "SELECT 1")
}

func TestOnlyStreamsAreServed(t *testing.T) {
	svc, err := config.NewService("r", &service.Config{
		Listener: &service.Listener{Address: apiAddress("127.0.0.1:0")}, Protocol: protocol.Protocol_Redis,
	}, all("10.0.0.1:1"))
	require.NoError(t, err)
	_, err = New(svc, proc.Env{})
	assert.ErrorContains(t, err, "Redis")
}

func TestAddressThatIsTakenIsAnError(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	svc := newService(t, nil, func(c *service.Config) { c.Listener.Address = apiAddress(ln.Addr().String()) })
	p, err := New(svc, testEnv(t))
	require.NoError(t, err)
	err = p.Run(t.Context())
	assert.ErrorContains(t, err, "listen on "+ln.Addr().String())
	var op *net.OpError
	assert.True(t, errors.As(err, &op))
	assert.Equal(t, "listener not bound yet", p.Status().Reason)
}
