package directory

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/examples/discovery/server"
)

const (
	patience = 10 * time.Second
	pollTime = 2 * time.Millisecond
	never    = time.Hour
)

// tree is a directory under test.
type tree string

func newTree(t *testing.T) tree {
	t.Helper()
	dir := tree(t.TempDir())
	require.NoError(t, os.Mkdir(filepath.Join(string(dir), servicesDir), 0o755))
	dir.write(t, dependenciesFile, "demo: '*'\n")
	return dir
}

func (d tree) path(name string) string { return filepath.Join(string(d), name) }

// write writes in place, as some editors do.
func (d tree) write(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(d.path(name), []byte(text), 0o644))
}

// rename writes another file and renames it into place, as other editors do.
func (d tree) rename(t *testing.T, name, text string) {
	t.Helper()
	temporary := filepath.Join(filepath.Dir(d.path(name)), ".new")
	require.NoError(t, os.WriteFile(temporary, []byte(text), 0o644))
	require.NoError(t, os.Rename(temporary, d.path(name)))
}

// service is the text of a file whose port tells it from others.
func service(port int) string {
	return strings.Replace(web, "12345", fmt.Sprint(port), 1)
}

// watched is a watcher that runs.
type watched struct {
	*Watcher
	t   *testing.T
	log *logBuffer

	mu      sync.Mutex // guards the following
	latest  server.Snapshot
	applied int
}

// watch runs a watcher until the test ends.
func watch(t *testing.T, dir string, poll time.Duration) *watched {
	t.Helper()
	w := &watched{t: t, log: &logBuffer{}}
	w.Watcher = New(Options{
		Dir: dir, Apply: w.apply, Settle: 10 * time.Millisecond, Poll: poll,
		Log: slog.New(slog.NewTextHandler(w.log, nil)),
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return w
}

func (w *watched) apply(s server.Snapshot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.latest = s
	w.applied++
}

// ports are the services with the ports of their listeners, 0 for one without a config.
func (w *watched) ports() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var words []string
	for _, name := range slices.Sorted(maps.Keys(w.latest.Services)) {
		words = append(words, fmt.Sprintf("%s=%d", name, w.latest.Services[name].Config.GetListener().GetAddress().GetPort()))
	}
	return strings.Join(words, " ")
}

func (w *watched) dependencies(belong string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.latest.Dependencies[belong]
}

func (w *watched) applies() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.applied
}

func (w *watched) until(want string) {
	w.t.Helper()
	if !assert.Eventually(w.t, func() bool { return w.ports() == want }, patience, pollTime) {
		require.Fail(w.t, "it is not so", "want %s, have %s; log:\n%s", want, w.ports(), w.log)
	}
}

func (w *watched) untilLogged(text string) {
	w.t.Helper()
	require.Eventually(w.t, func() bool { return w.log.count(text) > 0 }, patience, pollTime, text)
}

// logBuffer is a log that may be read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logBuffer) count(text string) int { return strings.Count(l.String(), text) }
