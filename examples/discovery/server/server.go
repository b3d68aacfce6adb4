package server

import (
	"crypto/tls"
	"log/slog"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"

	"samaritan/api"
)

// Options are settings of a server. All of them are optional.
type Options struct {
	// Log is told who connects, what changes and what is sent; nil discards.
	Log *slog.Logger
	// Token has to be presented with each call, as "authorization: Bearer TOKEN".
	// Empty: none is asked for.
	Token string
	// TLS is used by Serve; nil is plaintext.
	TLS *tls.Config
}

// Stats are numbers of a server.
type Stats struct {
	// Dependencies, Configs and Endpoints are the streams that are open.
	Dependencies, Configs, Endpoints int64
	// Subscriptions are those of all open streams together.
	Subscriptions int64
	// Sent counts messages that were handed to gRPC, Refused calls without the
	// token.
	Sent, Refused uint64
}

// Server is a management server. All methods may be called at any time by any
// goroutine.
type Server struct {
	api.UnimplementedDiscoveryServiceServer

	// immutable
	o        Options
	log      *slog.Logger
	contents *catalog

	receivers sync.WaitGroup

	// atomic
	serving       atomic.Bool
	dependencies  atomic.Int64
	configs       atomic.Int64
	endpoints     atomic.Int64
	subscriptions atomic.Int64
	sent          atomic.Uint64
	refused       atomic.Uint64
}

// New returns a server without contents. It starts nothing.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{o: o, log: o.Log, contents: newCatalog()}
}

// Register adds the service to a gRPC server of the caller's, for those who do not
// want [Server.Serve]. Its streams end with their connections only.
func (s *Server) Register(r grpc.ServiceRegistrar) { api.RegisterDiscoveryServiceServer(r, s) }

// Stats returns the numbers of this moment.
func (s *Server) Stats() Stats {
	return Stats{
		Dependencies:  s.dependencies.Load(),
		Configs:       s.configs.Load(),
		Endpoints:     s.endpoints.Load(),
		Subscriptions: s.subscriptions.Load(),
		Sent:          s.sent.Load(),
		Refused:       s.refused.Load(),
	}
}
