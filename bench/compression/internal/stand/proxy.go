package stand

import (
	"context"
	"errors"
	"fmt"

	"samaritan/bench/internal/samaritan"
)

// Variant is a proxy with settings of its own.
type Variant struct {
	Name string

	// Compression is its settings of redis_option.compression, as YAML between braces. Empty:
	// there are none.
	Compression string
}

// Proxy is a running proxy.
type Proxy struct {
	Variant Variant
	*samaritan.Daemon
}

// Proxy starts a proxy and returns when it is ready.
func (s *Stand) Proxy(ctx context.Context, v Variant) (*Proxy, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	o := samaritan.Options{Binary: s.binary, Dir: s.dir, CPUs: s.cpus, Service: "protocol: Redis", Endpoints: s.cluster.Addrs()}
	if v.Compression != "" {
		o.Service += ", redis_option: {compression: {" + v.Compression + "}}"
	}
	d, err := samaritan.Start(ctx, s.starter, o)
	if err != nil {
		return nil, fmt.Errorf("proxy %s: %w", v.Name, err)
	}
	return &Proxy{v, d}, nil
}

// Wire is bytes between a proxy and the nodes.
type Wire struct {
	Sent, Received float64 // to the nodes, and from them
}

// Wire returns what went over all connections to nodes so far.
func (p *Proxy) Wire(ctx context.Context) (Wire, error) {
	const prefix = "service." + samaritan.Service + ".upstream.cx_"
	sent, err1 := p.Stat(ctx, prefix+"tx_bytes_total")
	received, err2 := p.Stat(ctx, prefix+"rx_bytes_total")
	return Wire{sent, received}, errors.Join(err1, err2)
}
