package restart

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Reaper takes in the processes whose parents have ended, as process 1 of a container does,
// so that those that a chain of restarts leaves behind are known to have ended, and how. All
// processes of daemons are waited for here and nowhere else.
type Reaper struct {
	mu sync.Mutex
	// Guarded by mu.
	ended map[int]syscall.WaitStatus
}

// NewReaper makes this process the one that orphans below it go to. One is enough for a
// process.
func NewReaper() (*Reaper, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("restart: become a reaper of orphans: %w", err)
	}
	return &Reaper{ended: map[int]syscall.WaitStatus{}}, nil
}

// programName is that of the daemon's file, and so of its processes.
const programName = "samaritan"

// Ended returns how a process has ended: with 0, when another daemon has waited for it. A
// zombie of another daemon has not ended yet.
func (r *Reaper) Ended(pid int) (status syscall.WaitStatus, ended bool) {
	r.reap()
	r.mu.Lock()
	defer r.mu.Unlock()
	if status, ended = r.ended[pid]; !ended {
		_, err := readStat(pid)
		ended = errors.Is(err, os.ErrNotExist)
	}
	return status, ended
}

// reap waits for all zombies of ours that were daemons.
func (r *Reaper) reap() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, pid := range pids() {
		p, err := readStat(pid)
		if err != nil || p.parent != os.Getpid() || p.state != 'Z' || p.name != programName {
			continue
		}
		var status syscall.WaitStatus
		if _, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil); err == nil {
			r.ended[pid] = status
		}
	}
}

// pids returns all processes.
func pids() (list []int) {
	entries, _ := os.ReadDir("/proc") // without it there is none
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			list = append(list, pid)
		}
	}
	return list
}

// processStat is a part of /proc/PID/stat.
type processStat struct {
	name   string
	state  byte
	parent int
}

func readStat(pid int) (p processStat, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return p, err
	}
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return p, fmt.Errorf("restart: stat of process %d is %q", pid, text)
	}
	p.name = string(text[open+1 : end])
	_, err = fmt.Sscanf(string(text[end+1:]), " %c %d", &p.state, &p.parent)
	return p, err
}

// processesWith returns the living processes that have the argument.
func processesWith(argument string) (list []int) {
	for _, pid := range pids() {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // empty for a zombie
		if err == nil && strings.Contains(string(line), "\x00"+argument+"\x00") {
			list = append(list, pid)
		}
	}
	return list
}

// kill sends a signal. A process that is gone is no error.
func kill(pid int, sig syscall.Signal) error {
	if pid <= 1 {
		return fmt.Errorf("restart: %d is not a process of ours", pid)
	}
	err := syscall.Kill(pid, sig)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

// Usage is what a process has.
type Usage struct {
	FDs, Threads, Goroutines int
	RSS                      int64 // bytes
}

// usageOf measures a process, but for its goroutines.
func usageOf(pid int) (u Usage, err error) {
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return u, err
	}
	u.FDs = len(fds)
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch {
		case err != nil:
		case name == "Threads":
			u.Threads = int(n)
		case name == "VmRSS":
			u.RSS = n << 10
		}
	}
	return u, nil
}
