package child

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Usage is the CPU time that a process has used so far.
type Usage struct {
	Total time.Duration // exact, by the CPU clock of the process

	// User and System are in the kernel's ticks, mostly of 10 ms. They need not
	// add up to Total.
	User, System time.Duration
}

// Sub returns the time used since before. User and System are Total, split as
// the ticks are; before the first tick all of it counts as system time.
func (u Usage) Sub(before Usage) Usage {
	total, user, system := u.Total-before.Total, u.User-before.User, u.System-before.System
	if user+system > 0 {
		user = time.Duration(float64(total) * float64(user) / float64(user+system))
	}
	return Usage{Total: total, User: user, System: total - user}
}

// ReadUsage returns the CPU time of a process.
func ReadUsage(pid int) (Usage, error) {
	var total unix.Timespec
	if err := unix.ClockGettime(cpuClock(pid), &total); err != nil {
		return Usage{}, fmt.Errorf("read the CPU clock of process %d: %w", pid, err)
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Usage{}, err
	}
	user, system, err := parseStat(stat)
	return Usage{Total: time.Duration(total.Nano()), User: user, System: system}, err
}

// CPU returns the time that the process has used so far, user and system.
func (p *Process) CPU() (time.Duration, error) {
	u, err := ReadUsage(p.PID())
	return u.Total, err
}

// cpuClock returns the clock of the CPU time of a process, as
// clock_getcpuclockid(3) makes it: the inverted pid, shifted by three, and
// CPUCLOCK_SCHED (2), the scheduler's own exact count.
func cpuClock(pid int) int32 { return int32(^pid)<<3 | 2 }

// tick is the unit of times in /proc: USER_HZ is 100 on all Linux
// architectures that Go runs on.
const tick = time.Second / 100

var errFormat = errors.New("unexpected format")

// parseStat returns utime and stime, the fields 14 and 15 of /proc/PID/stat
// (proc_pid_stat(5)). The name of the program, field 2, is in parentheses and
// may contain anything, so fields are counted from the last one.
func parseStat(stat []byte) (user, system time.Duration, err error) {
	end := bytes.LastIndexByte(stat, ')')
	fields := bytes.Fields(stat[end+1:])
	if end < 0 || len(fields) < 13 {
		return 0, 0, fmt.Errorf("stat of a process: %w", errFormat)
	}
	u, err1 := strconv.ParseInt(string(fields[11]), 10, 64)
	s, err2 := strconv.ParseInt(string(fields[12]), 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return 0, 0, fmt.Errorf("stat of a process: %w", err)
	}
	return time.Duration(u) * tick, time.Duration(s) * tick, nil
}

// ReadRSS returns the resident memory of a process in bytes.
func ReadRSS(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return parseRSS(string(status))
}

// parseRSS finds the line "VmRSS:   1234 kB" of /proc/PID/status.
func parseRSS(status string) (int64, error) {
	for line := range strings.Lines(status) {
		rest, ok := strings.CutPrefix(line, "VmRSS:")
		if !ok {
			continue
		}
		number, ok := strings.CutSuffix(strings.TrimSpace(rest), " kB")
		kib, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if !ok || err != nil {
			return 0, fmt.Errorf("VmRSS %q: %w", rest, errFormat)
		}
		return kib << 10, nil
	}
	return 0, fmt.Errorf("status of a process without VmRSS: %w", errFormat)
}
