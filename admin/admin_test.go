package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samaritan/internal/stats"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// host is a server that runs until the test ends.
type host struct {
	*Server
	t      *testing.T
	addr   string
	client *http.Client
	stop   context.CancelFunc
	ended  chan error
}

func start(t *testing.T, o Options) *host {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	h := &host{
		Server: New(o), t: t, addr: ln.Addr().String(), stop: cancel, ended: make(chan error, 1),
		client: &http.Client{
			Transport:     &http.Transport{},
			Timeout:       patience,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	go func() { h.ended <- h.Serve(ctx, ln) }()
	t.Cleanup(func() {
		h.client.CloseIdleConnections()
		h.stop()
		if h.ended != nil {
			assert.NoError(t, h.end())
		}
	})
	return h
}

// end waits for Serve.
func (h *host) end() error {
	h.t.Helper()
	defer func() { h.ended = nil }()
	select {
	case err := <-h.ended:
		return err
	case <-time.After(patience):
		h.t.Fatal("Serve does not return")
		return nil
	}
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (h *host) do(method, path, body string, header ...string) answer {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, "http://"+h.addr+path, strings.NewReader(body))
	require.NoError(h.t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := h.client.Do(req)
	require.NoError(h.t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(h.t, err)
	return answer{res.StatusCode, res.Header, string(b)}
}

func (h *host) get(path string) answer {
	h.t.Helper()
	return h.do("GET", path, "")
}

// requireError holds an answer to the one form of errors.
func requireError(t *testing.T, a answer, status int) {
	t.Helper()
	require.Equal(t, status, a.status, a.body)
	require.Equal(t, "application/json", a.header.Get("Content-Type"))
	var got map[string]string
	require.NoError(t, json.Unmarshal([]byte(a.body), &got))
	require.Len(t, got, 1)
	require.NotEmpty(t, got["error"])
}

// eventually polls with a deadline.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	require.Eventually(t, cond, patience, time.Millisecond, what)
}

// full has every function set.
func full() Options {
	h := new(stats.Histogram)
	h.Observe(120)
	return Options{
		Version: "v1.2.3",
		Sources: func() []stats.Source {
			return []stats.Source{
				stats.NewRuntime(time.Now()),
				stats.SourceFunc(func(emit func(stats.Sample)) {
					emit(stats.Sample{Service: "orders.eu", Name: "downstream.cx_total", Value: 5})
					emit(stats.Sample{Service: "orders.eu", Name: "redis.total", Command: "get", Value: 12})
					emit(stats.Sample{
						Service: "orders.eu", Name: "downstream.rq_duration_ms",
						Kind: stats.Distribution, Hist: h, Scale: 0.001,
					})
				}),
			}
		},
		Config: func() ([]byte, error) { return []byte(`{"admin":{}}`), nil },
		Services: func() []ServiceStatus {
			return []ServiceStatus{
				{Name: "b", State: "failed", LastError: "bind: in use"},
				{Name: "a", State: "running", Protocol: "Redis", Listen: "127.0.0.1:6379", Since: time.Unix(1, 0).UTC()},
			}
		},
		Topology:    func(service string) (any, error) { return map[string]string{"service": service}, nil },
		HotKeys:     func(service string, count int) (any, error) { return []any{service, count}, nil },
		SlowLog:     func(service string) (any, error) { return []string{service}, nil },
		Shutdown:    func() {},
		Endpoints:   func(service string) (any, error) { return []string{"endpoints", service}, nil },
		Dynamic:     func() (any, error) { return map[string]bool{"connected": true}, nil },
		Reload:      func(context.Context) (Reloaded, error) { return Reloaded{Added: []string{"a"}}, nil },
		HotRestart:  func(context.Context) (Restarted, error) { return Restarted{PID: 7}, nil },
		Restart:     func() any { return map[string]string{"phase": "serving"} },
		SetLogLevel: func(string) error { return nil },
	}
}

func TestEveryPathAnswers(t *testing.T) {
	h := start(t, full())
	for _, tt := range []struct{ method, path, body string }{
		{"GET", "/config", `{"admin":{}}`},
		{
			"GET", "/services", `[{"name":"a","protocol":"Redis","listen":"127.0.0.1:6379","state":"running","since":"1970-01-01T00:00:01Z"},` +
				`{"name":"b","state":"failed","last_error":"bind: in use"}]`,
		},
		{"GET", "/topology?service=x", `{"service":"x"}`},
		{"GET", "/hotkeys", `["",0]`},
		{"GET", "/hotkeys?service=x", `["x",0]`},
		{"GET", "/hotkeys?service=x&count=", `["x",0]`},
		{"GET", "/hotkeys?count=3&service=x", `["x",3]`},
		{"GET", "/slowlog", `[""]`},
		{"GET", "/ready", `{"ready":true,"reasons":[]}`},
		{"GET", "/live", `{"live":true}`},
		{"GET", "/ops/shutdown", `{"msg":"OK"}`},
		{"POST", "/ops/shutdown", `{"msg":"OK"}`},
		{"GET", "/endpoints?service=x", `["endpoints","x"]`},
		{"GET", "/endpoints", `["endpoints",""]`},
		{"GET", "/dynamic", `{"connected":true}`},
		{"POST", "/ops/reload", `{"msg":"OK","added":["a"],"removed":[],"changed":[],"endpoints":[],"settings":[]}`},
		{"POST", "/ops/hotrestart", `{"msg":"OK","pid":7}`},
		{"GET", "/hotrestart", `{"phase":"serving"}`},
		{"POST", "/ops/loglevel?level=DEBUG", `{"msg":"OK"}`},
	} {
		for _, slash := range []string{"", "/"} {
			path, query, _ := strings.Cut(tt.path, "?")
			a := h.do(tt.method, path+slash+"?"+query, "")
			assert.Equal(t, 200, a.status, tt.path)
			assert.Equal(t, "application/json", a.header.Get("Content-Type"), tt.path)
			assert.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"), tt.path)
			assert.Equal(t, tt.body, strings.TrimSpace(a.body), tt.path)
		}
	}
}

func TestHeadIsGetWithoutABody(t *testing.T) {
	h := start(t, full())
	for _, path := range []string{"/", "/config", "/stats", "/metrics", "/services", "/ready", "/live", "/debug/pprof/"} {
		get, head := h.get(path), h.do("HEAD", path, "")
		assert.Equal(t, 200, head.status, path)
		assert.Empty(t, head.body, path)
		assert.Equal(t, get.header.Get("Content-Type"), head.header.Get("Content-Type"), path)
	}
}

func TestIndexListsWhatIsThere(t *testing.T) {
	o := full()
	o.Topology = nil
	h := start(t, o)
	var got struct {
		Name, Version string
		Paths         []struct {
			Path    string
			Methods []string
		}
	}
	require.NoError(t, json.Unmarshal([]byte(h.get("/").body), &got))
	assert.Equal(t, "samaritan", got.Name)
	assert.Equal(t, "v1.2.3", got.Version)
	assert.Len(t, got.Paths, len(h.routes)-1)
	for _, p := range got.Paths {
		assert.NotEqual(t, "/topology", p.Path)
		assert.NotEmpty(t, p.Methods)
	}
}

func TestUnknownPathsAre404(t *testing.T) {
	h := start(t, full())
	for _, path := range []string{
		"/nothing", "/config/x", "/stats/x", "/debug", "/debug/pprofx", "/debug/pprof/nothing", "/debug/vars", "/a/../config", "/ops",
	} {
		requireError(t, h.get(path), 404)
	}
}

func TestWrongMethodsAre405WithAllow(t *testing.T) {
	h := start(t, full())
	for _, tt := range []struct{ method, path, allow string }{
		{"POST", "/config", "GET, HEAD"},
		{"DELETE", "/", "GET, HEAD"},
		{"PUT", "/stats", "GET, HEAD"},
		{"PATCH", "/metrics", "GET, HEAD"},
		{"OPTIONS", "/ready", "GET, HEAD"},
		{"DELETE", "/ops/shutdown", "GET, POST"},
		{"GET", "/ops/loglevel", "POST"},
		{"GET", "/ops/reload", "POST"},
		{"GET", "/ops/hotrestart/", "POST"},
		{"DELETE", "/debug/pprof/heap", "GET, HEAD, POST"},
	} {
		a := h.do(tt.method, tt.path, "")
		requireError(t, a, 405)
		assert.Equal(t, tt.allow, a.header.Get("Allow"), tt.path)
	}
	assert.Equal(t, 405, h.do("HEAD", "/ops/shutdown", "").status, "a HEAD must not shut down")
}

func TestWhatIsNotHandedInIs501(t *testing.T) {
	h := start(t, Options{})
	for _, path := range []string{"/config", "/services", "/topology?service=a", "/endpoints", "/dynamic", "/hotkeys", "/slowlog", "/hotrestart", "/ops/shutdown"} {
		requireError(t, h.get(path), 501)
	}
	for _, path := range []string{"/ops/reload", "/ops/hotrestart", "/ops/loglevel?level=INFO"} {
		requireError(t, h.do("POST", path, ""), 501)
	}
	for _, path := range []string{"/", "/stats", "/metrics", "/ready", "/live"} {
		assert.Equal(t, 200, h.get(path).status, path)
	}
}

func TestErrorsOfTheProcessAreShown(t *testing.T) {
	o := full()
	o.Config = func() ([]byte, error) { return nil, errors.New("no config yet") }
	o.Topology = func(s string) (any, error) { return nil, fmt.Errorf("service %q: %w", s, ErrNotFound) }
	o.HotKeys = func(string, int) (any, error) { return make(chan int), nil }
	o.Reload = func(context.Context) (Reloaded, error) { return Reloaded{}, errors.New("admin.bind: bad") }
	o.SlowLog = func(string) (any, error) { panic("a bug") }
	h := start(t, o)
	requireError(t, h.get("/config"), 500)
	requireError(t, h.get("/topology?service=x"), 404)
	requireError(t, h.get("/hotkeys"), 500)
	requireError(t, h.get("/slowlog"), 500)
	a := h.do("POST", "/ops/reload", "")
	requireError(t, a, 500)
	assert.Contains(t, a.body, "admin.bind: bad")
	assert.Equal(t, 200, h.get("/live").status)
}

func TestCountIsAtLeastOne(t *testing.T) {
	h := start(t, full())
	for _, count := range []string{"0", "-1", "x", "1.5", "+1", "9999999999", "%201"} {
		a := h.get("/hotkeys?count=" + count)
		requireError(t, a, 400)
		assert.Contains(t, a.body, "count: must be a whole number")
	}
}

func TestWhatAServiceDoesNotHaveIs400(t *testing.T) {
	o := full()
	o.HotKeys = func(s string, _ int) (any, error) {
		return nil, fmt.Errorf("hot keys of service %q: %w", s, ErrNotSupported)
	}
	a := start(t, o).get("/hotkeys?service=x")
	requireError(t, a, 400)
	assert.Contains(t, a.body, "hot keys of service")
}

func TestReadyGivesTheReasons(t *testing.T) {
	o := full()
	o.Ready = func() (bool, []string) { return false, []string{"service a: no slot map"} }
	a := start(t, o).get("/ready")
	assert.Equal(t, 503, a.status)
	assert.JSONEq(t, `{"ready":false,"reasons":["service a: no slot map"]}`, a.body)
}
