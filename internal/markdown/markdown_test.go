package markdown

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTableIsAligned(t *testing.T) {
	table := &Table{Left: 1}
	table.Add("name", "µs", "")
	table.Add("größer", "1.5")
	assert.Equal(t, "| name   |  µs |     |\n|:-------|----:|----:|\n| größer | 1.5 |\n", table.String())
}

func TestReplaceLeavesTheRestAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	require.NoError(t, os.WriteFile(path, []byte("# Head\n<begin>\nold\n<end>\ntail\n"), 0o600))
	for range 2 { // the second finds what the first has written
		require.NoError(t, Replace(path, "<begin>", "<end>", "\nnew\n"))
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, "# Head\n<begin>\n\nnew\n\n<end>\ntail\n", string(got))
	}
}

func TestMarkersAreNeededOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	assert.ErrorIs(t, Replace(path, "<begin>", "<end>", "x"), os.ErrNotExist)
	for _, page := range []string{"", "<begin>", "<end><begin>", "<begin><end><end>", "<begin><begin><end>"} {
		require.NoError(t, os.WriteFile(path, []byte(page), 0o600))
		assert.ErrorIs(t, Replace(path, "<begin>", "<end>", "x"), ErrMarkers, page)
		assert.ErrorIs(t, Keep(path, "<begin>", "<end>", "x", false), ErrMarkers, page)
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, page, string(got))
	}
}

func TestKeepChangesThePageOnlyWhenAsked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	const page = "<begin>\n\none\ntwo\n\n<end>\n"
	require.NoError(t, os.WriteFile(path, []byte(page), 0o600))
	assert.NoError(t, Keep(path, "<begin>", "<end>", "one\ntwo\n", false))
	for _, text := range []string{"", "one", "one\nTWO", "one\ntwo\nthree"} {
		assert.ErrorIs(t, Keep(path, "<begin>", "<end>", text, false), ErrStale, text)
	}
	assert.ErrorContains(t, Keep(path, "<begin>", "<end>", "one\nTWO", false), `has "two" instead of "TWO"`)
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, page, string(got))
	require.NoError(t, Keep(path, "<begin>", "<end>", "one\nTWO", true))
	assert.NoError(t, Keep(path, "<begin>", "<end>", "one\nTWO", false))
}
