package dynamic

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	health "google.golang.org/grpc/health/grpc_health_v1"
)

// watch notices that a server is gone, or hangs, while it says nothing.
//
// The keepalive of gRPC is not used. A server of grpc-go, as it comes, allows one
// ping in five minutes and closes the connection of who sends more (ENHANCE_YOUR_CALM,
// "too_many_pings"), so pings often enough to be of use cannot be sent to a server
// that one does not know. What every server allows are calls. So when nothing came for
// ten seconds the standard health check is called. What it answers does not matter,
// UNIMPLEMENTED is as good as any: that it answers does. A dead server, network or
// middlebox is noticed within timing.quiet + timing.answer, 18 s. The cost is a
// call of some hundred bytes per client in ten seconds without an update.
//
// The first call comes at once. Only when it was answered, and the streams still stand
// a moment later, does the session count as connected.
func (s *session) watch(ctx context.Context, conn *grpc.ClientConn) error {
	client := health.NewHealthClient(conn)
	if err := s.ask(ctx, client); err != nil {
		return err
	}
	if err := wait(ctx, s.timing.settle); err != nil {
		return err
	}
	close(s.stands)
	for {
		// Jitter keeps the calls of many clients apart.
		quiet := s.timing.quiet - rand.N(s.timing.quiet/5+1)
		last := time.Duration(s.heard.Load())
		if rest := quiet - (time.Since(s.birth) - last); rest > 0 {
			if err := wait(ctx, rest); err != nil {
				return err
			}
			continue
		}
		if err := s.ask(ctx, client); err != nil {
			return err
		}
		s.heard.Store(int64(time.Since(s.birth)))
	}
}

// ask returns an error when no answer comes in time.
func (s *session) ask(ctx context.Context, client health.HealthClient) error {
	within, cancel := context.WithTimeout(ctx, s.timing.answer)
	defer cancel()
	_, err := client.Check(within, &health.HealthCheckRequest{})
	if err != nil && within.Err() != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%w within %s", errSilent, s.timing.answer)
	}
	return nil // any answer; when the connection broke the streams say so
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
