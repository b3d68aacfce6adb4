// Package admin is the HTTP server for operators and scripts: the effective
// config, the numbers, readiness, profiles and a few operations.
//
// It knows the rest of the process only through the functions in [Options],
// which it calls on the goroutines of its requests, several at a time. A
// function that is not set makes its path answer 501. Answers are JSON unless
// the path is made for something else (/stats and /metrics are text, and
// profiles are what pprof reads); an error is {"error": "..."}.
//
//	GET  /                    the list of paths
//	GET  /config              the effective config, secrets masked
//	GET  /stats               text, "name: value", sorted; ?filter=substring
//	GET  /stats/prometheus    Prometheus text; /metrics is the same
//	GET  /services            the services with their state and last error
//	GET  /slowlog, /topology, /endpoints
//	                          with ?service=
//	GET  /hotkeys             with ?service= and ?count=
//	GET  /dynamic             the management server, and what it has told
//	GET  /hotrestart          the phase of a hot restart, and the last failure
//	GET  /ready               200 or 503, with the reasons
//	GET  /live                200
//	POST /ops/shutdown        begins a graceful shutdown; GET does too, for old scripts
//	POST /ops/reload          takes the config file anew; 422 with "problems" when
//	                          it is not valid
//	POST /ops/hotrestart      hands over to a new process; 409 while that is under way
//	POST /ops/loglevel        {"level": "DEBUG"} or ?level=DEBUG
//	GET  /debug/pprof/        profiles, see net/http/pprof
//
// A trailing slash does not matter. HEAD works where GET does, but not on
// /ops/. An operation that a web page of another origin asks for is refused.
//
// The server is bounded, so that whatever is done to it the data path does not
// notice: connections, header and body size, and the time for each part of a
// request have limits, and one scrape runs at a time.
package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"samaritan/internal/stats"
)

const (
	maxHeaderBytes = 16 << 10
	maxBodyBytes   = 64 << 10
	defaultConns   = 100
	// cutOff is how long a request may take to end once it was cut off.
	cutOff = 2 * time.Second
)

// Options is what the server shows and does. Log and the functions must be
// safe for use by several goroutines. Each function may be nil.
type Options struct {
	Log     *slog.Logger // nil discards
	Version string       // shown at /

	// Sources are asked at each scrape. The server adds its own numbers.
	Sources func() []stats.Source
	// Counters are the server's own numbers. If they are given, Sources has them, too; nil:
	// the server has them alone, and adds them.
	Counters *Counters
	// Config is the effective config as JSON. Who provides it masks secrets.
	Config func() ([]byte, error)
	// Services are all configured services, also those that failed.
	Services func() []ServiceStatus
	// Ready says whether the process can serve and, if not, why. nil is ready.
	Ready func() (ok bool, reasons []string)

	// Topology, Endpoints, HotKeys and SlowLog return what is to be shown as JSON
	// for the service; "" is a request that names none. count is how many keys to
	// show of each service at most, 0 for all.
	Topology  func(service string) (any, error)
	Endpoints func(service string) (any, error)
	HotKeys   func(service string, count int) (any, error)
	SlowLog   func(service string) (any, error)
	// Dynamic is the state of the management server's client, to be shown as JSON.
	Dynamic func() (any, error)

	// Shutdown begins the graceful shutdown and must not wait for it, since
	// that includes this server. It is called at most once, when the answer is
	// on its way.
	Shutdown func()
	// Reload returns when the config file is in force, or refused; ctx ends with
	// the request. An error of the type [Refused] is one with the file.
	Reload func(ctx context.Context) (Reloaded, error)
	// HotRestart returns when a new process serves in the place of this one, or it is
	// known that it will not; ctx ends with the request.
	HotRestart func(ctx context.Context) (Restarted, error)
	// Restart is the state of a hot restart, to be shown as JSON.
	Restart func() any
	// SetLogLevel returns an error for a level it does not know.
	SetLogLevel func(level string) error

	// MaxConns bounds the open connections; more are refused with 503 and
	// closed. 0 is 100.
	MaxConns int
	Timeouts Timeouts
}

// Timeouts bound the parts of a request and of the shutdown. 0 is the default.
type Timeouts struct {
	Header   time.Duration // until the header is read: 5 s
	Read     time.Duration // until the body is read: 10 s
	Write    time.Duration // until the answer is written, from the header on: 15 s; a profile adds its own time
	Idle     time.Duration // between two requests: 60 s
	Shutdown time.Duration // for the requests in progress when Serve ends: 2 s
}

// ServiceStatus is one line of /services.
type ServiceStatus struct {
	Name      string    `json:"name"`
	Protocol  string    `json:"protocol,omitempty"`
	Listen    string    `json:"listen,omitempty"` // the address clients connect to
	State     string    `json:"state"`
	LastError string    `json:"last_error,omitempty"`
	Since     time.Time `json:"since,omitzero"` // when it came into this state
}

// Server is the admin server. New makes it, Serve runs it, once.
type Server struct {
	o        Options
	log      *slog.Logger
	routes   map[string]*route
	registry *prometheus.Registry
	origin   *http.CrossOriginProtection
	retired  chan struct{}
	retire   sync.Once // closes retired

	scrapeWait time.Duration // a constant, but for tests

	scraping    chan struct{} // holds a token while a scrape runs
	running     running
	counters    *Counters
	ownCounters bool // nobody else shows them
}

// New builds a server and starts nothing.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	own := o.Counters == nil
	if own {
		o.Counters = new(Counters)
	}
	if o.MaxConns <= 0 {
		o.MaxConns = defaultConns
	}
	o.Timeouts.setDefaults()
	s := &Server{
		o:        o,
		counters: o.Counters, ownCounters: own,
		log:        o.Log,
		registry:   prometheus.NewRegistry(),
		origin:     http.NewCrossOriginProtection(),
		scrapeWait: scrapeWait,
		scraping:   make(chan struct{}, 1),
		retired:    make(chan struct{}),
	}
	s.registry.MustRegister(
		stats.NewCollector(s.sources),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	s.routes = s.table()
	return s
}

func (t *Timeouts) setDefaults() {
	for _, d := range []struct {
		value *time.Duration
		def   time.Duration
	}{
		{&t.Header, 5 * time.Second},
		{&t.Read, 10 * time.Second},
		{&t.Write, 15 * time.Second},
		{&t.Idle, time.Minute},
		{&t.Shutdown, 2 * time.Second},
	} {
		if *d.value <= 0 {
			*d.value = d.def
		}
	}
}

// Serve answers requests on ln until ctx ends, lets those in progress finish
// within Timeouts.Shutdown, cuts off the rest, and closes ln. It returns nil
// after the end of ctx, or after [Server.Retire], and an error when ln fails or
// when a request still runs after all that.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	srv := s.httpServer(base)
	served := make(chan error, 1)
	limited := &limitListener{Listener: ln, max: int64(s.o.MaxConns), counters: s.counters}
	go func() { served <- srv.Serve(limited) }() // owns the listener

	var err error
	select {
	case err = <-served:
		err = fmt.Errorf("serve admin on %s: %w", ln.Addr(), err)
	case <-s.retired:
		// Shutdown comes last: from then on connections whose request has not been read yet
		// are closed without an answer.
		_ = ln.Close()
		<-served
		srv.SetKeepAlivesEnabled(false)
		limited.wait(ctx)
		s.letFinish(base, srv)
	case <-ctx.Done():
		s.letFinish(base, srv)
		<-served
	}
	cancel()
	_ = srv.Close()
	return errors.Join(err, s.running.wait(cutOff))
}

// letFinish gives requests in progress the time they have at the end. What is left
// then is for the caller to cut off.
func (s *Server) letFinish(base context.Context, srv *http.Server) {
	grace, stop := context.WithTimeout(base, s.o.Timeouts.Shutdown)
	defer stop()
	_ = srv.Shutdown(grace)
}

// Retire is for a server whose place another one has taken. It closes the listener,
// and does not cut off requests in progress: Serve returns when the last of them has
// been answered, or when its ctx has ended. Retiring twice does nothing.
func (s *Server) Retire() { s.retire.Do(func() { close(s.retired) }) }

func (s *Server) httpServer(base context.Context) *http.Server {
	t := s.o.Timeouts
	return &http.Server{
		Handler:           http.HandlerFunc(s.serveHTTP),
		ReadHeaderTimeout: t.Header,
		ReadTimeout:       t.Read,
		WriteTimeout:      t.Write,
		IdleTimeout:       t.Idle,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return base },
	}
}

// sources are those of the process and the server itself.
func (s *Server) sources() []stats.Source {
	var all []stats.Source
	if s.ownCounters {
		all = append(all, s.counters)
	}
	if s.o.Sources != nil {
		all = append(all, s.o.Sources()...)
	}
	return all
}
