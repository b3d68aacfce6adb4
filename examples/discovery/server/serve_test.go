package server

import (
	"context"
	"errors"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"samaritan/api"
)

func TestStreamsEndWithTheServerAndAreServedByTheNext(t *testing.T) {
	r := startServer(t, Options{})
	r.Set("a", conf(1), eps(1))
	r.Depend("demo", "a")
	c := r.connect()
	d, cs, es := dependencies(t, c, "demo"), configs(t, c), endpoints(t, c)
	assert.Equal(t, "+[a] -[]", tellNames(d.next()))
	es.ask([]string{"a"}, nil)
	assert.Equal(t, "a +[1] -[]", es.tell())
	eventually(t, "all streams are open", func() bool {
		s := r.Stats()
		return s.Dependencies == 1 && s.Configs == 1 && s.Endpoints == 1 && s.Subscriptions == 1
	})

	r.stop()
	for _, err := range []error{d.end(), cs.end(), es.end()} {
		assert.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
	}
	assert.Equal(t, Stats{Sent: r.Stats().Sent}, r.Stats(), "nothing is left of the streams")
	assert.Empty(t, r.contents.subscribers)
	assert.Empty(t, r.contents.dependants)

	r.Set("b", conf(1), eps(2))
	r.serve(r.address)
	c = r.connect()
	es = endpoints(t, c)
	es.ask([]string{"a", "b"}, nil)
	assert.Equal(t, "a +[1] -[]", es.tell())
	assert.Equal(t, "b +[2] -[]", es.tell())
}

func TestServerServesOnOneListenerAtATime(t *testing.T) {
	r := startServer(t, Options{})
	assert.Eventually(t, r.serving.Load, patience, pollTime)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	assert.ErrorIs(t, r.Serve(context.Background(), l), ErrServing)
	assert.ErrorIs(t, l.Close(), net.ErrClosed)
}

func TestBrokenListenerEndsTheServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := New(Options{})
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(context.Background(), l) }()
	eventually(t, "serves", s.serving.Load)
	require.NoError(t, l.Close())
	select {
	case err = <-ended:
		assert.ErrorContains(t, err, "serve 127.0.0.1:")
	case <-time.After(patience):
		require.Fail(t, "it goes on")
	}
}

func TestServeThatIsOverBeforeItBegins(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	assert.NoError(t, New(Options{}).Serve(ctx, l))
}

func TestClientThatHasSaidAllGoesOnListening(t *testing.T) {
	r := startServer(t, Options{})
	in := endpoints(t, r.connect())
	in.ask([]string{"a"}, nil)
	require.NoError(t, in.st.CloseSend())
	r.Set("a", nil, eps(1))
	assert.Equal(t, "a +[1] -[]", in.tell())
}

func TestStreamThatAClientGivesUpIsForgotten(t *testing.T) {
	r := startServer(t, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	st, err := r.connect().StreamSvcConfigs(ctx)
	require.NoError(t, err)
	require.NoError(t, st.Send(&api.SvcConfigDiscoveryRequest{SvcNamesSubscribe: []string{"a", "b"}}))
	eventually(t, "subscribed", func() bool { return r.Stats().Subscriptions == 2 })
	cancel()
	eventually(t, "gone", func() bool { return r.Stats() == Stats{} })
}

func TestSubscriptionsOfAStreamAreBounded(t *testing.T) {
	f := newFollower(New(Options{}), func(*entry) bool { return true })
	names := make([]string, maxSubscriptions)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	require.NoError(t, f.subscribe(names[:maxSubscriptions-1]))
	require.NoError(t, f.subscribe([]string{"x-1", "x-1"}))
	err := f.subscribe([]string{"x-1", "x-2"})
	assert.Equal(t, codes.ResourceExhausted, status.Code(err))
	f.unsubscribe([]string{"x-1"})
	assert.NoError(t, f.subscribe([]string{"x-2"}))
	f.close()
	assert.NoError(t, f.subscribe([]string{"x-3"}), "what still comes in is ignored")
	assert.Zero(t, f.s.Stats().Subscriptions)
	assert.Empty(t, f.s.contents.subscribers)
}

func TestReasonIsAlwaysAStatus(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errEnding)
	assert.Equal(t, codes.Unavailable, status.Code(reason(ctx)))
	ctx, cancel = context.WithCancelCause(context.Background())
	cancel(nil)
	assert.Equal(t, codes.Canceled, status.Code(reason(ctx)))
	ctx, cancel = context.WithCancelCause(context.Background())
	cancel(errors.New("odd"))
	assert.Equal(t, codes.Unknown, status.Code(reason(ctx)))
}
