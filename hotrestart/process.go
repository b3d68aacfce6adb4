package hotrestart

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	defaultCheck      = 30 * time.Second
	defaultAckTimeout = 10 * time.Second

	// grace is how long a child may take to end by itself when it has said that it
	// failed, or has closed the connection.
	grace = time.Second

	// maxPrinted is how much of what the check printed is kept, bytes.
	maxPrinted = 8 << 10
)

// Start is what is needed to start a child.
type Start struct {
	// Dir is where the socket is made, which is there until the child has come. Its path
	// may be longer than the address of a socket.
	Dir string
	// Path is the program. It has to be the one that says hello: not a script that
	// starts another process.
	Path string
	// Args are those behind the name of the program.
	Args []string
	// Env is the whole environment, to which the names of the parent and of the socket
	// are added. WATCHDOG_PID is taken out.
	Env []string
	// ExtraFiles are handed on as descriptors 3 and up. As os/exec does it, they are in
	// blocking mode afterwards.
	ExtraFiles []*os.File
	// Stdout and Stderr are the child's; nil is /dev/null.
	Stdout, Stderr *os.File

	// Version is that of this daemon, for people.
	Version string
	// Sessions is the version of the encoding of sessions. They only move to a child
	// that has the same.
	Sessions int

	// Check is how long the check may take; 30 s when 0.
	Check time.Duration
	// AckTimeout is how long the child may neither take data nor answer when it should,
	// before it is killed; 10 s when 0.
	AckTimeout time.Duration

	// Log gets what goes wrong and is answered by nobody; slog.Default when nil.
	Log *slog.Logger
}

// Check runs the program with its arguments and -check. It returns nil when that ends
// with 0 in time; else the error has what was printed, up to 8 KiB.
func Check(ctx context.Context, s Start) error {
	ctx, cancel := context.WithTimeout(ctx, or(s.Check, defaultCheck))
	defer cancel()
	var out bounded
	cmd := exec.CommandContext(ctx, s.Path, append(s.Args[:len(s.Args):len(s.Args)], "-check")...)
	cmd.Env, cmd.Stdout, cmd.Stderr = clean(s.Env), &out, &out
	cmd.WaitDelay = grace // for processes that hold its output open
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it has ended well, whoever it has left behind
	}
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if printed := strings.TrimSpace(string(out.kept)); printed != "" {
		return fmt.Errorf("check %s: %w: %s", s.Path, err, printed)
	}
	return fmt.Errorf("check %s: %w", s.Path, err)
}

// bounded keeps the first bytes of what is written.
type bounded struct{ kept []byte }

func (b *bounded) Write(p []byte) (int, error) {
	b.kept = append(b.kept, p[:min(len(p), maxPrinted-len(b.kept))]...)
	return len(p), nil
}

// process is the child. That it is dead is known before it is reaped, as it is reaped here only
// when it has ended against our will: the status of one that has served is for whoever
// gets our children when we end, such as a supervisor.
type process struct {
	cmd    *exec.Cmd
	number int           // its pid; Cmd forgets it when the process is left
	dead   chan struct{} // closed when it has ended
	left   atomic.Bool   // its end is not our business any more

	reaping sync.Once
	err     error // of the wait, see how
}

func start(s Start, socket string) (*process, error) {
	cmd := exec.Command(s.Path, s.Args...)
	cmd.Env = childEnv(s.Env, socket)
	cmd.ExtraFiles = s.ExtraFiles
	if s.Stdout != nil { // else a nil *os.File in an interface
		cmd.Stdout = s.Stdout
	}
	if s.Stderr != nil {
		cmd.Stderr = s.Stderr
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, number: cmd.Process.Pid, dead: make(chan struct{})}
	go p.wait()
	return p, nil
}

func (p *process) wait() {
	for errors.Is(unix.Waitid(unix.P_PID, p.pid(), nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
	}
	close(p.dead)
}

// reap takes its status. It must be dead.
func (p *process) reap() { p.reaping.Do(func() { p.err = p.cmd.Wait() }) }

// leave lets it live, and lets others reap it.
func (p *process) leave() {
	if !p.left.Swap(true) {
		_ = p.cmd.Process.Release()
	}
}

func (p *process) pid() int { return p.number }

// kill returns when the process is dead, unless it was left.
func (p *process) kill() {
	if p.left.Load() {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.dead
	p.reap()
}

// ends tells whether the process ends by itself within d.
func (p *process) ends(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-p.dead:
		return true
	case <-t.C:
		return false
	}
}

// how says how the process has ended. It must be dead.
func (p *process) how() string {
	p.reap()
	if p.err != nil {
		return p.err.Error()
	}
	return "exit status 0"
}

func or(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}
