package admin

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestPprofPaths(t *testing.T) {
	h := start(t, full())
	for _, path := range []string{
		"/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/symbol", "/debug/pprof/heap", "/debug/pprof/heap/",
		"/debug/pprof/goroutine?debug=1", "/debug/pprof/trace?seconds=0.01",
	} {
		a := h.get(path)
		assert.Equal(t, 200, a.status, path)
		assert.NotEmpty(t, a.body, path)
	}
	assert.Equal(t, 200, h.do("POST", "/debug/pprof/symbol", "0x1").status)
	assert.Equal(t, "/debug/pprof/", h.get("/debug/pprof").header.Get("Location"))
}

func TestAProfileMayTakeLongerThanTheTimeouts(t *testing.T) {
	o := full()
	o.Timeouts.Read = 900 * time.Millisecond
	o.Timeouts.Write = 900 * time.Millisecond // room to encode the profile on a busy machine
	h := start(t, o)
	begin := time.Now()
	a := h.get("/debug/pprof/profile?seconds=1")
	assert.Equal(t, 200, a.status)
	assert.GreaterOrEqual(t, time.Since(begin), time.Second)
	assert.Equal(t, "\x1f\x8b", a.body[:2], "a whole, gzipped profile")
	assert.Equal(t, 200, h.get("/live").status, "the connection goes on")
}

func TestProfileTimesAreBounded(t *testing.T) {
	h := start(t, full())
	for _, seconds := range []string{"301", "-1", "0", "x", "NaN", "1e300"} {
		requireError(t, h.get("/debug/pprof/profile?seconds="+seconds), 400)
	}
}

func TestShutdownCutsAProfileShort(t *testing.T) {
	o := full()
	o.Timeouts.Shutdown = 20 * time.Millisecond
	h := start(t, o)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if res, err := h.client.Get("http://" + h.addr + "/debug/pprof/trace?seconds=60"); err == nil {
			res.Body.Close()
		}
	}()
	eventually(t, "the trace runs", func() bool { return h.counters.requests.Load() == 1 })
	h.stop()
	assert.NoError(t, h.end())
	<-ended
}
