package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"samaritan/bench/internal/child"
	"samaritan/bench/internal/report"
	"samaritan/bench/internal/samaritan"
)

// target is what clients talk to.
type target struct {
	name  string
	addr  string // host:port for clients
	port  int
	pid   int           // of the process that is measured
	ready time.Duration // from the start of the process until it served

	process *child.Process    // nil for Redis itself, which the stage owns
	daemon  *samaritan.Daemon // nil for all but Samaritan
}

// close ends the target's process.
func (t *target) close() {
	if t.process != nil {
		t.process.Kill()
	}
}

// running returns an error when the target's process has ended.
func (t *target) running() error {
	if t.process == nil {
		return nil
	}
	return t.process.Running()
}

// open starts a target and returns when it serves.
func (s *stage) open(ctx context.Context, name string) (*target, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	switch {
	case name == report.Reference:
		return &target{name: name, addr: s.direct.Addr(), port: s.direct.Port(), pid: s.direct.Pid()}, nil
	case name == report.Peer || s.options.standIn:
		return s.openTwemproxy(ctx, name)
	case name == report.Without:
		return s.openSamaritan(ctx, name, "protocol: Redis, redis_option: {hot_keys: {enable: false}}")
	}
	return s.openSamaritan(ctx, name, "protocol: Redis")
}

// twemproxyConfig is the recommended setup: one connection to each server, made
// beforehand, and the cheapest way there is to choose one. No server is ever
// ejected, since none fails.
const twemproxyConfig = `bench:
  listen: %s
  redis: true
  hash: crc16
  distribution: modula
  auto_eject_hosts: false
  preconnect: true
  server_connections: 1
  client_connections: 20000
  backlog: 1024
  servers:
`

// openTwemproxy starts a twemproxy in front of the plain servers.
func (s *stage) openTwemproxy(ctx context.Context, name string) (*target, error) {
	port, stats, err1 := child.FreePorts()
	dir, err2 := os.MkdirTemp(s.dir, "twemproxy-")
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	addr := child.Loopback(port)
	var config strings.Builder
	fmt.Fprintf(&config, twemproxyConfig, addr)
	for i, n := range s.plain {
		fmt.Fprintf(&config, "   - %s:1 server%d\n", n.Addr(), i+1)
	}
	path := filepath.Join(dir, "twemproxy.yml")
	if err := os.WriteFile(path, []byte(config.String()), 0o600); err != nil {
		return nil, err
	}
	p, ready, err := s.starter.Launch(ctx, child.Options{Dir: dir, CPUs: s.proxyCPUs}, child.Accepts(addr), twemproxyBinary,
		"-c", path, "-a", "127.0.0.1", "-s", strconv.Itoa(stats), "-p", filepath.Join(dir, "twemproxy.pid"), "-o", filepath.Join(dir, "twemproxy.log"))
	if err != nil {
		return nil, err
	}
	return &target{name: name, addr: addr, port: port, pid: p.PID(), ready: ready, process: p}, nil
}

// openSamaritan starts the proxy under test in front of the cluster.
func (s *stage) openSamaritan(ctx context.Context, name, service string) (*target, error) {
	d, err := samaritan.Start(ctx, s.starter, samaritan.Options{
		Binary: s.options.proxy, Args: s.options.proxyArgs, Dir: s.dir, CPUs: s.proxyCPUs, Service: service, Endpoints: s.cluster.Addrs(),
	})
	if err != nil {
		return nil, err
	}
	return &target{name: name, addr: d.Addr, port: d.Port, pid: d.PID(), ready: d.Ready, process: d.Process, daemon: d}, nil
}
