package child

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Starter forks processes, always from the same thread. It is safe for
// concurrent use until Close.
type Starter struct {
	forks chan fork
	done  chan struct{} // closed when forkLoop has returned

	mu      sync.Mutex // guards the following
	started []*Process
}

// fork asks forkLoop to start a command on some CPUs.
type fork struct {
	cmd    *exec.Cmd
	cpus   []int // where it may run; empty: where the benchmark itself may
	result chan error
}

// NewStarter starts the forking goroutine. The caller has to call Close, after
// which every process that is still running gets killed.
func NewStarter() *Starter {
	s := &Starter{forks: make(chan fork), done: make(chan struct{})}
	go s.forkLoop()
	return s
}

// Close ends the forking goroutine and kills all processes. That its thread ends
// would kill them too, but the runtime keeps the thread when it is the first one.
func (s *Starter) Close() {
	close(s.forks)
	<-s.done
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.started {
		p.Kill()
	}
}

// forkLoop forks until Close. It does not unlock its thread, so the thread
// ends with it.
func (s *Starter) forkLoop() {
	defer close(s.done)
	runtime.LockOSThread()
	for f := range s.forks {
		f.result <- f.start()
	}
}

// start runs on the forking thread. A child takes its CPUs from the thread
// before it runs its first instruction, so that a Go program sees the right
// number of them.
func (f fork) start() error {
	if len(f.cpus) == 0 {
		return f.cmd.Start()
	}
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("read the CPU affinity: %w", err)
	}
	only := cpuSet(f.cpus)
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		return fmt.Errorf("pin to CPUs %v: %w", f.cpus, err)
	}
	err := f.cmd.Start()
	return errors.Join(err, unix.SchedSetaffinity(0, &before))
}

// fork starts cmd, which dies with the forking thread.
func (s *Starter) fork(cmd *exec.Cmd, cpus []int) error {
	// A group of its own keeps Ctrl-C for the benchmark alone, which then ends
	// its children in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	f := fork{cmd: cmd, cpus: cpus, result: make(chan error)}
	s.forks <- f
	return <-f.result
}

// Options say how to start a process.
type Options struct {
	Dir  string // working directory; the output goes to the file output.log there
	CPUs []int  // where it may run; empty: anywhere
}

// Start starts a process that runs until Kill.
func (s *Starter) Start(o Options, name string, args ...string) (*Process, error) {
	logPath := filepath.Join(o.Dir, "output.log")
	log, err := os.Create(logPath)
	if err != nil {
		return nil, err
	}
	defer log.Close() // The child has its own copy.
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = o.Dir, log, log
	if err := s.fork(cmd, o.CPUs); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &Process{cmd: cmd, logPath: logPath, exited: make(chan struct{})}
	go p.reap()
	s.mu.Lock()
	s.started = append(s.started, p)
	s.mu.Unlock()
	return p, nil
}

// Launch starts a process and waits until check is content; ready is how long that took. When it
// fails the process is killed.
func (s *Starter) Launch(ctx context.Context, o Options, check func(context.Context) error, command ...string) (p *Process, ready time.Duration, err error) {
	begin := time.Now()
	p, err = s.Start(o, command[0], command[1:]...)
	if err != nil {
		return nil, 0, err
	}
	if err := p.Await(ctx, check); err != nil {
		p.Kill()
		return nil, 0, err
	}
	return p, time.Since(begin), nil
}

// Output runs a process to its end and returns what it wrote to its standard
// output. The error of one that failed has what it wrote to standard error.
func (s *Starter) Output(ctx context.Context, name string, args ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := s.fork(cmd, nil)
	if err == nil {
		err = cmd.Wait()
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("run %s: %w: %s", filepath.Base(name), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.Bytes(), nil
}
