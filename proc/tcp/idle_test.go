package tcp

import (
	"io"
	"math"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestIdleConnectionEndsInTime(t *testing.T) {
	ended := make(chan error, 1)
	p := run(t, all(serve(t, func(c *net.TCPConn) {
		_, err := io.Copy(c, c)
		ended <- err
	})), idle(300*time.Millisecond))
	c := p.dial()
	exchange(t, c, "hello")
	begin := time.Now()
	isClosed(t, c)
	takesAbout(t, 300*time.Millisecond, begin)
	assert.NotErrorIs(t, <-ended, io.ErrUnexpectedEOF)
	assert.EqualValues(t, 1, p.stat("downstream.cx_idle_timeout"))
	p.becomes("downstream.cx_active", 0)
	p.becomes("upstream.cx_active", 0)
}

// TestTrickleIsNotIdle moves a byte now and then, in one direction only, through streams
// of both kinds.
func TestTrickleIsNotIdle(t *testing.T) {
	const timeout, beat = 1500 * time.Millisecond, 100 * time.Millisecond
	for name, first := range map[string]int{"copied": 1, "spliced before": 8 << 20} {
		t.Run("from the server, "+name, func(t *testing.T) {
			p := run(t, all(serve(t, func(c *net.TCPConn) {
				_, _ = c.Write(make([]byte, first))
				trickle(c, beat)
			})), idle(timeout))
			c := p.dial()
			_, err := io.CopyN(io.Discard, c, int64(first)+20)
			assert.NoError(t, err)
			assert.Zero(t, p.stat("downstream.cx_idle_timeout"))
		})
		t.Run("from the client, "+name, func(t *testing.T) {
			got := make(chan error, 1)
			p := run(t, all(serve(t, func(c *net.TCPConn) {
				_, err := io.CopyN(io.Discard, c, int64(first)+20)
				got <- err
			})), idle(timeout))
			c := p.dial()
			_, err := c.Write(make([]byte, first))
			require.NoError(t, err)
			var beating sync.WaitGroup
			beating.Go(func() { trickle(c, beat) })
			assert.NoError(t, <-got)
			assert.Zero(t, p.stat("downstream.cx_idle_timeout"))
			require.NoError(t, c.Close())
			beating.Wait()
		})
	}
}

// trickle writes a byte at a time until that fails.
func trickle(c net.Conn, every time.Duration) {
	for {
		pass(every)
		if _, err := c.Write([]byte{1}); err != nil {
			return
		}
	}
}

// TestReceiverThatTakesNothingIsIdle: what cannot move does not move. Neither side may take
// what it got for all there was.
func TestReceiverThatTakesNothingIsIdle(t *testing.T) {
	wrote := make(chan error, 1)
	p := run(t, all(serve(t, func(c *net.TCPConn) {
		_, err := io.Copy(c, noise(5, 1<<30))
		wrote <- err
	})), idle(200*time.Millisecond))
	c := p.dial()
	p.becomes("downstream.cx_idle_timeout", 1)
	assert.Error(t, <-wrote)
	_, err := io.Copy(io.Discard, c)
	assert.Error(t, err, "a reset, and not an end")
}

// TestIdleTimeoutChangesLive also holds for connections that exist, longer or shorter.
func TestIdleTimeoutChangesLive(t *testing.T) {
	to := all(serve(t, echo))
	p := run(t, to, idle(time.Hour))
	c := p.dial()
	exchange(t, c, "hello")
	p.update(to, idle(200*time.Millisecond))
	isClosed(t, c)

	p.update(to, idle(time.Second))
	c = p.dial()
	exchange(t, c, "hello")
	p.update(to, idle(time.Hour))
	pass(1300 * time.Millisecond)
	exchange(t, c, "hello again")
}

func TestOnlyTheIdleOnesEnd(t *testing.T) {
	p := run(t, all(serve(t, echo)), idle(time.Second))
	var quiet, busy []*net.TCPConn
	for range 20 {
		quiet, busy = append(quiet, p.dial()), append(busy, p.dial())
	}
	for range 12 {
		for _, c := range busy {
			exchange(t, c, "still here")
		}
		pass(100 * time.Millisecond)
	}
	p.becomes("downstream.cx_idle_timeout", float64(len(quiet)))
	for _, c := range quiet {
		isClosed(t, c)
	}
	for _, c := range busy {
		exchange(t, c, "still here")
	}
}

// TestTimeoutsForEver: the longest duration that the config takes is no moment in the past.
func TestTimeoutsForEver(t *testing.T) {
	const ever = time.Duration(math.MaxInt64)
	to := all(named(t, "a"))
	p := run(t, to, idle(ever), connectTimeout(ever), drainTimeout(ever))
	c := p.dial()
	require.Equal(t, "a", greeting(t, c))
	p.update(all(named(t, "b")), idle(ever), connectTimeout(ever), drainTimeout(ever))
	require.Equal(t, "b", greeting(t, p.dial()))
	pass(100 * time.Millisecond)
	exchange(t, c, "hello")
	assert.Zero(t, p.stat("upstream.cx_connect_timeout"))
}
