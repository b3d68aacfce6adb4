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
	"strings"
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

// daemon is the running Samaritan, or rather its supervisor, which stays when hot
// restarts replace the process behind it.
type daemon struct {
	setup   setup
	process *os.Process
	done    chan struct{} // closed when no process of the daemon is left
	state   string        // how it ended; after done
}

// startDaemon starts the binary. Its log goes to the terminal: it gets stderr
// itself, not a pipe, so that a hot restart inherits it and outlives nothing.
func startDaemon(s setup) (*daemon, error) {
	cmd := exec.Command(s.binary, "-supervise", "-config", s.config, "-data", s.data)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the daemon: %w", err)
	}
	d := &daemon{setup: s, done: make(chan struct{}), process: cmd.Process}
	go d.wait(cmd)
	return d, nil
}

func (d *daemon) wait(cmd *exec.Cmd) {
	defer close(d.done)
	_ = cmd.Wait() // the state says it all
	d.state = cmd.ProcessState.String()
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
	_ = d.process.Signal(sig) // os.ErrProcessDone is fine
}

// followParent ends the demo with the go command: `go run` hands ^C on but not
// SIGTERM, so the kernel tells when it has gone.
func followParent() error {
	parent, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", os.Getppid()))
	if err != nil || filepath.Base(parent) != "go" {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(syscall.SIGTERM), 0, 0, 0); err != nil {
		return fmt.Errorf("follow the go command: %w", err)
	}
	return nil
}
