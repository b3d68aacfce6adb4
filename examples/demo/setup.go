package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
)

// The ports that are used if they are free and no other one is asked for.
const (
	defaultPort  = 6379
	defaultAdmin = 12345
)

// setup is what the daemon is started with.
type setup struct {
	dir    string // temporary, removed at the end
	config string // file
	data   string // directory
	binary string
	port   int // for Redis clients
	admin  int
}

//go:embed demo.yaml
var configText string

// writeConfig fills in demo.yaml.
func writeConfig(s setup, nodes []string) error {
	tmpl, err := template.New("demo.yaml").Parse(configText)
	if err != nil {
		return err
	}
	endpoints := make([]netip.AddrPort, len(nodes))
	for i, node := range nodes {
		if endpoints[i], err = netip.ParseAddrPort(node); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	err = tmpl.Execute(&b, struct {
		Port, Admin int
		Nodes       []netip.AddrPort
	}{s.port, s.admin, endpoints})
	if err != nil {
		return err
	}
	return os.WriteFile(s.config, b.Bytes(), 0o600)
}

// choosePort returns the port that was asked for, which must be free; without
// one the usual port; and if that is taken, a free one.
func choosePort(flagName string, asked, usual int) (int, error) {
	if asked != 0 {
		if _, err := probe(asked); err != nil {
			return 0, fmt.Errorf("%s %d: %w", flagName, asked, err)
		}
		return asked, nil
	}
	if port, err := probe(usual); err == nil {
		return port, nil
	}
	return probe(0)
}

// probe listens on the port for a moment. Port 0 is any free one.
func probe(port int) (int, error) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// binary returns the daemon's absolute path, and builds the daemon into dir if
// none was given.
func binary(ctx context.Context, given, dir string) (string, error) {
	if given != "" {
		return exec.LookPath(absolute(given))
	}
	path := filepath.Join(dir, "samaritan")
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", path, "samaritan/cmd/samaritan")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the daemon: %w\n%s(give its binary with -samaritan)", err, out)
	}
	return path, nil
}

// absolute keeps a bare name, which is looked for in $PATH, as it is.
func absolute(path string) string {
	if !strings.ContainsRune(path, filepath.Separator) {
		return path
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
