package testredis

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
)

// ErrMissing says that there is no redis-server to run. The error that wraps
// it tells what to do.
var ErrMissing = errors.New("redis-server not found")

// serverBinary finds redis-server: what the environment variable REDIS_SERVER
// names (a path, for runs against another version), else the one in PATH.
func serverBinary() (string, error) {
	name := os.Getenv("REDIS_SERVER")
	if name == "" {
		name = "redis-server"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("testredis: %w (looked for %q): install it with `apt-get install redis-server`, "+
			"or run `make test`, which does it", ErrMissing, name)
	}
	return filepath.Abs(path)
}

// host owns what the servers of one cluster have in common: the thread that
// forks them, the directory and the reserved ports.
//
// The kernel sends a child its Pdeathsig when the thread that forked it ends,
// not when the process does. The Go runtime ends a thread when a goroutine that
// locked it returns, so a child must not come from just any thread: forkLoop
// keeps one for as long as the host lives.
type host struct {
	// Immutable.
	binary string
	dir    string
	forks  chan fork     // to forkLoop; closed by close
	done   chan struct{} // closed when forkLoop has returned

	mu sync.Mutex
	// Guarded by mu.
	closed bool
	nodes  []*Node // all that were ever made, to close them
}

// fork asks forkLoop to start a command.
type fork struct {
	cmd    *exec.Cmd
	result chan error
}

// newHost starts the forking goroutine. The caller has to call close.
func newHost() (*host, error) {
	binary, err := serverBinary()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "testredis-")
	if err != nil {
		return nil, fmt.Errorf("testredis: make a directory: %w", err)
	}
	h := &host{binary: binary, dir: dir, forks: make(chan fork), done: make(chan struct{})}
	go h.forkLoop()
	return h, nil
}

// forkLoop starts what start asks for, always on the same thread.
func (h *host) forkLoop() {
	defer close(h.done)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for f := range h.forks {
		f.result <- f.cmd.Start()
	}
}

// process is one run of a server.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed once the process is reaped
}

// start runs the server with args in dir; what it prints goes to logPath.
func (h *host) start(dir, logPath string, args []string) (*process, error) {
	log, err := os.Create(logPath)
	if err != nil {
		return nil, err
	}
	defer log.Close() // The child has its own copy.
	cmd := exec.Command(h.binary, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	// A process group of its own keeps Ctrl-C for the test process alone.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	f := fork{cmd: cmd, result: make(chan error)}
	h.forks <- f
	if err := <-f.result; err != nil {
		return nil, fmt.Errorf("start %s: %w", h.binary, err)
	}
	p := &process{cmd: cmd, exited: make(chan struct{})}
	go p.reap()
	return p, nil
}

// reap waits for the end of the process.
func (p *process) reap() {
	_ = p.cmd.Wait() // A killed server is no news.
	close(p.exited)
}

// running reports whether the process is still there.
func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// kill ends the process, stopped or not, and returns when it is reaped.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // Fails only when it has ended already.
	<-p.exited
}

// close kills all servers and frees everything. It is idempotent.
func (h *host) close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil
	}
	h.closed = true
	for _, n := range h.nodes {
		n.shut()
	}
	close(h.forks)
	<-h.done
	return os.RemoveAll(h.dir)
}
