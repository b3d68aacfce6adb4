package testmariadb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"samaritan/internal/testredis"
)

// Deadlines and the pace of polling.
const (
	startTimeout  = 30 * time.Second // process start to the first answer
	stopTimeout   = 10 * time.Second // SIGTERM to the end; then it is killed
	pollEvery     = 10 * time.Millisecond
	startAttempts = 3 // with a new port each time
)

// errPortTaken says that another program was faster.
var errPortTaken = errors.New("the port is taken")

// Server is one MariaDB server of a test.
type Server struct {
	// Immutable.
	tools tools
	args  []string
	dir   string // all the server has: data, socket, log

	mu sync.Mutex // guards the following
	// address is "127.0.0.1:port". The port is reserved until the end of the test.
	address string
	proc    *process // nil while the server is down
}

// Start starts a server for a test and returns when it answers. The arguments are
// mariadbd's own, such as "--max-connections=5"; they win over ours. Any failure
// ends the test.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s, err := newServer(args)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.remove(t) })
	for range startAttempts {
		s.address = testredis.FreeAddress(t)
		if err = s.Restart(); !errors.Is(err, errPortTaken) {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newServer makes a server that has never run, with a data directory.
func newServer(args []string) (*Server, error) {
	found, err := findTools()
	if err != nil {
		return nil, err
	}
	// Not t.TempDir: the name of a long test makes a path too long for a socket.
	dir, err := os.MkdirTemp("", "testmariadb-")
	if err != nil {
		return nil, fmt.Errorf("testmariadb: make a directory: %w", err)
	}
	s := &Server{tools: found, args: args, dir: dir}
	if err := writeTemplate(found, s.dataDir()); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// remove ends the server for good. A failed test gets its log.
func (s *Server) remove(t testing.TB) {
	s.Kill()
	if t.Failed() {
		t.Logf("the end of the log of mariadbd:\n%s", s.logEnd())
	}
	if err := os.RemoveAll(s.dir); err != nil {
		t.Error(err)
	}
}

// Address returns "127.0.0.1:port". It stays the same over restarts.
func (s *Server) Address() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.address
}

// Socket returns the path of the server's unix socket.
func (s *Server) Socket() string { return filepath.Join(s.dir, "sock") }

// LogPath returns the path of the file with all that the server has printed. It is
// there until the end of the test.
func (s *Server) LogPath() string { return filepath.Join(s.dir, "log") }

func (s *Server) dataDir() string { return filepath.Join(s.dir, "data") }

// Restart starts the server again with the data it has, after a Stop when it runs,
// and returns when it answers.
func (s *Server) Restart() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopLocked()
	if err := s.launchLocked(); err != nil {
		return fmt.Errorf("testmariadb: start mariadbd on %s: %w\n%s", s.address, err, s.logEnd())
	}
	return nil
}

// launchLocked starts the process and waits until it answers.
func (s *Server) launchLocked() error {
	if err := os.Remove(s.Socket()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	proc, err := startProcess(s.tools.server, s.LogPath(), s.argsLocked())
	if err != nil {
		return err
	}
	s.proc = proc
	if err := poll(startTimeout, s.answersLocked); err != nil {
		s.killLocked()
		if bytes.Contains(s.logEnd(), []byte("Address already in use")) {
			return errPortTaken
		}
		return err
	}
	return nil
}

// answersLocked returns nil once the server does SQL, and an error that ends the
// polling once the process has ended.
func (s *Server) answersLocked() error {
	if !s.proc.running() {
		return final{errors.New("it ended")}
	}
	if _, err := os.Stat(s.Socket()); err != nil {
		return err
	}
	_, err := s.Exec("SELECT 1")
	return err
}

// Stop shuts the server down cleanly: it closes its connections and writes all to
// disk. Stop returns when the process is gone. A server that does not end in 10 s
// is killed. It does nothing to one that is down.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopLocked()
}

func (s *Server) stopLocked() {
	if s.proc == nil {
		return
	}
	s.proc.signal(syscall.SIGCONT) // one that is paused ends as well
	s.proc.signal(syscall.SIGTERM)
	select {
	case <-s.proc.exited:
	case <-time.After(stopTimeout):
	}
	s.killLocked()
}

// Kill ends the process with SIGKILL and returns when it is gone.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.killLocked()
}

func (s *Server) killLocked() {
	if s.proc != nil {
		s.proc.signal(syscall.SIGKILL)
		<-s.proc.exited
		s.proc = nil
	}
}

// Pause freezes the server with SIGSTOP: the kernel goes on accepting its
// connections, but nothing is read or answered. It takes effect within moments.
func (s *Server) Pause() { s.send(syscall.SIGSTOP) }

// Resume wakes a paused server.
func (s *Server) Resume() { s.send(syscall.SIGCONT) }

func (s *Server) send(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		s.proc.signal(sig)
	}
}

// logEnd returns the last lines that the server has printed.
func (s *Server) logEnd() []byte {
	text, _ := os.ReadFile(s.LogPath()) // Without it the error is still good.
	return bytes.TrimSpace(text[max(0, len(text)-4096):])
}

// final is an error that polling cannot cure.
type final struct{ error }

// poll calls check until it returns nil or a final error, or the time is over;
// then it returns the last error.
func poll(timeout time.Duration, check func() error) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := check()
		if err == nil || errors.As(err, new(final)) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}
