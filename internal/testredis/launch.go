package testredis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Deadlines and the pace of polling.
const (
	startTimeout  = 15 * time.Second // process start to the first PONG
	changeTimeout = 15 * time.Second // any change that the cluster has to agree on
	pollFirst     = 2 * time.Millisecond
	pollLongest   = 50 * time.Millisecond // polling must not be what keeps the machine busy
	startAttempts = 5                     // with new ports each time
)

// first starts a node that has never run, on ports of its own. The function
// seed, when not nil, returns the nodes.conf for those ports. When another program takes a port
// before the server does, other ones are tried.
func (n *Node) first(ctx context.Context, seed func(n *Node) string, args ...string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var err error
	for range startAttempts {
		if n.closed {
			return ErrClosed
		}
		n.port.release()
		n.bus.release()
		if err = n.reserveLocked(); err != nil {
			return err
		}
		if seed != nil {
			if err = os.WriteFile(filepath.Join(n.dir, "nodes.conf"), []byte(seed(n)), 0o600); err != nil {
				return err
			}
		}
		if err = n.launchLocked(ctx, args); !errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
	}
	return err
}

// reserveLocked gives the node new ports.
func (n *Node) reserveLocked() (err error) {
	n.port, n.bus = port{}, port{}
	if n.port, err = reservePort(); err != nil || n.id == "" {
		return err
	}
	if n.bus, err = reservePort(); err != nil || n.announce == nil {
		return err
	}
	n.told, err = n.announce(n.id, n.port.addr())
	return err
}

// launchLocked starts the process, with more arguments after the usual ones, and waits
// until it answers. When the process ends before that, the error holds the end
// of its log, and wraps EADDRINUSE when that is the reason.
func (n *Node) launchLocked(ctx context.Context, more []string) (err error) {
	if n.closed {
		return ErrClosed
	}
	log := filepath.Join(n.dir, "server.log")
	n.proc, err = n.host.start(n.dir, log, append(n.argsLocked(), more...))
	if err != nil {
		return fmt.Errorf("testredis: %w", err)
	}
	err = poll(ctx, startTimeout, n.answersLocked)
	if err == nil {
		return nil
	}
	n.killLocked()
	text, _ := os.ReadFile(log) // Without it the error is still good.
	text = bytes.TrimSpace(text[max(0, len(text)-2048):])
	if bytes.Contains(text, []byte("Address already in use")) {
		err = syscall.EADDRINUSE
	}
	return fmt.Errorf("testredis: start redis-server on %s: %w\n%s", n.port.addr(), err, text)
}

// answersLocked returns nil once the server answers PING, and an error that
// ends the polling once the process has ended.
func (n *Node) answersLocked() error {
	if !n.proc.running() {
		return final{fmt.Errorf("it ended: %v", n.proc.cmd.ProcessState)}
	}
	conn, err := n.dial(n.port.addr())
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Do("PING") // -LOADING while it loads its data
	return err
}

// argsLocked returns the command line: what every server here gets, what a
// cluster node needs, and last what the user asked for, which so wins.
func (n *Node) argsLocked() []string {
	args := []string{
		"--port", strconv.Itoa(n.port.number), "--bind", "127.0.0.1", "--daemonize", "no", "--dir", n.dir,
		"--save", "", "--appendonly", "no", "--loglevel", "warning", "--enable-debug-command", "local",
		"--repl-diskless-sync-delay", "0",
	}
	if n.id != "" {
		args = append(args, "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf",
			"--cluster-port", strconv.Itoa(n.bus.number))
	}
	if n.told != 0 {
		args = append(args, "--cluster-announce-ip", "127.0.0.1", "--cluster-announce-port", strconv.Itoa(n.told),
			"--cluster-announce-bus-port", strconv.Itoa(n.bus.number))
	}
	if n.password != "" {
		args = append(args, "--masterauth", n.password)
	}
	return append(args, n.extraArgs...)
}

// StartNode starts one plain redis-server without persistence. The arguments
// are redis-server's own, such as "--maxmemory", "1mb"; they win over ours. The
// context bounds the start only. The caller has to call Close.
func StartNode(ctx context.Context, args ...string) (*Node, error) {
	h, err := newHost()
	if err != nil {
		return nil, err
	}
	n, err := h.newNode("", args)
	if err == nil {
		err = n.first(ctx, nil)
	}
	if err != nil {
		return nil, errors.Join(err, h.close())
	}
	return n, nil
}

// final is an error that polling cannot cure.
type final struct{ error }

// Unwrap returns the error itself.
func (f final) Unwrap() error { return f.error }

// poll calls check, at growing intervals, until it returns nil or a final
// error, or the time is over; then it returns the last error.
func poll(ctx context.Context, timeout time.Duration, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for pause := pollFirst; ; pause = min(pause*3/2, pollLongest) {
		err := check()
		if err == nil || errors.As(err, new(final)) {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}
