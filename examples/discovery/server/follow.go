package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync/atomic"

	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// request is what both kinds of requests have.
type request interface {
	GetSvcNamesSubscribe() []string
	GetSvcNamesUnsubscribe() []string
}

// stream is what there is to know of one that configs or endpoints are sent on.
type stream struct {
	name string
	open *atomic.Int64
	// known tells whether a service has what is sent.
	known func(*entry) bool
	// receive returns the next request.
	receive func() (request, error)
	// send tells what is new about the services, and says so in log.
	send func(f *follower, names []string, log *slog.Logger) error
}

// follow serves a stream until it ends. It returns why.
func (s *Server) follow(ctx context.Context, t stream) error {
	if err := s.admit(ctx); err != nil {
		return err
	}
	log := s.log.With("stream", t.name, "peer", peerOf(ctx))
	t.open.Add(1)
	defer t.open.Add(-1)
	f := newFollower(s, t.known)
	defer f.close()

	log.Info("stream begins")
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.receivers.Go(func() {
		if err := f.receive(t.receive, log); err != nil {
			cancel(err)
		}
	})
	err := f.pending.each(ctx, func(names []string) error { return t.send(f, names, log) })
	log.Info("stream ends", "reason", status.Convert(err).Message())
	return err
}

// receive does what the requests say. A client that has said all goes on getting
// messages.
func (f *follower) receive(next func() (request, error), log *slog.Logger) error {
	for {
		r, err := next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		log.Debug("subscriptions", "begin", brief(r.GetSvcNamesSubscribe()), "end", brief(r.GetSvcNamesUnsubscribe()))
		f.unsubscribe(r.GetSvcNamesUnsubscribe())
		if err := f.subscribe(r.GetSvcNamesSubscribe()); err != nil {
			return err
		}
	}
}

// each calls send with the names that are pending, whenever there are some, until
// it fails or ctx ends. The error is one for the client.
func (p *pending) each(ctx context.Context, send func(names []string) error) error {
	for {
		select {
		case <-ctx.Done():
			return reason(ctx)
		case <-p.wake:
		}
		if names := p.take(); len(names) > 0 {
			if err := send(names); err != nil {
				return err
			}
		}
	}
}

// reason is why ctx ended, as a status.
func reason(ctx context.Context) error {
	err := context.Cause(ctx)
	if s, ok := status.FromError(err); ok {
		return s.Err()
	}
	return status.FromContextError(err).Err()
}

// peerOf is the address of the client.
func peerOf(ctx context.Context) string {
	if p, ok := peer.FromContext(ctx); ok {
		return p.Addr.String()
	}
	return ""
}
