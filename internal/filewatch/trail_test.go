package filewatch

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// newStopped is a timer that is not running.
func newStopped() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

func TestTrail(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	at := func(name string) string { return filepath.Join(root, name) }
	require.NoError(t, os.MkdirAll(at("a/b"), 0o700))
	require.NoError(t, os.WriteFile(at("a/b/file"), nil, 0o600))
	require.NoError(t, os.Symlink("a", at("link")))
	require.NoError(t, os.Symlink(at("link/b/file"), at("far")))
	require.NoError(t, os.Symlink("loop", at("loop")))
	for _, tt := range []struct {
		path     string
		dirs     []string
		names    []string
		complete bool
	}{
		{"a/b/file", []string{"a/b"}, []string{"a/b/file"}, true},
		{"a/./b//file", []string{"a/b"}, []string{"a/b/file"}, true},
		{"link/b/file", []string{"", "a/b"}, []string{"link", "a/b/file"}, true},
		{"link/../a/b/file", []string{"", "a/b"}, []string{"link", "a/b/file"}, true},
		{"far", []string{"", "a/b"}, []string{"far", "link", "a/b/file"}, true},
		{"a/none/file", []string{"a"}, []string{"a/none"}, false},
		{"a/b/none", []string{"a/b"}, []string{"a/b/none"}, false},
		{"a/b/file/more", []string{"a/b/file"}, []string{"a/b/file/more"}, false},
		{"loop", []string{""}, []string{"loop"}, false},
	} {
		got := follow(root + "/" + tt.path)
		assert.ElementsMatch(t, full(root, tt.dirs), slices.Collect(maps.Keys(got.dirs)), tt.path)
		assert.ElementsMatch(t, full(root, tt.names), slices.Collect(maps.Keys(got.names)), tt.path)
		assert.Equal(t, tt.complete, got.complete, tt.path)
	}
}

func full(root string, names []string) []string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = filepath.Join(root, name)
	}
	return all
}
