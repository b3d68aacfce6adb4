package logging

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// safe is a buffer for several writers.
type safe struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safe) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safe) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func use(t *testing.T, l *Logger, o Options) {
	t.Helper()
	p, err := l.Prepare(t.Context(), o)
	require.NoError(t, err)
	p.Use()
}

func TestOutputChangesAtRunTimeAlsoForDerivedLoggers(t *testing.T) {
	var a, b safe
	l, err := New(Options{Writer: &a})
	require.NoError(t, err)
	defer l.Close()
	child := l.With("component", "x").WithGroup("g").With("n", 1)
	child.Info("one")
	assert.Contains(t, a.String(), "level=INFO msg=one component=x g.n=1\n")

	srv, addr := server(t)
	use(t, l, Options{Output: Syslog, Target: addr})
	child.Info("two", "more", true)
	assert.Contains(t, receive(t, srv), "level=INFO msg=two component=x g.n=1 g.more=true")
	l.Info("three")
	assert.Contains(t, receive(t, srv), "msg=three")

	use(t, l, Options{Writer: &b})
	child.Info("four")
	grandchild := child.With("late", 2)
	grandchild.Info("five")
	assert.Equal(t, 1, strings.Count(a.String(), "\n"))
	assert.Contains(t, b.String(), "level=INFO msg=four component=x g.n=1\n")
	assert.Contains(t, b.String(), "level=INFO msg=five component=x g.n=1 g.late=2\n")
	assert.Zero(t, l.Dropped())
}

func TestLevelStaysWhenTheOutputChanges(t *testing.T) {
	var b safe
	l, err := New(Options{Level: "ERROR"})
	require.NoError(t, err)
	use(t, l, Options{Level: "DEBUG", Writer: &b})
	l.Warn("no")
	l.Error("yes")
	require.NoError(t, l.SetLevel("WARN"))
	l.Warn("now")
	assert.Equal(t, 2, strings.Count(b.String(), "\n"), b.String())
	assert.False(t, l.Enabled(t.Context(), slog.LevelInfo))
}

func TestNoLineIsLostWhileTheOutputChanges(t *testing.T) {
	const writers, each = 4, 200
	var all safe
	l, err := New(Options{Writer: &all})
	require.NoError(t, err)
	var wg sync.WaitGroup
	for i := range writers {
		child := l.With("writer", i)
		wg.Go(func() {
			for n := range each {
				child.Info("line", "n", n)
			}
		})
	}
	// A server of syslog that takes all there is; datagrams on one host come or are counted.
	srv, addr := server(t)
	got := make(chan struct{}, writers*each)
	go func() {
		b := make([]byte, maxMessage)
		for {
			if _, err := srv.Read(b); err != nil {
				return
			}
			got <- struct{}{}
		}
	}()
	for range 50 {
		use(t, l, Options{Output: Syslog, Target: addr})
		use(t, l, Options{Writer: &all})
	}
	wg.Wait()
	want := writers*each - strings.Count(all.String(), "\n") - int(l.Dropped())
	for range want {
		<-got
	}
	require.NoError(t, srv.Close())
	assert.Less(t, l.Dropped(), uint64(writers*each/2))
	assert.Empty(t, got)
}

func TestOutputThatCannotBePreparedChangesNothing(t *testing.T) {
	var b safe
	l, err := New(Options{Writer: &b})
	require.NoError(t, err)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, o := range map[string]Options{
		"unknown output": {Output: 9},
		"bad target":     {Output: Syslog, Target: "nonsense"},
		"no such name":   {Output: Syslog, Target: "name.invalid:514"},
	} {
		_, err := l.Prepare(ended, o)
		assert.Error(t, err, name)
	}
	l.Info("still here")
	assert.Contains(t, b.String(), "still here")

	_, addr := server(t)
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	p, err := l.Prepare(t.Context(), Options{Output: Syslog, Target: "localhost:" + port})
	require.NoError(t, err)
	p.Discard()
	l.Info("and here")
	assert.Contains(t, b.String(), "and here")
}

func TestNameIsResolvedBeforeTheOutputIsUsed(t *testing.T) {
	srv, addr := server(t)
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	l, err := New(Options{Writer: &safe{}})
	require.NoError(t, err)
	defer l.Close()
	use(t, l, Options{Output: Syslog, Target: "localhost:" + port})
	for i := range 3 {
		l.Info(fmt.Sprint("line ", i))
		assert.Contains(t, receive(t, srv), fmt.Sprintf("msg=\"line %d\"", i))
	}
}

func TestDerivedHandlersAreMadeOncePerOutput(t *testing.T) {
	l, err := New(Options{Writer: &safe{}})
	require.NoError(t, err)
	h := l.With("a", 1).Handler().(*handler)
	out := l.out.Load()
	assert.Same(t, h.of(out), h.of(out))
}
