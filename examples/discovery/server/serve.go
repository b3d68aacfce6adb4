package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

const (
	// grace is how long connections may take to end.
	grace = 2 * time.Second
	// Clients may ping more often than they are asked to, with streams or without.
	minPing = 2 * time.Second
	// A client that is gone without a word is found out by pings.
	pingAfter   = 30 * time.Second
	pingTimeout = 10 * time.Second
	// maxStreams is how many streams one connection may have. A sidecar has three.
	maxStreams = 1000
)

// ErrServing is the error of a call of [Server.Serve] while another one runs.
var ErrServing = errors.New("management server: serves already")

var errEnding = status.Error(codes.Unavailable, "the management server ends")

// Serve serves on l until ctx ends, and closes it. Then all streams end with
// Unavailable. When it has returned, all goroutines of the streams have ended, and
// it may be called again: the contents are still there.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	if !s.serving.CompareAndSwap(false, true) {
		return errors.Join(ErrServing, l.Close())
	}
	defer s.serving.Store(false)
	g := grpc.NewServer(s.grpcOptions(ctx)...)
	s.Register(g)

	ended, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		select {
		case <-ctx.Done():
			stop(g)
		case <-ended: // the listener broke
			g.Stop()
		}
	}()
	err := g.Serve(l)
	close(ended)
	<-stopped
	s.receivers.Wait()
	if err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	return nil
}

func (s *Server) grpcOptions(ctx context.Context) []grpc.ServerOption {
	options := []grpc.ServerOption{
		grpc.StreamInterceptor(endWith(ctx)),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.WaitForHandlers(true),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingAfter, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
	}
	if s.o.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(s.o.TLS)))
	}
	return options
}

// stop lets the streams end by themselves, which one with a client that does not
// read cannot.
func stop(g *grpc.Server) {
	timer := time.AfterFunc(grace, g.Stop)
	defer timer.Stop()
	g.GracefulStop()
}

// endWith makes streams end when ctx does.
func endWith(ctx context.Context) grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
		inner, cancel := context.WithCancelCause(ss.Context())
		defer cancel(nil)
		defer context.AfterFunc(ctx, func() { cancel(errEnding) })()
		return handle(srv, &endingStream{ServerStream: ss, ctx: inner})
	}
}

// endingStream is a stream with a context that ends before the connection does.
type endingStream struct {
	grpc.ServerStream
	ctx context.Context
}

// Context implements grpc.ServerStream.
func (s *endingStream) Context() context.Context { return s.ctx }
