package testmariadb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// installTimeout is how long making a data directory may take.
const installTimeout = time.Minute

// template is a new data directory: the files by their path in it, a directory being
// a nil entry. It is process-wide because tests have nothing else in common.
var template struct {
	sync.Mutex
	files map[string][]byte // nil until the first server is made
}

// writeTemplate writes a new data directory to dir, which must not exist.
func writeTemplate(found tools, dir string) error {
	template.Lock()
	defer template.Unlock()
	if template.files == nil {
		files, err := install(found)
		if err != nil {
			return fmt.Errorf("testmariadb: make a data directory: %w", err)
		}
		template.files = files
	}
	if err := writeTree(dir, template.files); err != nil {
		return fmt.Errorf("testmariadb: write a data directory: %w", err)
	}
	return nil
}

// install lets MariaDB make a data directory, and reads it.
func install(found tools) (files map[string][]byte, err error) {
	dir, err := os.MkdirTemp("", "testmariadb-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	data := filepath.Join(dir, "data")
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	args := append([]string{
		"--no-defaults", "--datadir=" + data, "--auth-root-authentication-method=normal", "--skip-test-db",
	}, small()...)
	if out, err := exec.CommandContext(ctx, found.install, args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	return readTree(data)
}

// readTree reads all files below dir.
func readTree(dir string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if files[name] = nil; d.IsDir() {
			return nil
		}
		if files[name], err = os.ReadFile(path); files[name] == nil {
			files[name] = []byte{}
		}
		return err
	})
	return files, err
}

// writeTree writes what readTree has read.
func writeTree(dir string, files map[string][]byte) error {
	for name, content := range files {
		path := filepath.Join(dir, name)
		parent := path
		if content != nil {
			parent = filepath.Dir(path)
		}
		if err := os.MkdirAll(parent, 0o700); err != nil {
			return err
		}
		if content == nil {
			continue
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return err
		}
	}
	return nil
}
