package supervise

import (
	"errors"

	"golang.org/x/sys/unix"
)

// process is one that serves or has served. It may be the child of another one, which reaps
// it; a pidfd tells its death all the same, and cannot mean somebody else who got its
// pid.
type process struct {
	pid    int
	fd     int             // pidfd; -1: the kernel has none for us, or not any more
	gone   bool            // dead, and reaped by somebody else
	reaped bool            // dead, and reaped by us
	status unix.WaitStatus // when we have reaped it
}

// watch makes the record of a process.
func watch(pid int) *process {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		fd = -1
	}
	return &process{pid: pid, fd: fd}
}

// exists tells whether it is alive, or dead and not reaped by anybody, as it was made by watch.
func (p *process) exists() bool { return p.fd >= 0 || p.alive() }

// alive is false from the moment at which the process is dead, reaped or not. Without a pidfd
// (before Linux 5.3, or forbidden by a filter of system calls) one that is dead and not
// reaped still counts.
func (p *process) alive() bool {
	switch {
	case p.reaped || p.gone:
		return false
	case p.fd < 0:
		return !errors.Is(unix.Kill(p.pid, 0), unix.ESRCH)
	}
	fds := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return n == 0 || err != nil
}

func (p *process) signal(sig unix.Signal) error {
	if p.fd < 0 {
		return unix.Kill(p.pid, sig)
	}
	return unix.PidfdSendSignal(p.fd, sig, nil, 0)
}

// end notes how it ended.
func (p *process) end(status unix.WaitStatus) {
	p.reaped, p.status = true, status
	p.release()
}

// release gives back what the kernel has of it for us. It counts as dead if it had a pidfd.
func (p *process) release() {
	if p.fd >= 0 {
		_ = unix.Close(p.fd)
		p.fd = -1
	}
}
