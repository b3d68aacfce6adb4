package stand

import (
	"context"
	"errors"
	"fmt"

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

// Target is what clients talk to.
type Target struct {
	Kind Kind
	Addr string // for clients
	*child.Process

	shared bool // it is the server, which others need
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
		return &Target{Addr: s.Server(3), Process: s.server, shared: true}, nil
	case k == Samaritan && s.options.StandIn:
		return s.startHAProxy(ctx, s.Server(0), false)
	case k == Samaritan:
		return s.startSamaritan(ctx, s.Server(0))
	case k == HAProxy:
		return s.startHAProxy(ctx, s.Server(1), false)
	case k == Splice:
		return s.startHAProxy(ctx, s.Server(2), true)
	}
	return nil, errKind
}

var errKind = errors.New("no such kind of proxy")

// Kill ends the process of a proxy. The server goes on.
func (t *Target) Kill() {
	if !t.shared {
		t.Process.Kill()
	}
}
