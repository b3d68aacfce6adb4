package redis

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// waits reports that nobody answers, for now.
func waits(t *testing.T, p *testProxy) (answer func() error) {
	t.Helper()
	c := dialWire(t, p.Addr)
	say(t, c, "PING\r\n")
	require.NoError(t, c.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err := c.Read(make([]byte, 1))
	require.True(t, errors.Is(err, os.ErrDeadlineExceeded), "%v", err)
	assert.Zero(t, p.Clients())
	require.NoError(t, c.SetReadDeadline(time.Now().Add(wireTimeout)))
	return func() error {
		got, err := readUntil(c, "\r\n")
		assert.Equal(t, "+PONG\r\n", got)
		return err
	}
}

func TestServiceIsReadyBehindItsGateAndAcceptsNobody(t *testing.T) {
	gate := make(chan struct{})
	p := startBefore(t, proxyOptions{gate: gate})
	answer := waits(t, p)
	close(gate)
	require.NoError(t, answer())
	assert.Equal(t, 1, p.Clients())
}

func TestServiceBehindItsGateCanEnd(t *testing.T) {
	p := startBefore(t, proxyOptions{gate: make(chan struct{})})
	p.Stop()
	require.NoError(t, p.result)
}

func TestPausedServiceServesWhoIsThere(t *testing.T) {
	p := startBefore(t, proxyOptions{})
	conns := idle(t, p.Addr, 3)
	assert.Equal(t, 3, p.Clients())
	p.Pause()
	later := dialWire(t, p.Addr)
	say(t, later, "PING\r\n")
	for _, c := range conns {
		say(t, c, "PING\r\n")
	}
	pong(t, conns)
	assert.Equal(t, 3, p.Clients())
	p.Resume()
	hear(t, later, "+PONG\r\n")
}

func TestServiceMayBePausedBeforeItRuns(t *testing.T) {
	gate := make(chan struct{})
	p := startBefore(t, proxyOptions{gate: gate})
	p.Pause()
	close(gate)
	answer := waits(t, p)
	p.Resume()
	require.NoError(t, answer())
}

func TestPauseIsKeptForTheListenerThatIsBoundLater(t *testing.T) {
	p := &Proc{}
	assert.Zero(t, p.Clients())
	p.Pause()
	p.Pause()
	assert.True(t, p.paused)
	p.Resume()
	assert.False(t, p.paused)
}
