package child

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
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

// FreePorts returns two different ports of 127.0.0.1 that nobody listens on right now: one for
// clients and one for whoever looks after the process.
func FreePorts() (port, admin int, err error) {
	port, l1, err := drawPort()
	if err != nil {
		return 0, 0, err
	}
	admin, l2, err := drawPort() // not the same, as that one is taken until both are drawn
	if err != nil {
		return 0, 0, errors.Join(err, l1.Close())
	}
	return port, admin, errors.Join(l1.Close(), l2.Close())
}

// drawPort listens on a port that was free.
func drawPort() (int, net.Listener, error) {
	for range 1000 {
		port := firstPort + rand.IntN(portCount)
		if l, err := net.Listen("tcp4", Loopback(port)); err == nil {
			return port, l, nil
		}
	}
	return 0, nil, fmt.Errorf("no free port from %d to %d", firstPort, firstPort+portCount-1)
}

// Loopback is the address of a port of this machine, as host:port.
func Loopback(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

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

// PinApart binds this process, and all that it starts without CPUs of its own, to its CPUs but the
// first, and returns that one: for what is measured. It comes before anything is started.
func PinApart() (first []int, err error) {
	cpus, err := CPUs()
	if err != nil {
		return nil, err
	}
	if len(cpus) < 2 {
		return nil, errOneCPU
	}
	return cpus[:1], Pin(os.Getpid(), cpus[1:])
}

var errOneCPU = errors.New("-pin needs two CPUs")

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

// CPUModel is the model of the CPUs, or only their architecture where Linux does not know it.
func CPUModel() string {
	cpuinfo, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	return cpuModel(string(cpuinfo))
}

// cpuModel finds the model in /proc/cpuinfo.
func cpuModel(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		name, value, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func cpuSet(cpus []int) unix.CPUSet {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	return set
}
