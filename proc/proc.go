package proc

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"samaritan/api/protocol"
	"samaritan/config"
	"samaritan/internal/eventloop"
	"samaritan/internal/stats"
)

// Proc serves one service.
type Proc interface {
	// Run binds the listener and serves until ctx ends. It then stops accepting,
	// lets requests in flight finish for at most Env.Drain, closes, and returns nil.
	// An error means that the service could not start or go on; a Proc is run once.
	Run(ctx context.Context) error

	// Update applies a changed configuration while connections live on. It returns
	// ErrRestart when the change needs a new Proc (another address or protocol).
	Update(svc *config.Service) error

	// Status tells what state the Proc is in. Any goroutine may ask.
	Status() Status

	stats.Source
}

// ErrRestart is returned by Update for a change that cannot be made in place.
var ErrRestart = errors.New("the change needs the service to be started anew")

// Status is a moment in the life of a Proc.
type Status struct {
	// Ready: the listener is bound and requests can be served.
	Ready bool `json:"ready"`
	// Reason says what is missing while Ready is false, and is empty otherwise.
	Reason string `json:"reason,omitempty"`
	// Address is where the listener is bound, empty before it is.
	Address string `json:"address,omitempty"`
}

// ListenFunc binds an address; it is how inherited sockets reach a Proc.
type ListenFunc func(ctx context.Context, network, address string) (net.Listener, error)

// Env is what a Proc gets from the process that it lives in.
type Env struct {
	Listen ListenFunc
	Loops  *eventloop.Group
	Log    *slog.Logger
	// Gate is closed when clients may be accepted; nil: at once.
	Gate <-chan struct{}
	// Drain is how long Run may take to let requests in flight finish.
	Drain time.Duration
	// Version of the daemon, as it shows itself to clients.
	Version string
	// Shutdown begins the graceful end of the whole process; nil when a client
	// may not ask for it.
	Shutdown func()
}

// Builder makes a Proc that is not running yet.
type Builder func(svc *config.Service, env Env) (Proc, error)

// Builders says which protocols this process can serve.
type Builders map[protocol.Protocol]Builder
