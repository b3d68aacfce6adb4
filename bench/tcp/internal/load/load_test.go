package load

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samaritan/bench/internal/benchtest"
	"samaritan/bench/internal/child"
	"samaritan/bench/tcp/internal/peer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answer runs a server that treats every connection with serve.
func answer(t *testing.T, serve func(net.Conn)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(c)
			c.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String()
}

func TestAllKindsOfLoad(t *testing.T) {
	addr := benchtest.Serve(t, peer.Serve)
	for _, c := range []struct {
		name    string
		options Options
	}{
		{"download", Options{Kind: Download, Connections: 2, Chunk: 300_001}},
		{"upload", Options{Kind: Upload, Connections: 2, Chunk: 300_001}},
		{"ping-pong", Options{Kind: PingPong, Connections: 3}},
		{"connect", Options{Kind: Connect, Connections: 3}},
		{"paced", Options{Kind: PingPong, Connections: 3, Every: 5 * time.Millisecond}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := Open(t.Context(), addr, c.options)
			require.NoError(t, err)
			defer l.Close()
			for range 2 {
				r, err := l.Run(t.Context(), 30*time.Millisecond)
				require.NoError(t, err)
				assert.GreaterOrEqual(t, r.Turns, c.options.Connections)
				assert.Len(t, r.Latencies, r.Turns)
				assert.Equal(t, uint64(r.Turns)*c.options.Chunk, r.Bytes)
				assert.Positive(t, r.Took)
				for _, latency := range r.Latencies {
					assert.Positive(t, latency)
				}
			}
		})
	}
}

func TestPacedClientsKeepTheirPace(t *testing.T) {
	l, err := Open(t.Context(), benchtest.Serve(t, peer.Serve), Options{Kind: PingPong, Connections: 2, Every: 20 * time.Millisecond})
	require.NoError(t, err)
	defer l.Close()
	r, err := l.Run(t.Context(), 200*time.Millisecond)
	require.NoError(t, err)
	assert.LessOrEqual(t, r.Turns, 2*10)
}

func TestWrongAnswerIsAnError(t *testing.T) {
	addr := answer(t, func(c net.Conn) {
		_, _ = io.ReadFull(c, make([]byte, peer.Size))
		_, _ = c.Write(make([]byte, peer.Size))
	})
	_, err := Open(t.Context(), addr, Options{Kind: PingPong, Connections: 1})
	assert.ErrorIs(t, err, ErrAnswer)
}

func TestConnectionThatEndsIsAnError(t *testing.T) {
	addr := answer(t, func(net.Conn) {})
	l, err := Open(t.Context(), addr, Options{Kind: Connect, Connections: 2})
	require.NoError(t, err)
	defer l.Close()
	_, err = l.Run(t.Context(), time.Minute)
	assert.Error(t, err)
}

func TestInterruptedRunEnds(t *testing.T) {
	addr := benchtest.Serve(t, peer.Serve)
	for _, o := range []Options{
		{Kind: Connect, Connections: 2},
		{Kind: PingPong, Connections: 2, Every: time.Minute},
		{Kind: Upload, Connections: 2, Chunk: 1 << 40},
	} {
		l, err := Open(t.Context(), addr, o)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err = l.Run(ctx, time.Hour)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		cancel()
		l.Close()
	}
}

func TestNobodyToConnectTo(t *testing.T) {
	port, _, err := child.FreePorts()
	require.NoError(t, err)
	_, err = Open(t.Context(), child.Loopback(port), Options{Kind: PingPong, Connections: 2})
	assert.ErrorContains(t, err, "refused")
}
