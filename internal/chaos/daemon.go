package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Names of the two services of the daemon.
const (
	masterService = "master"
	bothService   = "both"
)

// readyLimit is how long the daemon may take to be ready, and to end.
const readyLimit = 15 * time.Second

// Daemon is a running samaritan process. It may die at any time; Running tells.
// All methods are safe for concurrent use.
type Daemon struct {
	// Immutable.
	master, both string // addresses of the services, "host:port"
	admin        string
	logPath      string
	pid          int
	http         *http.Client
	exited       chan struct{} // closed when the process has ended
	config       string

	mu sync.Mutex
	// Guarded by mu.
	state string // how it ended
}

// StartDaemon runs the binary with a config for the given nodes, in the
// directory dir, and returns when it is ready. The caller has to call Close.
func StartDaemon(ctx context.Context, binary, dir string, nodes []string) (*Daemon, error) {
	addrs, err := freeAddrs(3)
	if err != nil {
		return nil, err
	}
	d := &Daemon{
		master: addrs[0], both: addrs[1], admin: addrs[2],
		logPath: filepath.Join(dir, "samaritan.log"), config: filepath.Join(dir, "samaritan.yaml"),
		http:   &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
		exited: make(chan struct{}),
	}
	if err := os.WriteFile(d.config, []byte(d.configText(nodes)), 0o600); err != nil {
		return nil, err
	}
	if err := d.launch(binary, dir); err != nil {
		return nil, err
	}
	if err := d.await(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("chaos: %s is not ready: %w\n%s", binary, err, d.LogTail(20)), d.Close())
	}
	return d, nil
}

// freeAddrs returns n addresses that were free a moment ago.
func freeAddrs(n int) ([]string, error) {
	var addrs []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // all at the end, so that they differ
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

// configText is the daemon's config file.
func (d *Daemon) configText(nodes []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "admin: {bind: %s}\nstatic_services:\n", yamlAddr(d.admin))
	for _, s := range []struct{ name, addr, read string }{
		{masterService, d.master, "MASTER"},
		{bothService, d.both, "BOTH"},
	} {
		fmt.Fprintf(&b, "  - name: %s\n    config:\n      listener: {address: %s}\n      protocol: Redis\n", s.name, yamlAddr(s.addr))
		fmt.Fprintf(&b, "      connect_timeout: %v\n", ConnectTimeout)
		fmt.Fprintf(&b, "      redis_option: {read_strategy: %s, request_timeout: %v}\n    endpoints:\n", s.read, RequestTimeout)
		for _, n := range nodes {
			fmt.Fprintf(&b, "      - address: %s\n", yamlAddr(n))
		}
	}
	return b.String()
}

// yamlAddr writes "host:port" as the config wants it.
func yamlAddr(addr string) string {
	host, port, _ := net.SplitHostPort(addr)
	return fmt.Sprintf("{ip: %q, port: %s}", host, port)
}

// launch starts the process and the goroutine that waits for its end. That one
// keeps the thread that forked it: the kernel kills the process when this thread
// ends, so also when we are killed.
func (d *Daemon) launch(binary, dir string) error {
	logFile, err := os.OpenFile(d.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer logFile.Close()
	cmd := exec.Command(binary, "-config", d.config, "-data", filepath.Join(dir, "data"))
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go d.attend(cmd, started)
	return <-started
}

// attend starts the process and waits for its end.
func (d *Daemon) attend(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Start()
	if err == nil {
		d.pid = cmd.Process.Pid
	}
	started <- err
	if err != nil {
		return
	}
	_ = cmd.Wait() // the state says it all
	d.mu.Lock()
	d.state = cmd.ProcessState.String()
	d.mu.Unlock()
	close(d.exited)
}

// await waits until the daemon says that it is ready.
func (d *Daemon) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	for {
		_, err := d.get(ctx, "/ready")
		if err == nil {
			return nil
		}
		if dead := d.Running(); dead != nil {
			return dead
		}
		if pause(ctx, 20*time.Millisecond) != nil {
			return err
		}
	}
}

// Addr returns the address of the service that reads from masters.
func (d *Daemon) Addr() string { return d.master }

// BothAddr returns the address of the service that reads from masters and
// replicas.
func (d *Daemon) BothAddr() string { return d.both }

// Pid returns the process id.
func (d *Daemon) Pid() int { return d.pid }

// Running returns nil, or how the process ended.
func (d *Daemon) Running() error {
	select {
	case <-d.exited:
		d.mu.Lock()
		defer d.mu.Unlock()
		return fmt.Errorf("the process has ended: %s", d.state)
	default:
		return nil
	}
}

// Close ends the process, and kills it when it takes too long. It is idempotent.
func (d *Daemon) Close() error {
	if d.Running() != nil {
		return nil
	}
	if err := syscall.Kill(d.pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	limit := time.NewTimer(readyLimit)
	defer limit.Stop()
	select {
	case <-d.exited:
		return nil
	case <-limit.C:
	}
	err := syscall.Kill(d.pid, syscall.SIGKILL)
	<-d.exited
	return errors.Join(fmt.Errorf("chaos: the process did not end within %v of SIGTERM", readyLimit), err)
}

// get asks the admin server.
func (d *Daemon) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.admin+path, nil)
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
		err = fmt.Errorf("GET %s: %s: %s", path, resp.Status, bytes.TrimSpace(body))
	}
	return body, err
}

// Stats returns the daemon's plain numbers, by their names at /stats.
func (d *Daemon) Stats(ctx context.Context) (map[string]float64, error) {
	body, err := d.get(ctx, "/stats")
	if err != nil {
		return nil, err
	}
	stats := map[string]float64{}
	for line := range strings.Lines(string(body)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			stats[name] = v
		}
	}
	return stats, nil
}

// stackLine is what the log shows of a panic or a fatal error of the runtime.
var stackLine = regexp.MustCompile(`(?m)^.*(panic|fatal error: |^goroutine \d+ ).*$`)

// Stack returns the first line of the log that tells of a panic, "" if there is none.
func (d *Daemon) Stack() string {
	text, err := os.ReadFile(d.logPath)
	if err != nil {
		return err.Error()
	}
	return string(stackLine.Find(text))
}

// LogTail returns the last n lines of the log.
func (d *Daemon) LogTail(n int) string {
	text, err := os.ReadFile(d.logPath)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
