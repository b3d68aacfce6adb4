package dynamic

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"samaritan/api"
	"samaritan/api/bootstrap"
	"samaritan/api/common"
)

var (
	errEnded  = errors.New("the server has ended the stream")
	errSilent = errors.New("the server does not answer")
)

// session is one connection with its three streams. When one of them ends, all do:
// so there is one state to be in, and one thing to do about it.
type session struct {
	source   *bootstrap.ConfigSource
	instance *common.Instance
	agent    string
	timing   timing

	updates chan update   // what came, in the order of each stream
	stands  chan struct{} // closed when the streams are open and not refused
	done    chan struct{} // closed when all goroutines have ended
	err     error         // why, once done is closed
	token   string        // once done or stands is closed

	configs   *subscriber
	endpoints *subscriber

	fail  context.CancelCauseFunc
	heard atomic.Int64 // when the last message came, as time since birth
	birth time.Time
}

// newSession prepares a session that subscribes names first.
func newSession(o *Options, t timing, names []string) *session {
	s := &session{
		source: o.Source, instance: o.Instance, agent: agent(o.Version), timing: t,
		updates: make(chan update),
		stands:  make(chan struct{}),
		done:    make(chan struct{}),
		birth:   time.Now(),
	}
	s.configs, s.endpoints = newSubscriber(nil), newSubscriber(nil)
	s.subscribe(subscription{add: names})
	return s
}

func agent(version string) string {
	if version == "" {
		return "samaritan"
	}
	return "samaritan/" + version
}

// subscribe asks for other services. It does not wait. It must not be called before
// start, save by newSession.
func (s *session) subscribe(r subscription) {
	if !s.configs.put(r) || !s.endpoints.put(r) {
		s.fail(errNotRead)
	}
}

// start begins the session's goroutines; they end when ctx does.
func (s *session) start(ctx context.Context) {
	ctx, s.fail = context.WithCancelCause(ctx)
	go s.run(ctx)
}

// run is the goroutine of the session.
func (s *session) run(ctx context.Context) {
	defer close(s.done)
	defer s.fail(nil)
	err := s.connect(ctx)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause // the first failure; the others follow from it
	}
	s.err = err
}

// connect makes the connection and returns when it, or a stream of it, has ended.
func (s *session) connect(ctx context.Context) (err error) {
	if s.token, err = readToken(s.source); err != nil {
		return err
	}
	conn, err := dial(s.source, s.agent, 2*s.timing.connect) // follow gives up before, and says why
	if err != nil {
		return err
	}
	defer conn.Close()
	if s.token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+s.token)
	}
	return s.follow(ctx, conn)
}

// follow opens the streams and serves them until the first has ended.
func (s *session) follow(ctx context.Context, conn *grpc.ClientConn) error {
	client := api.NewDiscoveryServiceClient(conn)
	silent := time.AfterFunc(s.timing.connect, func() {
		s.fail(fmt.Errorf("%w within %s", errSilent, s.timing.connect))
	})
	defer silent.Stop()
	d, err := client.StreamDependencies(ctx, &api.DependencyDiscoveryRequest{Instance: s.instance})
	if err != nil {
		return streamError(dependencies, err)
	}
	c, err := client.StreamSvcConfigs(ctx)
	if err != nil {
		return streamError(configs, err)
	}
	e, err := client.StreamSvcEndpoints(ctx)
	if err != nil {
		return streamError(endpoints, err)
	}
	silent.Stop()
	s.configs.send = func(add, remove []string) error {
		return streamError(configs, c.Send(&api.SvcConfigDiscoveryRequest{SvcNamesSubscribe: add, SvcNamesUnsubscribe: remove}))
	}
	s.endpoints.send = func(add, remove []string) error {
		return streamError(endpoints, e.Send(&api.SvcEndpointDiscoveryRequest{SvcNamesSubscribe: add, SvcNamesUnsubscribe: remove}))
	}
	s.together(ctx,
		func() error { return receive[api.DependencyDiscoveryResponse](ctx, s, dependencies, d) },
		func() error { return receive[api.SvcConfigDiscoveryResponse](ctx, s, configs, c) },
		func() error { return receive[api.SvcEndpointDiscoveryResponse](ctx, s, endpoints, e) },
		func() error { return s.configs.run(ctx) },
		func() error { return s.endpoints.run(ctx) },
		func() error { return s.watch(ctx, conn) })
	return ctx.Err()
}

// together runs the functions until all have returned. The first error makes the
// others return.
func (s *session) together(ctx context.Context, run ...func() error) {
	var all sync.WaitGroup
	for _, f := range run {
		all.Go(func() {
			// A request that cannot be sent is no cause: why is what the receiver of the
			// stream returns.
			if err := f(); err != nil && !errors.Is(err, io.EOF) {
				s.fail(err)
			}
		})
	}
	all.Wait()
}

// receive passes on what comes on a stream. M is a message as a struct.
func receive[M any, P interface {
	*M
	proto.Message
}](ctx context.Context, s *session, from stream, st grpc.ClientStream,
) error {
	for {
		u := update{stream: from, message: P(new(M))}
		if err := st.RecvMsg(&u); errors.Is(err, io.EOF) {
			return fmt.Errorf("%s stream: %w", from, errEnded)
		} else if err != nil {
			return streamError(from, err)
		}
		s.heard.Store(int64(time.Since(s.birth)))
		select {
		case s.updates <- u:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// streamError names the stream. gRPC's own words for the status are left out.
func streamError(s stream, err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return &statusError{stream: s, err: err}
}

// statusError is an error of a stream.
type statusError struct {
	stream stream
	err    error
}

func (e *statusError) Error() string {
	s := status.Convert(e.err)
	if s.Code() == codes.Unavailable {
		return s.Message() // the connection is what failed, and which stream noticed it first is chance
	}
	return fmt.Sprintf("%s stream: %s: %s", e.stream, s.Code(), s.Message())
}

func (e *statusError) Unwrap() error { return e.err }
