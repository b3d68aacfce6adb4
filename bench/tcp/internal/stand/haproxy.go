package stand

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"samaritan/bench/internal/child"
)

// haproxyConfig is a plain TCP proxy: no log, no checks, and the time limits that Samaritan has by default.
const haproxyConfig = `global
    nbthread %d
    maxconn 5000
defaults
    mode tcp
    maxconn 5000
    timeout connect 3s
    timeout client 10m
    timeout server 10m
%slisten bench
    bind %s
    server one %s
`

// startHAProxy starts HAProxy in front of a server. With splice it may let the kernel move bytes.
func (s *Stand) startHAProxy(ctx context.Context, server string, splice bool) (*Target, error) {
	port, _, err1 := child.FreePorts()
	dir, err2 := os.MkdirTemp(s.dir, "haproxy-")
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	option := ""
	if splice {
		option = "    option splice-auto\n"
	}
	addr := child.Loopback(port)
	path := filepath.Join(dir, "haproxy.cfg")
	config := fmt.Sprintf(haproxyConfig, s.Threads(), option, addr, server)
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return nil, err
	}
	// -db: it stays in the foreground, as one process.
	p, _, err := s.starter.Launch(ctx, child.Options{Dir: dir, CPUs: s.cpus}, child.Accepts(addr), s.options.HAProxy, "-db", "-f", path)
	if err != nil {
		return nil, err
	}
	return &Target{Addr: addr, Process: p}, nil
}
