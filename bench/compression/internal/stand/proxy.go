package stand

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"samaritan/bench/internal/child"
)

// Variant is a proxy with settings of its own.
type Variant struct {
	Name string

	// Compression is its settings of redis_option.compression, as YAML between braces. Empty:
	// there are none.
	Compression string
}

// Proxy is a running proxy. Its methods may be used until it is closed.
type Proxy struct {
	Variant Variant
	Addr    string // for clients

	admin   string
	process *child.Process
}

// config is the smallest there is, apart from what is measured.
const config = `admin: {bind: {ip: 127.0.0.1, port: %d}}
static_services:
  - name: bench
    config:
      listener: {address: {ip: 127.0.0.1, port: %d}}
      protocol: Redis
%s    endpoints:
`

// Proxy starts a proxy and returns when it is ready.
func (s *Stand) Proxy(ctx context.Context, v Variant) (*Proxy, error) {
	port, admin, err1 := twoPorts()
	dir, err2 := os.MkdirTemp(s.dir, "proxy-")
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "samaritan.yaml")
	if err := os.WriteFile(path, []byte(s.config(v, port, admin)), 0o600); err != nil {
		return nil, err
	}
	process, err := s.starter.Start(child.Options{Dir: dir, CPUs: s.cpus}, s.binary, "-config", path, "-data", dir)
	if err != nil {
		return nil, err
	}
	p := &Proxy{Variant: v, Addr: loopback(port), admin: loopback(admin), process: process}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := process.Await(ctx, p.ready); err != nil {
		process.Kill()
		return nil, fmt.Errorf("proxy %s: %w", v.Name, err)
	}
	return p, nil
}

// twoPorts returns two free ports, which a draw of each alone may not be.
func twoPorts() (port, admin int, err error) {
	for port == admin && err == nil {
		var err1, err2 error
		port, err1 = child.FreePort()
		admin, err2 = child.FreePort()
		err = errors.Join(err1, err2)
	}
	return port, admin, err
}

func (s *Stand) config(v Variant, port, admin int) string {
	option := ""
	if v.Compression != "" {
		option = "      redis_option: {compression: {" + v.Compression + "}}\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, config, admin, port, option)
	for _, n := range s.cluster.Nodes() {
		fmt.Fprintf(&b, "      - address: {ip: 127.0.0.1, port: %d}\n", n.Port())
	}
	return b.String()
}

func loopback(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

func (p *Proxy) ready(ctx context.Context) error {
	if err := child.Accepts(p.Addr)(ctx); err != nil {
		return err
	}
	_, err := p.get(ctx, "/ready")
	return err
}

// Close ends the process.
func (p *Proxy) Close() { p.process.Kill() }

// Running returns an error when the process has ended by itself.
func (p *Proxy) Running() error { return p.process.Running() }

// CPU returns the processor time that it has used so far, user and system.
func (p *Proxy) CPU() (time.Duration, error) {
	u, err := child.ReadUsage(p.process.PID())
	return u.Total, err
}

// Wire is bytes between a proxy and the nodes.
type Wire struct {
	Sent, Received int64 // to the nodes, and from them
}

// Wire returns what went over all connections to nodes so far.
func (p *Proxy) Wire(ctx context.Context) (Wire, error) {
	const prefix = "service.bench.upstream.cx_"
	page, err := p.get(ctx, "/stats?filter="+prefix)
	if err != nil {
		return Wire{}, err
	}
	sent, err1 := number(page, prefix+"tx_bytes_total:")
	received, err2 := number(page, prefix+"rx_bytes_total:")
	return Wire{sent, received}, errors.Join(err1, err2)
}

// get returns a page of the admin server. Any status but 200 is an error.
func (p *Proxy) get(ctx context.Context, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.admin+path, nil)
	if err != nil {
		return "", err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %w: %s", path, errStatus, resp.Status)
	}
	page, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return string(page), err
}

var errStatus = errors.New("unexpected status")
