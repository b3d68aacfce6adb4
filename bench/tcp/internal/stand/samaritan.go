package stand

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"samaritan/bench/internal/child"
)

// Belong is the service that Samaritan belongs to, as it tells its source.
const Belong = "bench"

// samaritanConfig is the smallest there is.
const samaritanConfig = `admin: {bind: {ip: 127.0.0.1, port: %d}}
static_services:
  - name: bench
    config:
      listener: {address: {ip: 127.0.0.1, port: %d}}
      protocol: TCP
    endpoints:
      - address: {ip: %s, port: %s}
`

const sourceConfig = `instance: {id: bench-1, belong: ` + Belong + `}
dynamic_source_config: {endpoint: "%s"}
`

// startSamaritan starts it in front of a server and returns when it is ready. source is where more services come from,
// empty: nowhere.
func (s *Stand) startSamaritan(ctx context.Context, server, source string) (*Target, error) {
	port, admin, err1 := child.FreePorts()
	binary, err2 := filepath.Abs(s.options.Samaritan) // it runs elsewhere
	dir, err3 := os.MkdirTemp(s.dir, "samaritan-")
	ip, serverPort, err4 := net.SplitHostPort(server)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	config, ready := fmt.Sprintf(samaritanConfig, admin, port, ip, serverPort), "/ready"
	if source != "" {
		// It need not be ready before it knows its other services.
		config, ready = config+fmt.Sprintf(sourceConfig, source), "/live"
	}
	path := filepath.Join(dir, "samaritan.yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return nil, err
	}
	t := &Target{Kind: Samaritan, Addr: child.Loopback(port), admin: child.Loopback(admin)}
	var err error
	t.process, _, err = s.starter.Launch(ctx, child.Options{Dir: dir, CPUs: s.cpus}, t.serves(ready), binary, "-config", path, "-data", dir)
	if err != nil {
		return nil, err
	}
	return t, nil
}

// serves returns a check: clients can connect, and a page of the admin server says that all is well.
func (t *Target) serves(page string) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := child.Accepts(t.Addr)(ctx); err != nil {
			return err
		}
		return t.get(ctx, page, io.Discard)
	}
}

var (
	errStatus = errors.New("unexpected status")
	errNoStat = errors.New("no such figure")
)

// Stat returns a figure of Samaritan's page of stats.
func (t *Target) Stat(ctx context.Context, name string) (float64, error) {
	var page strings.Builder
	if err := t.get(ctx, "/stats?filter="+name, &page); err != nil {
		return 0, err
	}
	for line := range strings.Lines(page.String()) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("%w: %s", errNoStat, name)
}

// get copies a page of the admin server to w. The connection is not kept.
func (t *Target) get(ctx context.Context, path string, w io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.admin+path, nil)
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
