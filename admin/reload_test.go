package admin

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConfigThatIsRefusedIs422WithItsProblems(t *testing.T) {
	o := full()
	refused := &Refused{Reason: "the config file is not valid, nothing has changed", Problems: []string{"c.yaml:3: x: unknown field", "c.yaml: y"}}
	o.Reload = func(context.Context) (Reloaded, error) { return Reloaded{}, fmt.Errorf("reload: %w", refused) }
	a := start(t, o).do("POST", "/ops/reload", "")
	assert.Equal(t, 422, a.status)
	assert.JSONEq(t, `{"error":"the config file is not valid, nothing has changed","problems":["c.yaml:3: x: unknown field","c.yaml: y"]}`, a.body)
}

func TestReloadThatCannotBeNowIs503(t *testing.T) {
	o := full()
	o.Reload = func(context.Context) (Reloaded, error) {
		return Reloaded{}, fmt.Errorf("reload while the process ends: %w", ErrUnavailable)
	}
	requireError(t, start(t, o).do("POST", "/ops/reload", ""), 503)
}

// The operation that moves the admin server is answered by the one that it retires.
func TestServerThatIsRetiredByARequestStillAnswersIt(t *testing.T) {
	var h *host
	o := full()
	o.Timeouts.Shutdown = time.Millisecond // not what a server has that is retired
	o.Reload = func(context.Context) (Reloaded, error) {
		h.Retire()
		h.Retire()
		eventually(t, "the listener closes first", func() bool {
			c, err := net.Dial("tcp", h.addr)
			if err == nil {
				c.Close()
			}
			return err != nil
		})
		return Reloaded{Settings: []string{"admin.bind"}}, nil
	}
	h = start(t, o)
	a := h.do("POST", "/ops/reload", "")
	assert.Equal(t, 200, a.status)
	assert.Contains(t, a.body, "admin.bind")
	require.NoError(t, h.end())
}

func TestServerThatIsRetiredEndsWithItsContextAllTheSame(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	o := full()
	o.Timeouts.Shutdown = 20 * time.Millisecond
	o.Config = func() ([]byte, error) {
		close(entered)
		<-release
		return nil, nil
	}
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
	h.Retire()
	h.stop()
	require.ErrorIs(t, h.end(), errStuck)
	require.Error(t, <-failed)
	close(release)
}

// The connection was there, and its request is not yet.
func TestServerThatIsRetiredAnswersWhoeverHasConnected(t *testing.T) {
	h := start(t, full())
	c, err := net.Dial("tcp", h.addr)
	require.NoError(t, err)
	defer c.Close()
	eventually(t, "it is accepted", func() bool { return h.counters.connsOpen.Load() == 1 })
	h.Retire()
	eventually(t, "the listener is closed", func() bool {
		late, err := net.Dial("tcp", h.addr)
		if err == nil {
			late.Close()
		}
		return err != nil
	})
	_, err = io.WriteString(c, "GET /live HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	answer, err := io.ReadAll(c)
	require.NoError(t, err)
	assert.Contains(t, string(answer), "200 OK")
	require.NoError(t, h.end())
}
