package child

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"
)

// pollInterval is how often a process that starts is looked at.
const pollInterval = time.Millisecond

// Process is a running child. It is safe for concurrent use.
type Process struct {
	cmd     *exec.Cmd
	logPath string
	exited  chan struct{} // closed once the process is reaped
}

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// reap waits for the end of the process.
func (p *Process) reap() {
	_ = p.cmd.Wait() // A killed process is no news.
	close(p.exited)
}

// Kill ends the process and returns when it is reaped. It is idempotent.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // Fails only when it has ended already.
	<-p.exited
}

// Running returns nil while the process runs, else an error with the last
// lines of its output.
func (p *Process) Running() error {
	select {
	case <-p.exited:
		return fmt.Errorf("%s has ended (%s): %s", p.cmd.Path, p.cmd.ProcessState, p.LogTail())
	default:
		return nil
	}
}

// LogTail returns the last lines of the process' output, at most 2 KiB.
func (p *Process) LogTail() string {
	log, err := os.ReadFile(p.logPath)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(log[max(0, len(log)-2048):]))
}

// Await polls check every millisecond until it returns nil. It gives up when the
// context is done, with its error and check's, and when the process ends.
func (p *Process) Await(ctx context.Context, check func(context.Context) error) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if err := p.Running(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w: %w: %s", p.cmd.Path, ctx.Err(), err, p.LogTail())
		case <-tick.C:
		}
	}
}

// Accepts returns a check for Await: addr takes connections.
func Accepts(addr string) func(context.Context) error {
	return func(ctx context.Context) error {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}
