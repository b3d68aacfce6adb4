package hotrestart

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// patience is how long a test waits for what should come at once.
const patience = 60 * time.Second

// withPatience is a context that ends when nothing will come any more.
func withPatience(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// console is where a process of the test writes to.
type console struct {
	t     *testing.T
	w     *os.File
	lines chan string

	mu  sync.Mutex
	all []string
}

func newConsole(t *testing.T) *console {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	c := &console{t: t, w: w, lines: make(chan string, 100_000)}
	done := make(chan struct{})
	go func() { c.read(r); close(done) }()
	t.Cleanup(func() {
		_ = w.Close()
		_ = r.SetReadDeadline(time.Now().Add(patience)) // if a process lives on, which is a failure
		<-done
		_ = r.Close()
		if t.Failed() {
			t.Log("the other processes said:\n" + strings.Join(c.all, "\n"))
		}
	})
	return c
}

func (c *console) read(r io.Reader) {
	defer close(c.lines)
	s := bufio.NewScanner(r)
	for s.Scan() {
		c.mu.Lock()
		c.all = append(c.all, s.Text())
		c.mu.Unlock()
		c.lines <- s.Text()
	}
}

// said tells whether a line was written that begins so.
func (c *console) said(prefix string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.all, func(line string) bool { return strings.HasPrefix(line, prefix) })
}

// await waits for a line that begins so and returns the rest of it.
func (c *console) await(prefix string) string {
	c.t.Helper()
	late := time.After(patience)
	for {
		select {
		case line, ok := <-c.lines:
			if !ok {
				c.t.Fatalf("the process ended without %q", prefix)
			}
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				return strings.TrimSpace(rest)
			}
		case <-late:
			c.t.Fatalf("the process does not say %q", prefix)
		}
	}
}

// ends waits until all processes that write here have ended.
func (c *console) ends() {
	c.t.Helper()
	_ = c.w.Close()
	late := time.After(patience)
	for {
		select {
		case _, ok := <-c.lines:
			if !ok {
				return
			}
		case <-late:
			c.t.Fatal("the process does not end")
		}
	}
}

// startOf is how a child with the role is started.
func startOf(t *testing.T, role string, env ...string) (Start, *console) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	c := newConsole(t)
	return Start{
		Dir:      t.TempDir(),
		Path:     self,
		Args:     []string{"-test.run=^$"},
		Env:      append(append(os.Environ(), envRole+"="+role), env...),
		Stdout:   c.w,
		Stderr:   c.w,
		Version:  "v1",
		Sessions: 1,
		Log:      slog.New(slog.NewTextHandler(c.w, nil)),
	}, c
}

// begun is a child that has said hello. It is dead at the end of the test.
func begun(t *testing.T, role string, env ...string) (*Successor, *console) {
	t.Helper()
	s, c := startOf(t, role, env...)
	return beginWith(t, s), c
}

func beginWith(t *testing.T, s Start) *Successor {
	t.Helper()
	succ, err := Begin(withPatience(t), s)
	require.NoError(t, err)
	t.Cleanup(succ.Kill)
	return succ
}

// ready is a child that has its listeners, which are none, and is ready.
func ready(t *testing.T, role string, env ...string) (*Successor, *console) {
	t.Helper()
	succ, c := begun(t, role, env...)
	require.NoError(t, succ.Offer(nil, nil))
	require.NoError(t, succ.AwaitReady(withPatience(t), nil))
	return succ, c
}

// taken is a child that has taken over.
func taken(t *testing.T, role string, env ...string) (*Successor, *console) {
	t.Helper()
	succ, c := ready(t, role, env...)
	require.NoError(t, succ.Go(withPatience(t), nil))
	return succ, c
}

// openFiles are those of this process, by what they are. What the runtime keeps for
// itself is left out.
func openFiles() []string {
	entries, _ := os.ReadDir("/proc/self/fd")
	found := map[string]string{}
	for _, e := range entries {
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && !strings.HasPrefix(to, "anon_inode:[event") && !strings.HasSuffix(to, "/fd") {
			found[e.Name()] = e.Name() + " " + to
		}
	}
	return slices.Sorted(maps.Values(found))
}

// keepsFiles fails the test if it leaves other files open than it found. It has to come
// first in a test, to be the last to look.
func keepsFiles(t *testing.T) {
	t.Helper()
	before := openFiles()
	t.Cleanup(func() {
		require.Eventuallyf(t, func() bool { return len(openFiles()) == len(before) }, patience, 10*time.Millisecond,
			"open files before: %v", before)
		require.Equal(t, before, openFiles())
	})
}

// pair is a connection; both ends are blocking, and closed at the end of the test.
func pair(t *testing.T) (ours, theirs int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	return fds[0], fds[1]
}

// leftSockets are those of the hot restart in the directory.
func leftSockets(t *testing.T, dir string) []string {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, socketPrefix+"*"))
	require.NoError(t, err)
	return left
}

func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }
