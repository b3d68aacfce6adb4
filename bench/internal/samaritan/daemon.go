package samaritan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"samaritan/bench/internal/child"
	"samaritan/internal/testredis"
)

// Service is the name of the one that is configured.
const Service = "bench"

// Options say how to start a daemon.
type Options struct {
	Binary string
	Args   []string // more than it needs
	Dir    string   // its own directory is made in there
	CPUs   []int    // where it may run; empty: anywhere

	Redis string // fields of redis_option, as YAML between braces; empty: all at their defaults
	Nodes []*testredis.Node
}

// Daemon is one that was ready. Its methods may be used until its process is killed.
type Daemon struct {
	Port    int           // for clients, on loopback
	Addr    string        // the same as host:port
	Ready   time.Duration // from the start of the process until it served
	Process *child.Process

	admin string // host:port
}

// config is the smallest there is, apart from what is measured.
const config = `admin: {bind: {ip: 127.0.0.1, port: %d}}
static_services:
  - name: ` + Service + `
    config:
      listener: {address: {ip: 127.0.0.1, port: %d}}
      protocol: Redis
%s    endpoints:
`

// Start starts a daemon and returns when it is ready.
func Start(ctx context.Context, s *child.Starter, o Options) (*Daemon, error) {
	port, admin, err1 := child.FreePorts()
	binary, err2 := filepath.Abs(o.Binary) // it runs elsewhere
	dir, err3 := os.MkdirTemp(o.Dir, "samaritan-")
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "samaritan.yaml")
	if err := os.WriteFile(path, []byte(o.config(port, admin)), 0o600); err != nil {
		return nil, err
	}
	d := &Daemon{Port: port, Addr: child.Loopback(port), admin: child.Loopback(admin)}
	command := append([]string{binary, "-config", path, "-data", dir}, o.Args...)
	var err error
	d.Process, d.Ready, err = s.Launch(ctx, child.Options{Dir: dir, CPUs: o.CPUs}, d.isReady, command...)
	if err != nil {
		return nil, err
	}
	return d, nil
}

func (o Options) config(port, admin int) string {
	option := ""
	if o.Redis != "" {
		option = "      redis_option: {" + o.Redis + "}\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, config, admin, port, option)
	for _, n := range o.Nodes {
		fmt.Fprintf(&b, "      - address: {ip: 127.0.0.1, port: %d}\n", n.Port())
	}
	return b.String()
}

// isReady checks that clients can connect and that the daemon calls itself ready.
func (d *Daemon) isReady(ctx context.Context) error {
	if err := child.Accepts(d.Addr)(ctx); err != nil {
		return err
	}
	return d.Get(ctx, "/ready", io.Discard)
}

var errStatus = errors.New("unexpected status")

// Get copies a page of the admin server to w. Any status but 200 is an error. The connection is
// not kept.
func (d *Daemon) Get(ctx context.Context, path string, w io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.admin+path, nil)
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
		return fmt.Errorf("%s: %w: %s", path, errStatus, resp.Status)
	}
	_, err = io.Copy(w, resp.Body)
	return err
}
