package redis

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/proc"
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
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p.bind(proc.NewListener(ln, 0, "", slog.New(slog.DiscardHandler)))
	served := make(chan int, 1)
	ended := make(chan error, 1)
	go func() { ended <- p.listener.Run(t.Context(), func(fd int) { served <- fd }) }()
	dialWire(t, ln.Addr().String())
	assert.Never(t, func() bool { return len(served) > 0 }, 50*time.Millisecond, time.Millisecond)
	p.Resume()
	closeFD(<-served)
	assert.Equal(t, 1, p.Clients())
	p.listener.Close()
	require.NoError(t, <-ended)
}
