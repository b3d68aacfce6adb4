package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
)

const pprofPath = "/debug/pprof"

// route is one path.
type route struct {
	path    string
	methods []string // in the order of the Allow header
	help    string
	missing bool // nothing was handed in to serve it
	handle  http.HandlerFunc
}

var (
	read   = []string{http.MethodGet, http.MethodHead}
	change = []string{http.MethodPost}
)

// table is every path, by its name without a trailing slash.
func (s *Server) table() map[string]*route {
	o := &s.o
	routes := []*route{
		{"/", read, "this list", false, s.index},
		{"/config", read, "the effective config", o.Config == nil, s.config},
		{"/stats", read, "all numbers as text, ?filter=substring", false, s.statsText},
		{"/stats/prometheus", read, "all numbers for Prometheus", false, s.prometheus},
		{"/metrics", read, "the same as /stats/prometheus", false, s.prometheus},
		{"/services", read, "the services and their state", o.Services == nil, s.services},
		{"/topology", read, "the cluster as seen by ?service=", o.Topology == nil, s.query(o.Topology)},
		{"/endpoints", read, "the endpoints of ?service= and their health", o.Endpoints == nil, s.query(o.Endpoints)},
		{"/dynamic", read, "the management server, and what it has told", o.Dynamic == nil, s.dynamic},
		{"/hotkeys", read, "the hottest keys of ?service=, or of all; at most ?count= of each", o.HotKeys == nil, s.hotKeys},
		{"/hotrestart", read, "the phase of a hot restart, and the last failure", o.Restart == nil, s.restart},
		{"/slowlog", read, "the slowest requests of ?service=", o.SlowLog == nil, s.query(o.SlowLog)},
		{"/ready", read, "200 when ready to serve, else 503 with reasons", false, s.ready},
		{"/live", read, "200", false, s.live},
		{"/ops/shutdown", []string{http.MethodGet, http.MethodPost}, "begin a graceful shutdown", o.Shutdown == nil, s.shutdown()},
		{"/ops/reload", change, "take the config file anew", o.Reload == nil, s.reload},
		{"/ops/hotrestart", change, "hand over to a new process", o.HotRestart == nil, s.hotRestart},
		{"/ops/loglevel", change, `set the log level: {"level": "DEBUG"} or ?level=DEBUG`, o.SetLogLevel == nil, s.logLevel},
		{pprofPath, []string{http.MethodGet, http.MethodHead, http.MethodPost}, "profiles", false, s.pprof},
	}
	m := make(map[string]*route, len(routes))
	for _, r := range routes {
		m[r.path] = r
	}
	return m
}

// find returns the route of a path, or nil.
func (s *Server) find(path string) *route {
	path = strings.TrimRight(path, "/")
	switch {
	case path == "":
		path = "/"
	case strings.HasPrefix(path, pprofPath+"/"):
		path = pprofPath
	}
	return s.routes[path]
}

// serveHTTP is the way of every request.
func (s *Server) serveHTTP(rw http.ResponseWriter, r *http.Request) {
	w := &response{ResponseWriter: rw}
	if !s.running.enter() {
		writeError(w, http.StatusServiceUnavailable, "shutting down")
		return
	}
	defer s.running.leave()
	defer s.survive(w, r)
	s.counters.requests.Add(1)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	route := s.find(r.URL.Path)
	if s.refused(w, r, route) {
		return
	}
	r.Body = http.MaxBytesReader(rw, r.Body, maxBodyBytes) // rw: it tells the connection to close
	route.handle(w, r)
}

// refused answers what no handler should see, and reports whether it did.
func (s *Server) refused(w http.ResponseWriter, r *http.Request, route *route) bool {
	switch {
	case route == nil:
		writeError(w, http.StatusNotFound, fmt.Sprintf("no such path: %s", r.URL.Path))
	case !slices.Contains(route.methods, r.Method):
		w.Header().Set("Allow", strings.Join(route.methods, ", "))
		writeError(w, http.StatusMethodNotAllowed, fmt.Sprintf("%s does not take %s", route.path, r.Method))
	case r.ContentLength > maxBodyBytes:
		w.Header().Set("Connection", "close")
		writeError(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", maxBodyBytes))
	case strings.HasPrefix(route.path, "/ops/") && s.foreign(r):
		writeError(w, http.StatusForbidden, "a page of another origin may not operate this process")
	case route.missing:
		writeError(w, http.StatusNotImplemented, route.path+" is not implemented in this build")
	default:
		return false
	}
	return true
}

// foreign reports whether a browser sent r for a page of another origin. An
// operation is never harmless, whatever its method.
func (s *Server) foreign(r *http.Request) bool {
	post := *r
	post.Method = http.MethodPost
	return s.origin.Check(&post) != nil
}

// survive answers for a handler that panicked: a bug in the admin server must
// not end more than the request.
func (s *Server) survive(w *response, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	s.log.Error("admin request panicked", "path", r.URL.Path, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
	if w.started {
		panic(http.ErrAbortHandler) // house: cuts the connection, so that half an answer is seen as such
	}
	writeError(w, http.StatusInternalServerError, "internal error")
}

// response remembers whether the answer has begun.
type response struct {
	http.ResponseWriter
	started bool
}

func (w *response) WriteHeader(status int) {
	w.started = true
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	w.started = true
	return w.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// writeJSON answers with v. The client that went away is not our problem.
func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		writeError(w, http.StatusInternalServerError, fmt.Sprintf("encode the answer: %v", err))
		return
	}
	writeBody(w, status, "application/json", append(b, '\n'))
}

func writeBody(w http.ResponseWriter, status int, contentType string, b []byte) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

func writeError(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, map[string]string{"error": text})
}
