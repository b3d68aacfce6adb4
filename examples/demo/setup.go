package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The ports that are used if they are free and no other one is asked for.
const (
	defaultPort  = 6379
	defaultAdmin = 12345
	defaultWeb   = 8080
)

// setup is what the daemon is started with.
type setup struct {
	dir    string // temporary, removed at the end
	config string // file
	data   string // directory
	binary string
	values
}

// prepare chooses the ports, finds or builds the binary, and makes the directory of
// the data.
func prepare(ctx context.Context, opts options, dir string, nodes []string) (setup, error) {
	s := setup{dir: dir, config: filepath.Join(dir, "demo.yaml"), data: filepath.Join(dir, "data")}
	var err error
	if s.Nodes, err = parseNodes(nodes); err != nil {
		return s, err
	}
	if err := s.choosePorts(opts); err != nil {
		return s, err
	}
	if s.binary, err = binary(ctx, opts.samaritan, dir); err != nil {
		return s, err
	}
	return s, os.Mkdir(s.data, 0o700)
}

func (s *setup) choosePorts(opts options) (err error) {
	if s.Port, err = choosePort("-port", opts.port, defaultPort); err != nil {
		return err
	}
	if s.Admin, err = choosePort("-admin", opts.admin, defaultAdmin); err != nil {
		return err
	}
	if opts.dynamic {
		s.WebPort, err = choosePort("-web", opts.web, defaultWeb)
	}
	return err
}

// writeConfig writes the daemon's config. With -dynamic it starts what is named in
// there, which the caller closes; without it the source is nil.
func (s *setup) writeConfig(opts options) (*source, error) {
	if opts.dynamic {
		return startSource(s.dir, &s.values)
	}
	return nil, s.write(staticFiles, s.dir)
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
