package filewatch

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 10 * time.Second
	// calm is longer than a change needs to be told of.
	calm = 150 * time.Millisecond
)

// rig is a watcher of a file in a directory of the test.
type rig struct {
	*Watcher
	t       *testing.T
	dir     string
	file    string
	changes chan struct{}
	log     *lines
}

// lines collects a log.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newRig is a directory with the file, whose content is "one".
func newRig(t *testing.T) *rig {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "conf")
	require.NoError(t, os.Mkdir(dir, 0o700))
	r := &rig{t: t, dir: dir, file: filepath.Join(dir, "c.yaml"), changes: make(chan struct{}, 100), log: &lines{}}
	r.write("one")
	return r
}

// onEvents are options without a poll, so that events have to do it.
func onEvents() Options {
	return Options{Quiet: 20 * time.Millisecond, Most: 200 * time.Millisecond, Poll: time.Hour, Retry: time.Hour}
}

// onPolls are options whose polls are fast.
func onPolls() Options {
	return Options{Quiet: 20 * time.Millisecond, Most: 200 * time.Millisecond, Poll: 20 * time.Millisecond, Retry: 20 * time.Millisecond}
}

// start watches until the end of the test, and returns when the watches are there.
func (r *rig) start(o Options) {
	r.t.Helper()
	o.Path, o.Changed = r.file, func() { r.changes <- struct{}{} }
	o.Log = slog.New(slog.NewTextHandler(r.log, nil))
	r.Watcher = New(o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	r.t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			assert.NoError(r.t, err)
		case <-time.After(patience):
			r.t.Error("Run does not return")
		}
	})
	r.changed() // Known is nothing
}

func (r *rig) write(text string) {
	r.t.Helper()
	require.NoError(r.t, os.WriteFile(r.file, []byte(text), 0o600))
}

// save writes as careful programs do.
func (r *rig) save(text string) {
	r.t.Helper()
	beside := filepath.Join(r.dir, ".c.yaml.tmp")
	require.NoError(r.t, os.WriteFile(beside, []byte(text), 0o600))
	require.NoError(r.t, os.Rename(beside, r.file))
}

// changed waits for one change.
func (r *rig) changed() {
	r.t.Helper()
	select {
	case <-r.changes:
	case <-time.After(patience):
		require.FailNow(r.t, "no change was told", r.log.String())
	}
}

// unchanged waits to see that there is none.
func (r *rig) unchanged() {
	r.t.Helper()
	select {
	case <-r.changes:
		require.FailNow(r.t, "a change was told", r.log.String())
	case <-time.After(calm):
	}
}

// logged waits for a line.
func (r *rig) logged(text string) {
	r.t.Helper()
	require.Eventually(r.t, func() bool { return bytes.Contains([]byte(r.log.String()), []byte(text)) }, patience, time.Millisecond, text)
}
