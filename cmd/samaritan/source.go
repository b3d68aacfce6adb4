package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"samaritan/admin"
	"samaritan/config"
	"samaritan/config/dynamic"
	"samaritan/internal/logging"
	"samaritan/internal/stats"
)

// source follows the management server that the config names, if it names one. Its
// client ends with ctx. prepare, change and end are called by one goroutine at a time.
type source struct {
	// immutable
	ctx   context.Context
	log   *logging.Logger
	store *config.Store

	dir     string       // for the state; set before the first client, empty: no state is kept
	makeDir func() error // makes it again; set with dir
	// predecessor is how long the process before may keep the state, 0: there is none.
	predecessor time.Duration
	part        *part // of the client

	mu     sync.Mutex // guards the following
	begun  bool       // it is known whether there is a client
	first  *dynamic.Client
	client *dynamic.Client
	absent string // why there is none
}

// sourceChange is a client that has not been started, or the reason why there shall be
// none.
type sourceChange struct {
	client *dynamic.Client
	absent string
	warn   string // what is missing, when the config asks for a source in vain
}

func newSource(ctx context.Context, log *logging.Logger, store *config.Store) *source {
	return &source{ctx: ctx, log: log, store: store, absent: "it is not started yet"}
}

// prepare makes the client that a config asks for.
func (s *source) prepare(boot *config.Bootstrap) (*sourceChange, error) {
	p := boot.Proto
	switch {
	case p.GetDynamicSourceConfig() == nil:
		return &sourceChange{absent: "dynamic_source_config is not set"}, nil
	case p.GetInstance().GetBelong() == "":
		missing := "instance.belong, or the flag -service"
		return &sourceChange{absent: "the config does not have " + missing, warn: missing}, nil
	}
	client, err := dynamic.New(dynamic.Options{
		Source: p.DynamicSourceConfig, Instance: p.Instance,
		Apply: func(services []*config.Service) error { return s.store.Apply(fromSource, services) },
		Dir:   s.dir, MakeDir: s.makeDir, Log: s.log.Logger, Version: version, Predecessor: s.predecessor,
	})
	return &sourceChange{client: client}, err
}

// change ends the client that runs and starts the other one, which begins with what the
// old one knows. What that has told stays until the new one knows better; when there is no new one the services end, as
// the config says so. A change that is in force already is none.
func (s *source) change(to *sourceChange) {
	s.mu.Lock()
	old := s.client
	same := old == to.client && s.absent == to.absent
	if s.client, s.absent = to.client, to.absent; !s.begun {
		s.begun, s.first = true, to.client
	}
	s.mu.Unlock()
	if same {
		return
	}
	s.end()
	if to.client != nil {
		if old != nil {
			to.client.Succeed(old)
		}
		s.part = newPart(s.ctx)
		s.part.wg.Go(func() { s.follow(s.part.ctx, to.client) })
		return
	}
	if to.warn != "" {
		s.log.Warn("dynamic_source_config is not used: it needs to know who asks", "missing", to.warn)
	}
	if old != nil {
		s.log.Info("the management server is not followed any more, its services end", "reason", to.absent)
		_ = s.store.Apply(fromSource, nil) // nothing clashes with nothing
	}
}

func (s *source) follow(ctx context.Context, client *dynamic.Client) {
	if err := client.Run(ctx); err != nil {
		s.log.Error("the client of the management server has ended", "error", err)
	}
}

// end waits for the end of the client, if there is one.
func (s *source) end() {
	if s.part != nil {
		s.part.end()
		s.part = nil
	}
}

func (s *source) running() (client *dynamic.Client, absent string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client, s.absent
}

// settled tells whether what the last run knew has been handed on. Later clients begin
// with what runs already.
func (s *source) settled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun && (s.first == nil || s.first.Loaded())
}

// told tells whether the management server has nothing more to tell for now, or there is
// none.
func (s *source) told() bool {
	client, _ := s.running()
	if client == nil {
		return true
	}
	status := client.Status()
	return status.Connected && status.State == dynamic.StateLive && status.WaitingCount == 0
}

// retry says that names of services may have become free.
func (s *source) retry() {
	if client, _ := s.running(); client != nil {
		client.Retry()
	}
}

// status is what /dynamic shows.
func (s *source) status() (any, error) {
	client, absent := s.running()
	if client == nil {
		return nil, fmt.Errorf("dynamic source: there is none, %s: %w", absent, admin.ErrNotFound)
	}
	return client.Status(), nil
}

// Stats implements stats.Source.
func (s *source) Stats(emit func(stats.Sample)) {
	if client, _ := s.running(); client != nil {
		client.Stats(emit)
	}
}
