package stand

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"samaritan/bench/internal/child"
	"samaritan/bench/internal/samaritan"
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

	daemon *samaritan.Daemon
}

// Proxy starts a proxy and returns when it is ready.
func (s *Stand) Proxy(ctx context.Context, v Variant) (*Proxy, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	o := samaritan.Options{Binary: s.binary, Dir: s.dir, CPUs: s.cpus, Nodes: s.cluster.Nodes()}
	if v.Compression != "" {
		o.Redis = "compression: {" + v.Compression + "}"
	}
	d, err := samaritan.Start(ctx, s.starter, o)
	if err != nil {
		return nil, fmt.Errorf("proxy %s: %w", v.Name, err)
	}
	return &Proxy{Variant: v, Addr: d.Addr, daemon: d}, nil
}

// Close ends the process.
func (p *Proxy) Close() { p.daemon.Process.Kill() }

// Running returns an error when the process has ended by itself.
func (p *Proxy) Running() error { return p.daemon.Process.Running() }

// CPU returns the processor time that it has used so far, user and system.
func (p *Proxy) CPU() (time.Duration, error) {
	u, err := child.ReadUsage(p.daemon.Process.PID())
	return u.Total, err
}

// Wire is bytes between a proxy and the nodes.
type Wire struct {
	Sent, Received int64 // to the nodes, and from them
}

// Wire returns what went over all connections to nodes so far.
func (p *Proxy) Wire(ctx context.Context) (Wire, error) {
	const prefix = "service." + samaritan.Service + ".upstream.cx_"
	var page strings.Builder
	if err := p.daemon.Get(ctx, "/stats?filter="+prefix, &page); err != nil {
		return Wire{}, err
	}
	sent, err1 := number(page.String(), prefix+"tx_bytes_total:")
	received, err2 := number(page.String(), prefix+"rx_bytes_total:")
	return Wire{sent, received}, errors.Join(err1, err2)
}
