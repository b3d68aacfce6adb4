package samaritan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"samaritan/bench/internal/child"
	"samaritan/bench/internal/figures"
)

// Service is the name of the one that is configured.
const Service = "bench"

// Options say how to start a daemon.
type Options struct {
	Binary string
	Args   []string // more than it needs
	Dir    string   // its own directory is made in there
	CPUs   []int    // where it may run; empty: anywhere

	Service   string   // its config without the listener, as YAML between braces, such as "protocol: TCP"
	Endpoints []string // of the service, as host:port
	More      string   // lines of the config; empty: none
	ReadyPage string   // of the admin server, which is there when the daemon is ready; empty: /ready
}

// Daemon is one that was ready. Its methods may be used until its process is killed.
type Daemon struct {
	*child.Process
	Port  int           // for clients, on loopback
	Addr  string        // the same as host:port
	Ready time.Duration // from the start of the process until it served

	admin string // host:port
}

// config is the smallest there is, apart from what is measured.
const config = `admin: {bind: {ip: 127.0.0.1, port: %d}}
static_services:
  - name: ` + Service + `
    config: {listener: {address: {ip: 127.0.0.1, port: %d}}, %s}
    endpoints:
`

// Start starts a daemon and returns when it is ready.
func Start(ctx context.Context, s *child.Starter, o Options) (*Daemon, error) {
	port, admin, err1 := child.FreePorts()
	binary, err2 := filepath.Abs(o.Binary) // it runs elsewhere
	dir, err3 := os.MkdirTemp(o.Dir, "samaritan-")
	text, err4 := o.config(port, admin)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "samaritan.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	d := &Daemon{Port: port, Addr: child.Loopback(port), admin: child.Loopback(admin)}
	page := o.ReadyPage
	if page == "" {
		page = "/ready"
	}
	command := append([]string{binary, "-config", path, "-data", dir}, o.Args...)
	var err error
	d.Process, d.Ready, err = s.Launch(ctx, child.Options{Dir: dir, CPUs: o.CPUs}, d.serves(page), command...)
	if err != nil {
		return nil, err
	}
	return d, nil
}

func (o Options) config(port, admin int) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, config, admin, port, o.Service)
	for _, endpoint := range o.Endpoints {
		ip, port, err := net.SplitHostPort(endpoint)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "      - address: {ip: %s, port: %s}\n", ip, port)
	}
	return b.String() + o.More, nil
}

// serves returns a check: clients can connect, and a page of the admin server says that all is well.
func (d *Daemon) serves(page string) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := child.Accepts(d.Addr)(ctx); err != nil {
			return err
		}
		return d.Get(ctx, page, io.Discard)
	}
}

// Stat returns a figure of the page of stats.
func (d *Daemon) Stat(ctx context.Context, name string) (float64, error) {
	var page strings.Builder
	if err := d.Get(ctx, "/stats?filter="+name, &page); err != nil {
		return 0, err
	}
	return figures.Find(page.String(), name)
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
