package findings

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/bench/internal/outcome"
	"samaritan/internal/markdown"
)

// page says a little of everything.
func page() *Page {
	var all Sections
	all.Add("One", "| 1 |\n", "\nA note.\n")
	all.Add("Two", "| 2 |\n", "\nAnother.\n")
	return &Page{
		Benchmark: "bench-test", Document: "test.md", Took: 61_200 * time.Millisecond,
		About:  About{time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), "a machine", "3 rounds"},
		Checks: []outcome.Check{{Name: "a", Verdict: outcome.Pass}, {Name: "b", Verdict: outcome.Unsure}},
		Text:   all.Text(), Markdown: "A remark.\n\n" + all.Markdown(),
		Pictures: map[string]string{"one.svg": "<svg/>"},
	}
}

func TestTerminalShowsTablesBoundsAndSummary(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, page().Report(&out, ""))
	assert.Regexp(t, `(?s)^One\n\n\| 1 \|\n\nTwo\n\n\| 2 \|\n\n\| bound .*\| not sure \|\n\n1 of 2 bounds kept, 1 not sure, in 1m1s\n$`, out.String())
}

func TestDocumentKeepsWhatIsAroundTheMarkers(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "test.md")
	require.NoError(t, os.WriteFile(path, []byte("# Before\n<!-- bench-test:begin -->\nstale\n<!-- bench-test:end -->\nAfter\n"), 0o600))
	for range 2 { // the second finds what the first has written
		require.NoError(t, page().Report(io.Discard, dir))
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, `# Before
<!-- bench-test:begin -->

Measured 2026-01-02 in 1m1s on a machine, 3 rounds: 1 of 2 bounds kept, 1 not sure.

A remark.

### One

| 1 |

A note.

### Two

| 2 |

Another.

<!-- bench-test:end -->
After
`, string(text))
	}
	picture, err := os.ReadFile(filepath.Join(dir, "one.svg"))
	require.NoError(t, err)
	assert.Equal(t, "<svg/>", string(picture))
}

func TestDocumentNeedsItsMarkers(t *testing.T) {
	dir := t.TempDir()
	assert.ErrorIs(t, page().Report(io.Discard, dir), os.ErrNotExist)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "test.md"), []byte("# Without\n"), 0o600))
	assert.ErrorIs(t, page().Report(io.Discard, dir), markdown.ErrMarkers)
	assert.NoFileExists(t, filepath.Join(dir, "one.svg"))
}

func TestMissedBoundIsAnError(t *testing.T) {
	p := page()
	p.Checks[1].Verdict = outcome.Fail
	assert.ErrorIs(t, p.Report(io.Discard, ""), outcome.ErrMissed)
}

func TestHereSaysWhere(t *testing.T) {
	assert.Regexp(t, `^\d+ cores, .+, go1\.`, Here("").Machine)
}
