package main

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"text/template"
)

// The trees of templates: the daemon's config is demo.yaml in both, and dynamic has
// the directory of the management server besides.
const (
	staticFiles  = "static"
	dynamicFiles = "dynamic"
)

//go:embed static dynamic
var templates embed.FS

// values are what the templates are filled in with.
type values struct {
	Port  int // for Redis clients
	Admin int
	Nodes []netip.AddrPort

	// only with -dynamic
	WebPort int // for clients of the service web
	Web     []netip.AddrPort
	Source  string // host:port of the management server
}

// parseNodes turns the addresses of nodes into what templates take.
func parseNodes(nodes []string) ([]netip.AddrPort, error) {
	parsed := make([]netip.AddrPort, len(nodes))
	var err error
	for i, node := range nodes {
		if parsed[i], err = netip.ParseAddrPort(node); err != nil {
			return nil, err
		}
	}
	return parsed, nil
}

// write fills in all files of a tree below dir.
func (v *values) write(tree, dir string) error {
	files, err := fs.Sub(templates, tree)
	if err != nil {
		return err
	}
	return fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		to := filepath.Join(dir, path)
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return os.MkdirAll(to, 0o700)
		}
		return v.writeFile(files, path, to)
	})
}

func (v *values) writeFile(files fs.FS, path, to string) error {
	tmpl, err := template.ParseFS(files, path)
	if err != nil {
		return fmt.Errorf("read the template %s: %w", path, err)
	}
	var b bytes.Buffer
	if err := tmpl.Execute(&b, v); err != nil {
		return fmt.Errorf("fill in %s: %w", path, err)
	}
	return os.WriteFile(to, b.Bytes(), 0o600)
}
