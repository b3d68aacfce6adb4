package restart

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// startLimit is how long a daemon may take to be ready, and a restart to be done.
	startLimit = 30 * time.Second

	// endLimit is how long the processes may take to end.
	endLimit = 30 * time.Second

	// look is how often is looked whether something has happened.
	look = 5 * time.Millisecond
)

// Options say what daemon to start.
type Options struct {
	Binary string   // of the daemon
	Dir    string   // an empty directory
	Config Config   // the first one
	Args   []string // further ones
	Env    []string // further ones, NAME=value

	// MayLitter says that sockets may be left in the data directory. A process that is
	// killed with SIGKILL while its new one comes leaves one, which the first restart a
	// minute later removes.
	MayLitter bool
	Reaper    *Reaper
}

// Daemon is samaritan as its operators see it: a directory with a binary, a config and a
// pid file, and whatever process serves. Methods are safe for concurrent use, but for
// Install and Configure.
type Daemon struct {
	// Immutable.
	dir    string
	litter bool
	reaper *Reaper
	http   *http.Client

	admin atomic.Pointer[string] // its address
}

// Launch starts a daemon and returns when it is ready. The context bounds the start only.
// The caller has to call Close.
func Launch(ctx context.Context, o Options) (*Daemon, error) {
	d := &Daemon{
		dir: o.Dir, litter: o.MayLitter, reaper: o.Reaper,
		http: &http.Client{Timeout: startLimit, Transport: &http.Transport{DisableKeepAlives: true}},
	}
	d.AskAt(o.Config.Admin)
	err := errors.Join(d.Install(o.Binary), d.Configure(o.Config))
	pid := 0
	if err == nil {
		pid, err = d.launch(o)
	}
	if err == nil {
		err = eventually(ctx, startLimit, func() error {
			// Not by Processes: in its first moment a process has no arguments.
			if _, ended := d.reaper.Ended(pid); ended {
				return final{errors.New("it has ended")}
			}
			_, err := d.Get(ctx, "/ready")
			return err
		})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("restart: the daemon is not ready: %w\n%s", err, d.LogTail(20)), d.Close())
	}
	return d, nil
}

// launch starts the first process. The reaper waits for it.
func (d *Daemon) launch(o Options) (pid int, err error) {
	log, err := os.OpenFile(d.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	args := append([]string{"-config", d.configPath(), "-data", d.dataDir()}, o.Args...)
	cmd := exec.Command(d.Path(), args...)
	cmd.Env = append(os.Environ(), o.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	pid = cmd.Process.Pid
	return pid, cmd.Process.Release()
}

// Path is that of the binary which a restart starts.
func (d *Daemon) Path() string { return filepath.Join(d.dir, programName) }

func (d *Daemon) configPath() string { return filepath.Join(d.dir, "samaritan.yaml") }
func (d *Daemon) dataDir() string    { return filepath.Join(d.dir, "data") }
func (d *Daemon) logPath() string    { return filepath.Join(d.dir, "samaritan.log") }

// Install puts a program in the place of the daemon's, at once. What runs goes on.
func (d *Daemon) Install(program string) error {
	beside := d.Path() + ".new"
	if err := os.Remove(beside); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Link(program, beside); err != nil {
		if err = copyFile(program, beside); err != nil {
			return fmt.Errorf("restart: install %s: %w", program, err)
		}
	}
	return os.Rename(beside, d.Path())
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o700)
}

// Configure puts another config in the place of the one there is, at once.
func (d *Daemon) Configure(c Config) error { return d.ConfigureText(c.text()) }

// ConfigureText is Configure for any text.
func (d *Daemon) ConfigureText(text string) error {
	beside := d.configPath() + ".new"
	if err := os.WriteFile(beside, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(beside, d.configPath())
}

// PID returns what the pid file says, 0 when there is none.
func (d *Daemon) PID() int {
	text, err := os.ReadFile(filepath.Join(d.dataDir(), "samaritan.pid"))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return pid
}

// Processes returns the living processes: the one that serves, and those before and after
// it.
func (d *Daemon) Processes() []int {
	d.reaper.reap()
	return processesWith(d.configPath())
}

// Sockets returns the names of the unix sockets in the data directory.
func (d *Daemon) Sockets() (names []string) {
	entries, _ := os.ReadDir(d.dataDir()) // without it there is none
	for _, e := range entries {
		if e.Type() == os.ModeSocket {
			names = append(names, e.Name())
		}
	}
	return names
}

// Restart is what /hotrestart shows.
type Restart struct {
	Phase       string             `json:"phase"`
	PID         int                `json:"pid"`
	Restarts    uint64             `json:"restarts"`
	LastError   string             `json:"last_error"`
	Successor   *struct{ PID int } `json:"successor"`
	Predecessor *struct {
		PID     int
		Clients int
	} `json:"predecessor"`
}

// Restart asks how far a restart is.
func (d *Daemon) Restart(ctx context.Context) (r Restart, err error) {
	body, err := d.Get(ctx, "/hotrestart")
	if err == nil {
		err = json.Unmarshal(body, &r)
	}
	return r, err
}

// Hangup asks the process in the pid file for a restart.
func (d *Daemon) Hangup() error { return kill(d.PID(), syscall.SIGHUP) }

// AwaitServing waits until another process than the one given serves: it is in the pid
// file, and says of itself that it serves.
func (d *Daemon) AwaitServing(ctx context.Context, not int) (pid int, err error) {
	err = eventually(ctx, startLimit, func() error {
		r, err := d.Restart(ctx)
		pid = d.PID()
		switch {
		case err != nil:
			return err
		case r.PID == not || pid != r.PID || r.Phase != "serving":
			return fmt.Errorf("process %d is %s, the pid file has %d; its last failure: %s", r.PID, r.Phase, pid, r.LastError)
		}
		return nil
	})
	if err != nil {
		err = fmt.Errorf("restart: no process serves in the place of %d: %w\n%s", not, err, d.LogTail(15))
	}
	return pid, err
}

// AwaitEnd waits until a process has ended, and returns how.
func (d *Daemon) AwaitEnd(ctx context.Context, pid int) (status syscall.WaitStatus, err error) {
	err = eventually(ctx, endLimit, func() error {
		var ended bool
		if status, ended = d.reaper.Ended(pid); !ended {
			return fmt.Errorf("restart: process %d has not ended", pid)
		}
		return nil
	})
	return status, err
}

// AwaitAlone waits until the process is the only one.
func (d *Daemon) AwaitAlone(ctx context.Context, pid int) error {
	return eventually(ctx, endLimit, func() error {
		if all := d.Processes(); len(all) != 1 || all[0] != pid {
			return fmt.Errorf("restart: the processes are %v and not only %d\n%s", all, pid, d.LogTail(15))
		}
		return nil
	})
}

// Close has all processes end, and kills those that do not. What it finds left behind is
// an error.
func (d *Daemon) Close() error {
	ctx := context.Background() // the limit is ours
	var errs []error
	for _, pid := range d.Processes() {
		errs = append(errs, kill(pid, syscall.SIGTERM))
	}
	err := eventually(ctx, endLimit, func() error {
		if left := d.Processes(); len(left) > 0 {
			return fmt.Errorf("restart: processes %v have not ended\n%s", left, d.LogTail(15))
		}
		return nil
	})
	for _, pid := range d.Processes() {
		errs = append(errs, kill(pid, syscall.SIGKILL))
	}
	errs = append(errs, err)
	if left := d.Sockets(); len(left) > 0 && !d.litter {
		errs = append(errs, fmt.Errorf("restart: sockets are left behind: %v", left))
	}
	d.http.CloseIdleConnections()
	return errors.Join(errs...)
}

// AskAt is the address of the admin server from now on.
func (d *Daemon) AskAt(addr string) { d.admin.Store(&addr) }

// Get asks the admin server. Each time is a connection of its own.
func (d *Daemon) Get(ctx context.Context, path string) ([]byte, error) {
	return d.ask(ctx, http.MethodGet, path)
}

// Post asks the admin server to do something.
func (d *Daemon) Post(ctx context.Context, path string) ([]byte, error) {
	return d.ask(ctx, http.MethodPost, path)
}

func (d *Daemon) ask(ctx context.Context, method, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+*d.admin.Load()+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := d.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, bytes.TrimSpace(body))
	}
	return body, err
}

// LogTail returns the last n lines of the log, of all processes.
func (d *Daemon) LogTail(n int) string {
	text, err := os.ReadFile(d.logPath())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// final ends eventually at once.
type final struct{ error }

// eventually calls check until it returns nil or the limit is over; then it returns the
// last error.
func eventually(ctx context.Context, limit time.Duration, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return nil
		}
		if _, ok := errors.AsType[final](err); ok {
			return err
		}
		if pause(ctx, look) != nil {
			return fmt.Errorf("not within %v: %w", limit, err)
		}
	}
}

// pause lets d go by, or returns the context's error when that ends first.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
