package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samaritan/bench/internal/benchtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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
	out := benchtest.Fills(t, run, "compression.md", headings, "-quick", "-samaritan", benchtest.Samaritan(t))
	assert.Regexp(t, `\| +PASS \|`, out)
}

func TestWrongArgumentsAreRefused(t *testing.T) {
	benchtest.Refuses(t, run, []string{"-unknown"}, []string{"more"}, []string{"-rounds", "-1"}, []string{"-load", "("})
}

func TestMissingProxyIsAnErrorThatHelps(t *testing.T) { benchtest.NamesWhatIsMissing(t, run) }

func TestProxyThatEndsIsAnErrorThatHelps(t *testing.T) { benchtest.TellsWhyTheProxyEnded(t, run) }

func TestInterruptedRunEnds(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "samaritan")
	require.NoError(t, os.WriteFile(binary, []byte("#!/bin/sh\nexec tail -f /dev/null\n"), 0o755))
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	assert.ErrorIs(t, run(ctx, []string{"-samaritan", binary}, io.Discard, io.Discard), context.DeadlineExceeded)
}
