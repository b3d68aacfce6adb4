package admin

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"samaritan/internal/stats"
)

// scrapeWait is how long a scrape waits for the one before it.
const scrapeWait = 5 * time.Second

func (s *Server) index(w http.ResponseWriter, _ *http.Request) {
	type path struct {
		Path    string   `json:"path"`
		Methods []string `json:"methods"`
		Help    string   `json:"help"`
	}
	paths := make([]path, 0, len(s.routes))
	for _, r := range s.routes {
		if !r.missing {
			paths = append(paths, path{r.path, r.methods, r.help})
		}
	}
	slices.SortFunc(paths, func(a, b path) int { return cmp.Compare(a.Path, b.Path) })
	writeJSON(w, http.StatusOK, struct {
		Name    string `json:"name"`
		Version string `json:"version,omitempty"`
		Paths   []path `json:"paths"`
	}{"samaritan", s.o.Version, paths})
}

func (s *Server) config(w http.ResponseWriter, _ *http.Request) {
	b, err := s.o.Config()
	if err != nil {
		writeFailure(w, err)
		return
	}
	writeBody(w, http.StatusOK, "application/json", b)
}

func (s *Server) services(w http.ResponseWriter, _ *http.Request) {
	list := append([]ServiceStatus{}, s.o.Services()...) // never null
	slices.SortFunc(list, func(a, b ServiceStatus) int { return cmp.Compare(a.Name, b.Name) })
	writeJSON(w, http.StatusOK, list)
}

func (s *Server) query(f func(service string) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := f(r.URL.Query().Get("service"))
		if err != nil {
			writeFailure(w, err)
			return
		}
		writeJSON(w, http.StatusOK, v)
	}
}

func (s *Server) dynamic(w http.ResponseWriter, r *http.Request) {
	s.query(func(string) (any, error) { return s.o.Dynamic() })(w, r)
}

func (s *Server) restart(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.o.Restart())
}

// hotKeys is query with a bound on the keys of each service.
func (s *Server) hotKeys(w http.ResponseWriter, r *http.Request) {
	count, err := countOf(r)
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	s.query(func(service string) (any, error) { return s.o.HotKeys(service, count) })(w, r)
}

// countOf reads ?count=, at least 1; 0 is a request without it.
func countOf(r *http.Request) (int, error) {
	text := r.URL.Query().Get("count")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("count: must be a whole number from 1 on, is %q", text)
	}
	return int(n), nil
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	ok, reasons := true, []string(nil)
	if s.o.Ready != nil {
		ok, reasons = s.o.Ready()
	}
	status := http.StatusOK
	if !ok {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, struct {
		Ready   bool     `json:"ready"`
		Reasons []string `json:"reasons"`
	}{ok, append([]string{}, reasons...)})
}

func (s *Server) live(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]bool{"live": true})
}

func (s *Server) statsText(w http.ResponseWriter, r *http.Request) {
	snap, err := inTurn(s, r, func() (*stats.Snapshot, error) { return stats.Gather(s.sources()), nil })
	if err != nil {
		writeError(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	var b bytes.Buffer
	_ = snap.WriteText(&b, r.URL.Query().Get("filter")) // a buffer has no error
	writeBody(w, http.StatusOK, "text/plain; charset=utf-8", b.Bytes())
}

// prometheus gathers first and answers then, so that a slow reader holds up
// no other scrape.
func (s *Server) prometheus(w http.ResponseWriter, r *http.Request) {
	families, err := inTurn(s, r, s.registry.Gather)
	if errors.Is(err, errNoTurn) {
		writeError(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	// What was gathered is shown, also when err says that it is not all.
	promhttp.HandlerFor(prometheus.GathererFunc(always(families, err)), promhttp.HandlerOpts{
		ErrorLog:      slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		ErrorHandling: promhttp.ContinueOnError,
	}).ServeHTTP(w, r)
}

// always returns a function with a fixed result.
func always[T any](v T, err error) func() (T, error) {
	return func() (T, error) { return v, err }
}

var errNoTurn = errors.New("another scrape does not end")

// inTurn calls gather when it is its turn, or returns errNoTurn. Each scrape
// interrupts every event loop, so one runs at a time.
func inTurn[T any](s *Server, r *http.Request, gather func() (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(r.Context(), s.scrapeWait)
	defer cancel()
	select {
	case s.scraping <- struct{}{}:
		defer func() { <-s.scraping }()
		return gather()
	case <-ctx.Done():
		var none T
		return none, errNoTurn
	}
}
