package admin

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestShutdownAnswersAndBeginsOnce(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		t.Run(method, func(t *testing.T) {
			var h *host
			var calls atomic.Int32
			o := full()
			o.Shutdown = func() { calls.Add(1) }
			h = start(t, o)
			for range 3 {
				a := h.do(method, "/ops/shutdown", "")
				require.Equal(t, 200, a.status)
				require.JSONEq(t, `{"msg":"OK"}`, a.body)
			}
			assert.EqualValues(t, 1, calls.Load())
		})
	}
}

func TestShutdownEndsTheServerAfterTheAnswer(t *testing.T) {
	o := full()
	stop := make(chan func(), 1)
	o.Shutdown = func() { (<-stop)() }
	h := start(t, o)
	stop <- h.stop
	require.JSONEq(t, `{"msg":"OK"}`, h.do("POST", "/ops/shutdown", "").body)
	require.NoError(t, h.end())
}

func TestLogLevel(t *testing.T) {
	var got []string // requests come one after the other
	o := full()
	o.SetLogLevel = func(level string) error {
		if level == "LOUD" {
			return errors.New("unknown level")
		}
		got = append(got, level)
		return nil
	}
	h := start(t, o)
	for _, tt := range []struct {
		path, body string
		status     int
	}{
		{"/ops/loglevel", `{"level":"DEBUG"}`, 200},
		{"/ops/loglevel", ` {"level": "INFO"} ` + "\n", 200},
		{"/ops/loglevel?level=ERROR", "", 200},
		{"/ops/loglevel?level=ERROR", `{"level":"QUIET"}`, 200},
		{"/ops/loglevel", "", 400},
		{"/ops/loglevel", "{}", 400},
		{"/ops/loglevel", `{"level":"LOUD"}`, 400},
		{"/ops/loglevel", `{"level":7}`, 400},
		{"/ops/loglevel", `{"level":"DEBUG"} x`, 400},
		{"/ops/loglevel", `level=DEBUG`, 400},
	} {
		a := h.do("POST", tt.path, tt.body)
		if tt.status == 200 {
			assert.Equal(t, 200, a.status, a.body)
		} else {
			requireError(t, a, tt.status)
		}
	}
	assert.Equal(t, []string{"DEBUG", "INFO", "ERROR", "QUIET"}, got)
}

func TestPagesOfOtherOriginsMayNotOperate(t *testing.T) {
	var calls atomic.Int32
	o := full()
	o.Shutdown = func() { calls.Add(1) }
	o.Reload = func(context.Context) (Reloaded, error) { calls.Add(1); return Reloaded{}, nil }
	h := start(t, o)
	for _, header := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "http://evil.example"},
	} {
		requireError(t, h.do("GET", "/ops/shutdown", "", header...), 403)
		requireError(t, h.do("POST", "/ops/shutdown", "", header...), 403)
		requireError(t, h.do("POST", "/ops/reload", "", header...), 403)
		assert.Equal(t, 200, h.do("GET", "/stats", "", header...).status)
	}
	assert.Zero(t, calls.Load())
	assert.Equal(t, 200, h.do("POST", "/ops/reload", "", "Sec-Fetch-Site", "same-origin").status)
	assert.Equal(t, 200, h.do("POST", "/ops/reload", "", "Origin", "http://"+h.addr).status)
}

func TestHugeBodiesAreRefused(t *testing.T) {
	h := start(t, full())
	body := `{"level":"` + strings.Repeat("x", maxBodyBytes) + `"}`
	requireError(t, h.do("POST", "/ops/loglevel", body), 413)
	requireError(t, h.do("POST", "/ops/shutdown", body), 413)

	// Without a Content-Length the end of the limit is only found by reading.
	req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+h.addr+"/ops/loglevel", struct{ *strings.Reader }{strings.NewReader(body)})
	require.NoError(t, err)
	res, err := h.client.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	assert.Equal(t, 413, res.StatusCode)
}
