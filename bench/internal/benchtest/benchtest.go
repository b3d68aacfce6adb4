// Package benchtest has what the tests of several benchmarks share.
package benchtest

import (
	"bytes"
	"context"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/bench/internal/child"
	"samaritan/bench/internal/command"
)

// Samaritan builds the daemon without the race detector, as it is shipped, and returns its path.
func Samaritan(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "samaritan")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-race=false", "-o", binary, "samaritan/cmd/samaritan").CombinedOutput()
	require.NoErrorf(t, err, "%s", out)
	return binary
}

// Docs returns a directory with a copy of a document, and what is in it. The package that is tested is two directories
// below the root of the module.
func Docs(t *testing.T, document string) (dir, text string) {
	t.Helper()
	dir = t.TempDir()
	b, err := os.ReadFile(filepath.Join("../../docs", document))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, document), b, 0o600))
	return dir, string(b)
}

// Fills runs a benchmark and looks for tables with these headings in what it prints, and in its document. It returns
// what was printed.
func Fills(t *testing.T, run command.Run, document string, headings []string, args ...string) string {
	t.Helper()
	dir, _ := Docs(t, document)
	var out, progress bytes.Buffer
	err := run(t.Context(), append(args, "-docs", dir), &out, &progress)
	require.NoError(t, err, "%s\n%s", out.String(), progress.String())
	assert.NotContains(t, out.String(), "FAIL")
	written, err := os.ReadFile(filepath.Join(dir, document))
	require.NoError(t, err)
	for _, heading := range headings {
		assert.Contains(t, out.String(), heading+"\n\n|")
		assert.Contains(t, string(written), "### "+heading+"\n\n|")
	}
	return out.String()
}

// Refuses checks that these arguments are errors, and that to ask for help is a special one.
func Refuses(t *testing.T, run command.Run, wrong ...[]string) {
	t.Helper()
	for _, args := range wrong {
		assert.Error(t, run(t.Context(), args, io.Discard, io.Discard), args)
	}
	assert.ErrorIs(t, run(t.Context(), []string{"-help"}, io.Discard, io.Discard), flag.ErrHelp)
}

// NamesWhatIsMissing checks that without the daemon the error says where it comes from.
func NamesWhatIsMissing(t *testing.T, run command.Run) {
	t.Helper()
	err := run(t.Context(), []string{"-quick", "-samaritan", "no/such/binary"}, io.Discard, io.Discard)
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, "make build")
}

// TellsWhyTheProxyEnded lets a script play a daemon that does not like its config, and checks that the error has its words.
func TellsWhyTheProxyEnded(t *testing.T, run command.Run) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "samaritan")
	require.NoError(t, os.WriteFile(binary, []byte("#!/bin/sh\necho 'not today' >&2; exit 1\n"), 0o755))
	err := run(t.Context(), []string{"-quick", "-samaritan", binary}, io.Discard, io.Discard)
	assert.ErrorContains(t, err, "not today")
}

// Serve runs a server on a free port until the test ends.
func Serve(t *testing.T, serve func(ctx context.Context, addrs ...string) error) (addr string) {
	t.Helper()
	port, _, err := child.FreePorts()
	require.NoError(t, err)
	addr = child.Loopback(port)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, addr) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-done)
	})
	require.Eventually(t, func() bool { return child.Accepts(addr)(t.Context()) == nil }, 10*time.Second, time.Millisecond)
	return addr
}
