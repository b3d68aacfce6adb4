package stand

import (
	"context"
	"errors"
	"fmt"
	"time"

	"samaritan/bench/internal/child"
)

// Kind is what clients talk to.
type Kind string

// All kinds.
const (
	Samaritan Kind = "Samaritan"
	HAProxy   Kind = "HAProxy"         // which copies all bytes
	Splice    Kind = "HAProxy, splice" // which lets the kernel move them where it thinks that this pays
	Direct    Kind = "no proxy"        // the server itself
)

// Proxies are all kinds that are one.
var Proxies = []Kind{Samaritan, HAProxy, Splice}

// Target is what clients talk to. Its methods may be used until it is closed.
type Target struct {
	Kind Kind
	Addr string // for clients

	process *child.Process
	shared  bool   // it is the server, which others need
	admin   string // host:port, of Samaritan only
}

// Target starts a proxy and returns when it is ready; Direct is there already.
func (s *Stand) Target(ctx context.Context, k Kind) (*Target, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	t, err := s.start(ctx, k)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k, err)
	}
	t.Kind = k
	return t, nil
}

func (s *Stand) start(ctx context.Context, k Kind) (*Target, error) {
	switch {
	case k == Direct:
		return &Target{Addr: s.Server(3), process: s.server, shared: true}, nil
	case k == Samaritan && s.options.StandIn:
		return s.startHAProxy(ctx, s.Server(0), false)
	case k == Samaritan:
		return s.startSamaritan(ctx, s.Server(0), "")
	case k == HAProxy:
		return s.startHAProxy(ctx, s.Server(1), false)
	case k == Splice:
		return s.startHAProxy(ctx, s.Server(2), true)
	}
	return nil, errKind
}

var errKind = errors.New("no such kind of proxy")

// Dynamic starts Samaritan with one service in front of the server, which is at Addr, and a source of others.
func (s *Stand) Dynamic(ctx context.Context, source string) (*Target, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return s.startSamaritan(ctx, s.Server(0), source)
}

// Close ends the process of a proxy.
func (t *Target) Close() {
	if !t.shared {
		t.process.Kill()
	}
}

// Running returns an error when the process has ended by itself.
func (t *Target) Running() error { return t.process.Running() }

// CPU returns the processor time that the process has used so far, user and system.
func (t *Target) CPU() (time.Duration, error) {
	u, err := child.ReadUsage(t.process.PID())
	return u.Total, err
}

// SettledRSS returns the resident memory of the process in bytes, once it stands still.
func (t *Target) SettledRSS(ctx context.Context) (float64, error) { return t.process.SettledRSS(ctx) }

// Await polls check until it returns nil. It gives up when the context or the process ends.
func (t *Target) Await(ctx context.Context, check func(context.Context) error) error {
	return t.process.Await(ctx, check)
}
