package testmariadb

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// process is one run of a server.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed once the process is reaped
}

// startProcess runs a program; what it prints is added to the file logPath.
func startProcess(program, logPath string, args []string) (*process, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // The child has its own copy.
	p := &process{cmd: exec.Command(program, args...), exited: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	// A process group of its own keeps Ctrl-C for the test process alone.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error)
	go p.live(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	return p, nil
}

// live forks the process and waits for its end on one and the same thread: the
// kernel sends the Pdeathsig when the thread that has forked ends, and Go would end
// or reuse any other as it likes.
func (p *process) live(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.exited)
	err := p.cmd.Start()
	started <- err
	if err == nil {
		_ = p.cmd.Wait() // A killed server is no news.
	}
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

// signal fails only when the process has ended already.
func (p *process) signal(sig syscall.Signal) { _ = p.cmd.Process.Signal(sig) }

// small are arguments that keep a server small and fast. They must be the same for
// the template and for a server: the sizes are those of files.
func small() []string {
	args := []string{
		"--innodb-data-file-path=ibdata1:4M:autoextend", "--innodb-autoextend-increment=1", "--innodb-log-file-size=4M",
		"--innodb-buffer-pool-size=8M", "--innodb-flush-log-at-trx-commit=0", "--key-buffer-size=1M",
		"--aria-pagecache-buffer-size=1M",
	}
	if os.Geteuid() == 0 {
		args = append(args, "--user=root") // It refuses to run as root by accident.
	}
	return args
}

// argsLocked returns the command line of the server. What the user asked for comes
// last, and so wins.
func (s *Server) argsLocked() []string {
	host, port, _ := net.SplitHostPort(s.address) // It is one of ours.
	args := []string{
		"--no-defaults", "--datadir=" + s.dataDir(), "--socket=" + s.Socket(), "--bind-address=" + host, "--port=" + port,
		"--pid-file=" + s.dataDir() + "/pid",
	}
	return append(append(args, small()...), s.args...)
}
