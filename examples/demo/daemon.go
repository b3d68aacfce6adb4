package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	readyWithin = 20 * time.Second
	drainWithin = 15 * time.Second // then the daemon is killed
	pollEvery   = 20 * time.Millisecond
	maxAnswer   = 1 << 20 // bytes that are read of an answer
)

// daemon is the running Samaritan. After a hot restart it is another process
// than the one that was started: the demo adopts it (see followParent) and
// learns its id from the pid file.
type daemon struct {
	setup setup
	done  chan struct{} // closed when no process of the daemon is left

	mu       sync.Mutex
	process  *os.Process // guarded: the current one
	stopping bool        // guarded
	state    string      // guarded: how the last process ended
}

// startDaemon starts the binary. Its log goes to the terminal: it gets stderr
// itself, not a pipe, so that a hot restart inherits it and outlives nothing.
func startDaemon(s setup) (*daemon, error) {
	cmd := exec.Command(s.binary, "-config", s.config, "-data", s.data)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the daemon: %w", err)
	}
	d := &daemon{setup: s, done: make(chan struct{}), process: cmd.Process}
	go d.follow()
	return d, nil
}

// follow waits for the daemon to end, through all its hot restarts.
func (d *daemon) follow() {
	defer close(d.done)
	for p := d.process; p != nil; {
		state, err := p.Wait()
		if p = d.successor(p.Pid); p == nil {
			d.mu.Lock()
			d.state = describe(state, err)
			d.mu.Unlock()
		}
	}
}

func describe(state *os.ProcessState, err error) string {
	if err != nil {
		return err.Error()
	}
	return state.String()
}

// successor returns the process that took over from the one that ended, if
// any. It gets the signal to stop that its predecessor got.
func (d *daemon) successor(ended int) *os.Process {
	text, err := os.ReadFile(filepath.Join(d.setup.data, "samaritan.pid"))
	if err != nil {
		return nil
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid == ended || !isChild(pid) {
		return nil
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.process = p
	if d.stopping {
		_ = p.Signal(syscall.SIGTERM)
	}
	return p
}

// isChild reports whether the process is alive and the demo's own.
func isChild(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	// "pid (name) state ppid ...", where the name may contain anything.
	_, rest, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
	fields := strings.Fields(rest)
	return len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid())
}

// waitReady returns when the admin server says so.
func (d *daemon) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	client := &http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := d.ready(ctx, client)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-d.done:
			return d.unexpected()
		case <-ctx.Done():
			return fmt.Errorf("the daemon is not ready after %v: %w", readyWithin, err)
		}
	}
}

// ready returns nil when the daemon has all its services, and they are ready.
func (d *daemon) ready(ctx context.Context, client *http.Client) error {
	if d.setup.Source != "" {
		if err := d.told(ctx, client); err != nil {
			return err
		}
	}
	_, err := d.get(ctx, client, "/ready")
	return err
}

// told returns nil when the management server has told the daemon its services, and
// they run.
func (d *daemon) told(ctx context.Context, client *http.Client) error {
	body, err := d.get(ctx, client, "/dynamic")
	if err != nil {
		return err
	}
	var got struct{ Dependencies, Services int }
	if err := json.Unmarshal(body, &got); err != nil {
		return fmt.Errorf("/dynamic: %w", err)
	}
	if got.Dependencies == 0 || got.Services < got.Dependencies {
		return fmt.Errorf("/dynamic: %d of %d services are there", got.Services, got.Dependencies)
	}
	return nil
}

// get returns what the admin server has at path.
func (d *daemon) get(ctx context.Context, client *http.Client, path string) ([]byte, error) {
	url := fmt.Sprintf("http://127.0.0.1:%d%s", d.setup.Admin, path)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %s", url, resp.Status, strings.TrimSpace(string(body)))
	}
	return body, err
}

// unexpected is the error of a daemon that ended by itself. Only after done.
func (d *daemon) unexpected() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return fmt.Errorf("the daemon ended: %s", d.state)
}

// stop lets the daemon drain, kills it if that takes too long, and returns when
// it is gone. It is idempotent.
func (d *daemon) stop() error {
	d.signal(syscall.SIGTERM)
	select {
	case <-d.done:
		return nil
	case <-time.After(drainWithin):
	}
	d.signal(syscall.SIGKILL)
	<-d.done
	return fmt.Errorf("the daemon did not stop within %v and was killed", drainWithin)
}

func (d *daemon) signal(sig os.Signal) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopping = true
	_ = d.process.Signal(sig) // os.ErrProcessDone is fine
}

// followParent settles who outlives whom. Processes that lose their parent
// below the demo become its children, which is what a hot restart of the daemon
// does. And `go run` hands ^C on but not SIGTERM: the kernel tells the demo
// when the go command has gone.
func followParent() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become the subreaper: %w", err)
	}
	parent, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", os.Getppid()))
	if err != nil || filepath.Base(parent) != "go" {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(syscall.SIGTERM), 0, 0, 0); err != nil {
		return fmt.Errorf("follow the go command: %w", err)
	}
	return nil
}
