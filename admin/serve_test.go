package admin

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestServeEndsWithTheContext(t *testing.T) {
	h := start(t, full())
	require.Equal(t, 200, h.get("/live").status)
	h.stop()
	require.NoError(t, h.end())
	_, err := net.DialTimeout("tcp", h.addr, time.Second)
	require.Error(t, err, "the listener is closed")
}

func TestServeLetsRequestsFinish(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	o := full()
	o.Config = func() ([]byte, error) {
		close(entered)
		<-release
		return []byte(`{}`), nil
	}
	o.Timeouts.Shutdown = patience
	h := start(t, o)
	got := make(chan answer, 1)
	go func() { got <- h.get("/config") }()
	<-entered
	h.stop()
	eventually(t, "the listener closes first", func() bool {
		c, err := net.Dial("tcp", h.addr)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	close(release)
	require.NoError(t, h.end())
	assert.Equal(t, 200, (<-got).status)
}

func TestServeCutsOffAndReportsARequestThatNeverEnds(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	o := full()
	o.Config = func() ([]byte, error) {
		close(entered)
		<-release
		return nil, nil
	}
	o.Timeouts.Shutdown = 20 * time.Millisecond
	h := start(t, o)
	failed := make(chan error, 1)
	go func() {
		res, err := h.client.Get("http://" + h.addr + "/config")
		if err == nil {
			res.Body.Close()
		}
		failed <- err
	}()
	<-entered
	h.stop()
	require.ErrorIs(t, h.end(), errStuck)
	require.Error(t, <-failed)
	close(release)
}

func TestServeReturnsTheErrorOfTheListener(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, ln.Close())
	require.ErrorIs(t, New(Options{}).Serve(t.Context(), ln), net.ErrClosed)
}
