package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"samaritan/bench/internal/child"
	"samaritan/bench/internal/report"
)

// target is what clients talk to.
type target struct {
	name  string
	addr  string // host:port for clients
	port  int
	pid   int           // of the process that is measured
	admin string        // host:port of Samaritan's admin server, else ""
	ready time.Duration // from the start of the process until it served

	process *child.Process // nil for Redis itself, which the stage owns
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
		return s.openSamaritan(ctx, name, "      redis_option: {hot_keys: {enable: false}}\n")
	}
	return s.openSamaritan(ctx, name, "")
}

// launch starts a proxy and waits until check is content.
func (s *stage) launch(ctx context.Context, t *target, dir string, check func(context.Context) error, command ...string) (*target, error) {
	begin := time.Now()
	p, err := s.starter.Start(child.Options{Dir: dir, CPUs: s.proxyCPUs}, command[0], command[1:]...)
	if err != nil {
		return nil, err
	}
	if err := p.Await(ctx, check); err != nil {
		p.Kill()
		return nil, err
	}
	t.ready, t.process, t.pid = time.Since(begin), p, p.PID()
	return t, nil
}

// newTarget makes a target with a free port on loopback.
func newTarget(name string) (*target, error) {
	port, err := child.FreePort()
	return &target{name: name, port: port, addr: loopback(port)}, err
}

func loopback(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

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
	t, err := newTarget(name)
	if err != nil {
		return nil, err
	}
	stats, err := child.FreePort()
	if err != nil {
		return nil, err
	}
	dir, err := s.mkdir("twemproxy")
	if err != nil {
		return nil, err
	}
	var config strings.Builder
	fmt.Fprintf(&config, twemproxyConfig, t.addr)
	for i, n := range s.plain {
		fmt.Fprintf(&config, "   - %s:1 server%d\n", n.Addr(), i+1)
	}
	path, err := writeFile(dir, "twemproxy.yml", config.String())
	if err != nil {
		return nil, err
	}
	return s.launch(ctx, t, dir, child.Accepts(t.addr), twemproxyBinary,
		"-c", path, "-a", "127.0.0.1", "-s", strconv.Itoa(stats), "-p", filepath.Join(dir, "twemproxy.pid"), "-o", filepath.Join(dir, "twemproxy.log"))
}

// samaritanConfig is the smallest file there is: everything at its default.
const samaritanConfig = `admin: {bind: {ip: 127.0.0.1, port: %d}}
static_services:
  - name: bench
    config:
      listener: {address: {ip: 127.0.0.1, port: %d}}
      protocol: Redis
%s    endpoints:
`

// openSamaritan starts the proxy under test in front of the cluster. more is further
// lines of the service's config.
func (s *stage) openSamaritan(ctx context.Context, name, more string) (*target, error) {
	t, err := newTarget(name)
	if err != nil {
		return nil, err
	}
	admin, err := child.FreePort()
	if err != nil {
		return nil, err
	}
	t.admin = loopback(admin)
	dir, err := s.mkdir(name)
	if err != nil {
		return nil, err
	}
	var config strings.Builder
	fmt.Fprintf(&config, samaritanConfig, admin, t.port, more)
	for _, n := range s.cluster.Nodes() {
		fmt.Fprintf(&config, "      - address: {ip: 127.0.0.1, port: %d}\n", n.Port())
	}
	path, err := writeFile(dir, "samaritan.yaml", config.String())
	if err != nil {
		return nil, err
	}
	binary, err := filepath.Abs(s.options.proxy)
	if err != nil {
		return nil, err
	}
	command := append([]string{binary, "-config", path, "-data", dir}, s.options.proxyArgs...)
	return s.launch(ctx, t, dir, t.isReady, command...)
}

// isReady checks that clients can connect and that the proxy calls itself
// ready.
func (t *target) isReady(ctx context.Context) error {
	if err := child.Accepts(t.addr)(ctx); err != nil {
		return err
	}
	return get(ctx, "http://"+t.admin+"/ready", io.Discard)
}

// get copies the body of a page to w. Any status but 200 is an error. The
// connection is not kept.
func get(ctx context.Context, url string, w io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	_, err = io.Copy(w, resp.Body)
	return err
}
