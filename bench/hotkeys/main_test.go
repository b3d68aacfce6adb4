package main

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/bench/internal/benchtest"
)

// TestPackageHotkeyKeepsItsBounds runs all trials on one seed. No bound of these depends
// on the speed of the machine.
func TestPackageHotkeyKeepsItsBounds(t *testing.T) {
	if raceDetector {
		t.Skip("it is one goroutine, and takes a minute with the race detector")
	}
	dir, _ := benchtest.Docs(t, "hotkeys.md")
	var out bytes.Buffer
	err := run([]string{"-quick", "-docs", dir}, &out, io.Discard)
	if !assert.NoError(t, err) {
		t.Log(out.String())
	}
	assert.NotContains(t, out.String(), "FAIL")
	assert.Contains(t, out.String(), "| PASS |")
	written, err := os.ReadFile(filepath.Join(dir, "hotkeys.md"))
	require.NoError(t, err)
	assert.Contains(t, string(written), "s = 0.99, 100,000/s")
}

func TestWrongArgumentsAreRefused(t *testing.T) {
	for _, args := range [][]string{{"-unknown"}, {"more"}, {"-quick", "more"}} {
		assert.Error(t, run(args, io.Discard, io.Discard), args)
	}
	assert.ErrorIs(t, run([]string{"-help"}, io.Discard, io.Discard), flag.ErrHelp)
}
