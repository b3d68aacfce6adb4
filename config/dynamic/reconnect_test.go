package dynamic

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// running starts a client that has the services a and b.
func running(t *testing.T) (*server, *rig) {
	t.Helper()
	s := listen(t, "")
	r := start(t, s.address)
	p := s.accept()
	p.depends([]string{"a", "b"}, nil)
	p.wants("a", "b")
	p.tell("a", 1001, 1, 2)
	p.tell("b", 1002, 3)
	r.runs("a:1001[1 2] b:1002[3]")
	r.connected()
	return s, r
}

func TestAllGoesOnWhileTheServerIsAway(t *testing.T) {
	s, r := running(t)
	calls := r.count()
	s.grpc.Stop()
	lost := r.until("lost", func(s Status) bool { return !s.Connected && s.LastError != "" })
	assert.Positive(t, lost.LagSeconds)
	require.Eventually(t, func() bool { return r.stat("connect_failures_total") >= 5 }, within, time.Millisecond)
	assert.Equal(t, "a:1001[1 2] b:1002[3]", r.text())
	assert.Equal(t, calls, r.count())
	r.logged("level=WARN", 1)

	s = listen(t, s.address)
	p := s.accept()
	p.wants("a", "b") // before the dependencies are told
	assert.Zero(t, r.connected().LagSeconds)
	r.logged("connected to the management server", 2)
	p.depends([]string{"a", "b"}, nil)
	p.tell("a", 1001, 2, 1)
	p.tell("b", 1002, 3)
	r.still("a:1001[1 2] b:1002[3]", 10)
	assert.Equal(t, calls, r.count(), "what is told anew and is the same is no change")
}

func TestWhatChangedMeanwhileIsLearned(t *testing.T) {
	s, r := running(t)
	s.grpc.Stop()
	s = listen(t, s.address)
	p := s.accept()
	p.depends([]string{"b", "c"}, nil)
	p.wants("b", "c")
	r.runs("b:1002[3]")
	p.tell("c", 1003, 4)
	r.runs("b:1002[3] c:1003[4]")
	p.hosts("b", at(5, 6), nil) // the first of the stream: all there are
	r.runs("b:1002[5 6] c:1003[4]")
	p.hosts("b", at(7), at(5))
	r.runs("b:1002[6 7] c:1003[4]")
	r.logged("dependencies have gone", 1)
}

func TestFirstMessageThatOnlyRemovesIsAChange(t *testing.T) {
	s, r := running(t)
	s.grpc.Stop()
	s = listen(t, s.address)
	p := s.accept()
	p.wants("a", "b")
	p.hosts("a", nil, at(2))
	r.runs("a:1001[1] b:1002[3]")
	p.hosts("a", at(4), nil)
	r.runs("a:1001[1 4] b:1002[3]")
	p.depends(nil, []string{"b"})
	r.runs("a:1001[1 4]")
}

func TestEmptyFirstMessageEndsAllServices(t *testing.T) {
	s, r := running(t)
	s.grpc.Stop()
	s = listen(t, s.address)
	p := s.accept()
	p.depends(nil, nil)
	r.runs("")
	p.wants()
	r.logged("there are no dependencies", 1)
	r.logged("removed=2", 1)
}

func TestClientThatBeginsWithNothingAppliesThat(t *testing.T) {
	s := listen(t, "")
	r := start(t, s.address)
	p := s.accept()
	r.connected()
	require.Zero(t, r.count())
	p.depends(nil, nil)
	require.Eventually(t, func() bool { return r.count() == 1 }, within, time.Millisecond)
	p.depends(nil, nil)
	r.still("", 2)
	assert.Equal(t, 1, r.count())
}

func TestAnyStreamThatEndsIsAnEndOfAll(t *testing.T) {
	for name, end := range map[string]func(*peer){
		"dependencies end":  func(p *peer) { p.d.end <- nil },
		"configs end":       func(p *peer) { p.c.end <- nil },
		"endpoints fail":    func(p *peer) { p.e.end <- status.Error(codes.Internal, "boom") },
		"dependencies fail": func(p *peer) { p.d.end <- status.Error(codes.Aborted, "boom") },
	} {
		t.Run(name, func(t *testing.T) {
			s := listen(t, "")
			r := start(t, s.address)
			p := s.accept()
			p.depends([]string{"a"}, nil)
			p.wants("a")
			p.tell("a", 1001, 1)
			r.connected()
			r.runs("a:1001[1]")
			end(p)
			p = s.accept()
			p.wants("a")
			assert.Equal(t, "a:1001[1]", r.text())
			assert.NotEmpty(t, r.Status().LastError)
		})
	}
}

func TestFlappingServerIsTakenAsItComes(t *testing.T) {
	s := listen(t, "")
	r := start(t, s.address)
	for i := range 20 {
		p := s.accept()
		p.depends([]string{"a"}, nil)
		p.wants("a")
		p.tell("a", 1001, i+1)
		r.runs(fmt.Sprintf("a:1001[%d]", i+1))
		p.d.end <- status.Error(codes.Unavailable, "restarting")
	}
	assert.Less(t, r.log.count("level=WARN"), 22)
}

func TestRefusedStreamsAreNoConnection(t *testing.T) {
	for _, which := range []stream{dependencies, configs, endpoints} {
		for _, code := range []codes.Code{codes.Unimplemented, codes.PermissionDenied, codes.Unauthenticated} {
			t.Run(which.String()+" "+code.String(), func(t *testing.T) {
				s := listen(t, "127.0.0.1:0")
				s.refuse = func(s stream) error {
					if s == which {
						return status.Error(code, "not for you")
					}
					return nil
				}
				r := start(t, s.address)
				require.Eventually(t, func() bool { return r.stat("connect_failures_total") >= 3 }, within, time.Millisecond)
				got := r.Status()
				assert.False(t, got.Connected)
				assert.Equal(t, which.String()+" stream: "+code.String()+": not for you", got.LastError)
				r.logged("level=WARN", 1)
				assert.Zero(t, r.stat("connects_total"))
			})
		}
	}
}

func TestServerOfAnotherKindIsNoConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	other := grpc.NewServer()
	go other.Serve(l) //nolint:errcheck
	t.Cleanup(other.Stop)
	r := start(t, l.Addr().String())
	require.Eventually(t, func() bool { return r.stat("connect_failures_total") >= 2 }, within, time.Millisecond)
	assert.Contains(t, r.Status().LastError, "Unimplemented")
	assert.Zero(t, r.stat("connects_total"))
}

// raw is a server that does not speak gRPC.
func raw(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			handle(c)
			t.Cleanup(func() { c.Close() })
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

func TestGarbageOnThePortIsAFailure(t *testing.T) {
	for name, text := range map[string]string{
		"http":    "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
		"redis":   "-ERR Protocol error\r\n",
		"zeros":   string(make([]byte, 1000)),
		"closing": "",
	} {
		t.Run(name, func(t *testing.T) {
			address := raw(t, func(c net.Conn) { c.Write([]byte(text)); c.Close() }) //nolint:errcheck
			r := start(t, address)
			require.Eventually(t, func() bool { return r.stat("connect_failures_total") >= 3 }, within, time.Millisecond)
			assert.NotEmpty(t, r.Status().LastError)
			r.logged("level=WARN", 1)
		})
	}
}

func TestSilentServerIsGivenUp(t *testing.T) {
	address := raw(t, func(net.Conn) {})
	r := prepareFor(t, address)
	r.timing.connect = 50 * time.Millisecond
	r.run()
	require.Eventually(t, func() bool { return r.stat("connect_failures_total") >= 2 }, within, time.Millisecond)
	assert.Contains(t, r.Status().LastError, "does not answer within 50ms")
}

func TestEndsAtOnceWhileConnecting(t *testing.T) {
	for name, address := range map[string]string{
		"silent":  raw(t, func(net.Conn) {}),
		"refused": "127.0.0.1:1",
		"no name": "name.invalid:1",
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, address)
			began := time.Now()
			r.stop()
			assert.Less(t, time.Since(began), 2*time.Second)
		})
	}
}

func TestRunCanBeCalledOnce(t *testing.T) {
	s := listen(t, "")
	r := start(t, s.address)
	r.connected()
	require.ErrorIs(t, r.Run(t.Context()), ErrRunning)
	r.stop()
	assert.False(t, r.Status().Connected)
}

// A server as it comes allows one ping in five minutes.
func TestServerThatForbidsPingsKeepsTheConnection(t *testing.T) {
	s := listen(t, "")
	r := prepareFor(t, s.address)
	r.timing.quiet = 5 * time.Millisecond
	r.run()
	p := s.accept()
	r.connected()
	require.Never(t, func() bool { return !r.Status().Connected }, 500*time.Millisecond, time.Millisecond, "some 100 checks later")
	assert.Equal(t, 1.0, r.stat("connects_total"))
	p.depends([]string{"a"}, nil)
	p.wants("a")
}

func TestManyNamesAreSubscribedInPieces(t *testing.T) {
	var got []subscription
	s := newSubscriber(nil)
	names := make([]string, 2*maxNames+1)
	require.True(t, s.put(subscription{add: names, remove: []string{"x"}}))
	got = s.take()
	sizes := make([]int, 0, len(got))
	for _, r := range got {
		sizes = append(sizes, len(r.add)-len(r.remove))
	}
	assert.Equal(t, []int{-1, maxNames, maxNames, 1}, sizes)
	for range maxQueued / len(names) {
		require.True(t, s.put(subscription{add: names}))
	}
	assert.False(t, s.put(subscription{add: names}), "a queue that nobody empties is bounded")
}
