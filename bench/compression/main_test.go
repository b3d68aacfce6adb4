package main

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
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// buildSamaritan builds the daemon without the race detector, as it is shipped.
func buildSamaritan(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "samaritan")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-race=false", "-o", binary, "samaritan/cmd/samaritan").CombinedOutput()
	require.NoErrorf(t, err, "%s", out)
	return binary
}

// headings are those of all tables.
var headings = []string{
	"How much smaller values get",
	"Memory of the nodes",
	"Bytes between proxy and nodes, per request",
	"CPU time per request",
	"CPU time per request, values below the threshold",
	"Latency of GET, 16 KiB of JSON",
}

// TestQuickRunFillsAllTables measures everything once. No bound that it judges depends on the speed of the
// machine.
func TestQuickRunFillsAllTables(t *testing.T) {
	dir := t.TempDir()
	page, err := os.ReadFile("../../docs/compression.md")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "compression.md"), page, 0o600))
	var out, progress bytes.Buffer
	err = run(t.Context(), []string{"-quick", "-samaritan", buildSamaritan(t), "-docs", dir}, &out, &progress)
	if !assert.NoError(t, err) {
		t.Logf("%s\n%s", out.String(), progress.String())
	}
	assert.NotContains(t, out.String(), "FAIL")
	assert.Regexp(t, `\| +PASS \|`, out.String())
	written, err := os.ReadFile(filepath.Join(dir, "compression.md"))
	require.NoError(t, err)
	for _, heading := range headings {
		assert.Contains(t, out.String(), heading+"\n\n|")
		assert.Contains(t, string(written), "### "+heading+"\n\n|")
	}
}

func TestWrongArgumentsAreRefused(t *testing.T) {
	for _, args := range [][]string{{"-unknown"}, {"more"}, {"-quick", "more"}, {"-rounds", "-1"}, {"-load", "("}} {
		assert.Error(t, run(t.Context(), args, io.Discard, io.Discard), args)
	}
	assert.ErrorIs(t, run(t.Context(), []string{"-help"}, io.Discard, io.Discard), flag.ErrHelp)
}

func TestMissingProxyIsAnErrorThatHelps(t *testing.T) {
	err := run(t.Context(), []string{"-quick", "-samaritan", "no/such/binary"}, io.Discard, io.Discard)
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, "make build")
}

// TestProxyThatEndsIsAnErrorThatHelps plays a daemon that does not like its config.
func TestProxyThatEndsIsAnErrorThatHelps(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "samaritan")
	require.NoError(t, os.WriteFile(binary, []byte("#!/bin/sh\necho 'not today' >&2; exit 1\n"), 0o755))
	err := run(t.Context(), []string{"-quick", "-samaritan", binary}, io.Discard, io.Discard)
	assert.ErrorContains(t, err, "not today")
}

func TestInterruptedRunEnds(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "samaritan")
	require.NoError(t, os.WriteFile(binary, []byte("#!/bin/sh\nexec tail -f /dev/null\n"), 0o755))
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	assert.ErrorIs(t, run(ctx, []string{"-samaritan", binary}, io.Discard, io.Discard), context.DeadlineExceeded)
}
