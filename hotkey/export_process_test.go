package hotkey

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// importerEnv makes the test binary the process that takes over.
const importerEnv = "HOTKEY_TEST_IMPORTER"

// imported is what that process tells.
type imported struct {
	Hash      string // of the key "hot", in that process
	AtOnce    string // the report after Import
	Hot, Long uint64 // counts after one more hit of each and the end of the interval
	Keys      int
}

func TestImportInAnotherProcess(t *testing.T) {
	if os.Getenv(importerEnv) != "" {
		t.Skip("this is the other process")
	}
	parent := warm()
	data, err := parent.Export()
	require.NoError(t, err)
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestImporter$", "-test.v=false")
	cmd.Env = append(os.Environ(), importerEnv+"=1")
	cmd.Stdin = strings.NewReader(string(data))
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	require.NoError(t, err)
	var got imported
	require.NoError(t, json.NewDecoder(strings.NewReader(string(out))).Decode(&got))
	assert.NotEqual(t, hashText(Hash([]byte("hot"))), got.Hash, "it has hashes of its own")
	assert.JSONEq(t, asText(t, parent.Report()), got.AtOnce)
	assert.EqualValues(t, 641, got.Hot)
	assert.EqualValues(t, 61, got.Long)
	assert.Equal(t, 4, got.Keys)
}

// TestImporter is the other process.
func TestImporter(t *testing.T) {
	if os.Getenv(importerEnv) == "" {
		t.Skip("only in the process that takes over")
	}
	data, err := io.ReadAll(os.Stdin)
	require.NoError(t, err)
	r := newRig(Options{Interval: time.Second, Window: 3 * time.Second, Capacity: 10}, "n1", "n2")
	require.NoError(t, r.Import(data))
	got := imported{Hash: hashText(Hash([]byte("hot"))), AtOnce: asText(t, r.Report())}
	r.pass(2 * time.Second)
	for _, s := range r.sites {
		s.counter = NewCounter(r.now)
	}
	r.useAs(0, "hot", 1, 1, 1)
	r.useAs(1, longKey, 1, 1, 1)
	after := r.end(time.Second)
	got.Hot, got.Keys = after.get(t, "hot").Count, len(after.Keys)
	for _, k := range after.Keys {
		if k.Length > KeyMax {
			got.Long = k.Count
		}
	}
	require.NoError(t, json.NewEncoder(os.Stdout).Encode(got))
}
