package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samaritan/bench/tcp/internal/peer"
)

// TestMain lets the test binary be the server, as the benchmark itself is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == serveCommand {
		fmt.Fprintln(os.Stderr, peer.Serve(context.Background(), os.Args[2:]...))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// buildSamaritan builds the daemon without the race detector, as it is shipped.
func buildSamaritan(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "samaritan")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-race=false", "-o", binary, "samaritan/cmd/samaritan").CombinedOutput()
	require.NoErrorf(t, err, "%s", out)
	return binary
}

// docs is a directory with a copy of the page.
func docs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	page, err := os.ReadFile("../../docs/benchmark-tcp.md")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "benchmark-tcp.md"), page, 0o600))
	return dir
}

// Headings of tables: those that any two proxies fill, and those that only Samaritan does.
var (
	proxyHeadings   = []string{"CPU time per GB", "CPU time per connection and per round trip", "What clients wait", "Throughput", "Memory"}
	dynamicHeadings = []string{"Many services at once", "Endpoints that change"}
)

// TestQuickRunFillsAllTables measures everything once. No bound that it judges depends on the speed of the
// machine.
func TestQuickRunFillsAllTables(t *testing.T) {
	fills(t, append(proxyHeadings, dynamicHeadings...), "-quick", "-samaritan", buildSamaritan(t))
}

func TestStandInNeedsNoDaemon(t *testing.T) {
	fills(t, proxyHeadings, "-quick", "-stand-in", "-samaritan", "no/such/binary")
}

// fills runs the benchmark and looks for tables in what it writes.
func fills(t *testing.T, headings []string, args ...string) {
	t.Helper()
	dir := docs(t)
	var out, progress bytes.Buffer
	err := run(t.Context(), append(args, "-docs", dir), &out, &progress)
	require.NoError(t, err, "%s\n%s", out.String(), progress.String())
	assert.NotContains(t, out.String(), "FAIL")
	written, err := os.ReadFile(filepath.Join(dir, "benchmark-tcp.md"))
	require.NoError(t, err)
	for _, heading := range headings {
		assert.Contains(t, out.String(), heading+"\n\n|")
		assert.Contains(t, string(written), "### "+heading+"\n\n|")
	}
}

func TestOnlyWhatIsWantedIsMeasured(t *testing.T) {
	dir := docs(t)
	before, err := os.ReadFile(filepath.Join(dir, "benchmark-tcp.md"))
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-quick", "-stand-in", "-only", "short|memory", "-docs", dir}, &out, io.Discard))
	assert.Contains(t, out.String(), "Memory\n\n|")
	assert.NotContains(t, out.String(), "CPU time per GB")
	after, err := os.ReadFile(filepath.Join(dir, "benchmark-tcp.md"))
	require.NoError(t, err)
	assert.Equal(t, string(before), string(after))
}

func TestWrongArgumentsAreRefused(t *testing.T) {
	for _, args := range [][]string{{"-unknown"}, {"more"}, {"serve"}, {"-quick", "more"}, {"-rounds", "-1"}, {"-only", "("}} {
		assert.Error(t, run(t.Context(), args, io.Discard, io.Discard), args)
	}
	assert.ErrorIs(t, run(t.Context(), []string{"-help"}, io.Discard, io.Discard), flag.ErrHelp)
}

func TestMissingProxyIsAnErrorThatHelps(t *testing.T) {
	err := run(t.Context(), []string{"-quick", "-samaritan", "no/such/binary"}, io.Discard, io.Discard)
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, "make build")
	err = run(t.Context(), []string{"-quick", "-stand-in", "-haproxy", "no/such/binary"}, io.Discard, io.Discard)
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, "apt-get install haproxy")
}

// TestProxyThatEndsIsAnErrorThatHelps plays a daemon that does not like its config.
func TestProxyThatEndsIsAnErrorThatHelps(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "samaritan")
	require.NoError(t, os.WriteFile(binary, []byte("#!/bin/sh\necho 'not today' >&2; exit 1\n"), 0o755))
	err := run(t.Context(), []string{"-quick", "-samaritan", binary}, io.Discard, io.Discard)
	assert.ErrorContains(t, err, "not today")
}

func TestInterruptedRunEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	assert.ErrorIs(t, run(ctx, []string{"-stand-in"}, io.Discard, io.Discard), context.DeadlineExceeded)
}
