package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"samaritan/bench/internal/benchtest"
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

const document = "benchmark-tcp.md"

// Headings of tables: those that any two proxies fill, and those that only Samaritan does.
var (
	proxyHeadings   = []string{"CPU time per GB", "CPU time per connection and per round trip", "What clients wait", "Throughput", "Memory"}
	dynamicHeadings = []string{"Many services at once", "Endpoints that change"}
)

// TestQuickRunFillsAllTables measures everything once. No bound that it judges depends on the speed of the
// machine.
func TestQuickRunFillsAllTables(t *testing.T) {
	benchtest.Fills(t, run, document, append(proxyHeadings, dynamicHeadings...), "-quick", "-samaritan", benchtest.Samaritan(t))
}

func TestStandInNeedsNoDaemon(t *testing.T) {
	benchtest.Fills(t, run, document, proxyHeadings, "-quick", "-stand-in", "-samaritan", "no/such/binary")
}

func TestOnlyWhatIsWantedIsMeasured(t *testing.T) {
	dir, before := benchtest.Docs(t, document)
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-quick", "-stand-in", "-only", "short|memory", "-docs", dir}, &out, io.Discard))
	assert.Contains(t, out.String(), "Memory\n\n|")
	assert.NotContains(t, out.String(), "CPU time per GB")
	after, err := os.ReadFile(filepath.Join(dir, document))
	require.NoError(t, err)
	assert.Equal(t, before, string(after))
}

func TestWrongArgumentsAreRefused(t *testing.T) {
	benchtest.Refuses(t, run, []string{"-unknown"}, []string{"more"}, []string{"serve"}, []string{"-rounds", "-1"}, []string{"-only", "("})
}

func TestMissingProxyIsAnErrorThatHelps(t *testing.T) {
	benchtest.NamesWhatIsMissing(t, run)
	err := run(t.Context(), []string{"-quick", "-stand-in", "-haproxy", "no/such/binary"}, io.Discard, io.Discard)
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, "apt-get install haproxy")
}

func TestProxyThatEndsIsAnErrorThatHelps(t *testing.T) { benchtest.TellsWhyTheProxyEnded(t, run) }

func TestInterruptedRunEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	assert.ErrorIs(t, run(ctx, []string{"-stand-in"}, io.Discard, io.Discard), context.DeadlineExceeded)
}
