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
	leash string
	lines chan string

	mu  sync.Mutex
	all []string
}

func newConsole(t *testing.T) *console {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	c := &console{t: t, w: w, leash: filepath.Join(t.TempDir(), "leash"), lines: make(chan string, 100_000)}
	require.NoError(t, unix.Mkfifo(c.leash, 0o600))
	leash, err := os.OpenFile(c.leash, os.O_RDWR, 0)
	require.NoError(t, err)
	done := make(chan struct{})
	go func() { c.read(r); close(done) }()
	t.Cleanup(func() {
		_ = leash.Close()
		_ = w.Close()
		_ = r.SetReadDeadline(time.Now().Add(patience)) // if a process lives on, which is a failure
		<-done
		_ = r.Close()
		if c.said("LEAK") > 0 {
			t.Error("a process has left files open")
		}
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

// said is how many lines were written that begin so.
func (c *console) said(prefix string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, line := range c.all {
		if strings.HasPrefix(line, prefix) {
			n++
		}
	}
	return n
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
		Env:      append(append(os.Environ(), envRole+"="+role, envLeash+"="+c.leash), env...),
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
	t.Cleanup(func() { end(succ) })
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

// client is a connection: what its peer has, and what the proxy has.
type client struct {
	t    *testing.T
	peer *os.File
	fd   int
}

func newClient(t *testing.T) *client {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	require.NoError(t, err)
	c := &client{t, os.NewFile(uintptr(fds[0]), "client"), fds[1]}
	require.NoError(t, c.peer.SetDeadline(time.Now().Add(patience)))
	t.Cleanup(func() {
		_ = c.peer.Close()
		c.leave()
	})
	return c
}

// leave closes the end of the proxy in this process.
func (c *client) leave() {
	if c.fd >= 0 {
		_ = unix.Close(c.fd)
		c.fd = -1
	}
}

// hears what the proxy sends.
func (c *client) hears(want string) {
	c.t.Helper()
	b := make([]byte, len(want))
	_, err := io.ReadFull(c.peer, b)
	require.NoError(c.t, err)
	require.Equal(c.t, want, string(b))
}

// echoes tells that the other process serves it.
func (c *client) echoes(text string) {
	c.t.Helper()
	_, err := c.peer.WriteString(text)
	require.NoError(c.t, err)
	c.hears(text)
}

// isServedHere tells that the end of the proxy is here and nowhere else: what the
// client says is heard here, and it hears what is said here.
func (c *client) isServedHere() {
	c.t.Helper()
	_, err := c.peer.WriteString("still there?")
	require.NoError(c.t, err)
	b := make([]byte, 100)
	n, err := unix.Read(c.fd, b)
	require.NoError(c.t, err)
	require.Equal(c.t, "still there?", string(b[:n]))
	_, err = unix.Write(c.fd, []byte("here"))
	require.NoError(c.t, err)
	c.hears("here")
}

// isHungUp tells that nobody has the other end any more.
func (c *client) isHungUp() {
	c.t.Helper()
	_, err := c.peer.Read(make([]byte, 1))
	require.ErrorIs(c.t, err, io.EOF)
}

// give gives the client away and waits for the answer.
func (c *client) give(s *Successor, service string, state, input []byte) error {
	got := make(chan error, 1)
	s.Give(service, c.fd, state, input, func(err error) { got <- err })
	select {
	case err := <-got:
		return err
	case <-time.After(patience):
		c.t.Fatal("a session is not answered")
		return nil
	}
}

// requireDead tells that the child has ended and been waited for.
func requireDead(t *testing.T, s *Successor) {
	t.Helper()
	require.ErrorIs(t, unix.Kill(s.PID(), 0), unix.ESRCH)
	require.ErrorIs(t, s.process.cmd.Process.Signal(unix.Signal(0)), os.ErrProcessDone)
}

func requireAlive(t *testing.T, s *Successor) {
	t.Helper()
	require.NoError(t, unix.Kill(s.PID(), 0))
	require.False(t, isClosed(s.process.dead))
}

// end kills the child, and reaps it as others would when it has been left.
func end(s *Successor) {
	s.Kill()
	_ = unix.Kill(s.PID(), unix.SIGKILL)
	<-s.process.dead
	_, _ = unix.Wait4(s.PID(), nil, 0, nil)
}

// leftSockets are those of the hot restart in the directory.
func leftSockets(t *testing.T, dir string) []string {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, socketPrefix+"*"))
	require.NoError(t, err)
	return left
}

func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }
