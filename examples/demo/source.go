package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"samaritan/examples/discovery/directory"
	"samaritan/examples/discovery/server"
)

// webServers is how many of them there are.
const webServers = 2

// discoveryDir is where the files are that the user may edit, below the directory of
// the demo.
const discoveryDir = "discovery"

// source is the management server that the daemon has its services from with
// -dynamic, and the web servers that are behind one of them.
type source struct {
	web    []*webServer
	cancel context.CancelFunc
	ended  chan error // gets the results of both goroutines of the management server
}

// startSource starts the web servers, writes the files, and serves what they say. The
// values learn the addresses of all these servers.
func startSource(dir string, v *values) (s *source, err error) {
	s = &source{}
	for range webServers {
		w, err := startWebServer()
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.web = append(s.web, w)
		v.Web = append(v.Web, w.address)
	}
	if err := s.serve(dir, v); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// serve tells the services in the files from now on. Its log goes to the terminal, as
// the daemon's does: it says what is wrong with a file.
func (s *source) serve(dir string, v *values) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("start the management server: %w", err)
	}
	v.Source = l.Addr().String()
	if err := v.write(dynamicFiles, dir); err != nil {
		return errors.Join(err, l.Close())
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil)).With("component", "discovery")
	manager := server.New(server.Options{Log: log})
	watcher := directory.New(directory.Options{Dir: filepath.Join(dir, discoveryDir), Apply: manager.Replace, Log: log})
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(context.Background())
	s.ended = make(chan error, 2)
	go func() { s.ended <- manager.Serve(ctx, l) }()
	go func() { s.ended <- watcher.Run(ctx) }()
	return nil
}

// Close ends all servers. A source that was never started has none.
func (s *source) Close() error {
	if s == nil {
		return nil
	}
	var err error
	if s.cancel != nil {
		s.cancel()
		err = errors.Join(<-s.ended, <-s.ended)
	}
	for _, w := range s.web {
		err = errors.Join(err, w.Close())
	}
	return err
}
