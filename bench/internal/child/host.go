package child

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Ports are taken from [firstPort, firstPort+portCount): below those that
// Linux gives to outgoing connections, and apart from those of
// internal/testredis.
const (
	firstPort = 10000
	portCount = 6000
)

// FreePort returns a port of 127.0.0.1 that nobody listens on right now.
func FreePort() (int, error) {
	for range 1000 {
		port := firstPort + rand.IntN(portCount)
		l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("no free port from %d to %d", firstPort, firstPort+portCount-1)
}

// RaiseFiles raises the limit of open files, for this process and those it
// starts, to want or as far as the kernel lets it. It returns the new limit.
func RaiseFiles(want uint64) (uint64, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	if limit.Max < want { // Needs a privilege: where it is missing, do with less.
		raised := syscall.Rlimit{Cur: want, Max: want}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
			return want, nil
		}
	}
	// The Go runtime has raised its own limit already, but hides that from
	// children until the limit is set by hand.
	limit.Cur = limit.Max
	return limit.Cur, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

// Pin binds all present threads of a process to some CPUs. Later threads and
// children inherit it.
func Pin(pid int, cpus []int) error {
	set := cpuSet(cpus)
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return err
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			return err
		}
		// A thread may have ended since.
		if err := unix.SchedSetaffinity(tid, &set); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("pin thread %d to CPUs %v: %w", tid, cpus, err)
		}
	}
	return nil
}

// CPUs returns the numbers of the CPUs that this process may run on, in order.
func CPUs() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("read the CPU affinity: %w", err)
	}
	var cpus []int
	for cpu := range len(set) * strconv.IntSize {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}

func cpuSet(cpus []int) unix.CPUSet {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	return set
}
