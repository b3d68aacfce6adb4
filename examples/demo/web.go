package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"
)

// webServer is an HTTP server that says which one it is. Its health is what the user
// wants it to be.
type webServer struct {
	address netip.AddrPort
	server  *http.Server
	done    chan error
	sick    atomic.Bool
}

func startWebServer() (*webServer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start a web server: %w", err)
	}
	w := &webServer{address: l.Addr().(*net.TCPAddr).AddrPort(), done: make(chan error, 1)}
	w.server = &http.Server{
		Handler:           w.routes(),
		ReadHeaderTimeout: 10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute,
	}
	go func() { w.done <- w.server.Serve(l) }()
	return w, nil
}

func (w *webServer) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(rw, "This is the web server on port %d.\n", w.address.Port())
	})
	mux.HandleFunc("GET /health", func(rw http.ResponseWriter, _ *http.Request) {
		if w.sick.Load() {
			http.Error(rw, "sick", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("POST /sick", func(http.ResponseWriter, *http.Request) { w.sick.Store(true) })
	mux.HandleFunc("POST /well", func(http.ResponseWriter, *http.Request) { w.sick.Store(false) })
	return mux
}

// Close ends the server and its connections.
func (w *webServer) Close() error {
	err := w.server.Close()
	if served := <-w.done; !errors.Is(served, http.ErrServerClosed) {
		return errors.Join(err, served)
	}
	return err
}
