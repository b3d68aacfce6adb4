package main

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"samaritan/internal/testredis"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPidFile(t *testing.T) {
	// A living process with our name: a daemon that waits for a dead cluster.
	other := launch(t, []string{testredis.FreeAddress(t)})
	other.await("/live", 200, "")
	own := strconv.Itoa(os.Getpid()) + "\n"
	living := strconv.Itoa(other.cmd.Process.Pid) + "\n"
	tests := map[string]struct {
		before, after string
		err           error
		removed       bool
	}{
		"none":                            {"", own, nil, true},
		"garbage":                         {"x\n", own, nil, true},
		"ours":                            {own, own, nil, true},
		"of nobody":                       {"999999999\n", own, nil, true},
		"of init, which is not samaritan": {"1\n", own, nil, true},
		"of a living one":                 {living, living, errLiving, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := pidFile{filepath.Join(t.TempDir(), "x.pid")}
			if tt.before != "" {
				require.NoError(t, os.WriteFile(f.path, []byte(tt.before), 0o600))
			}
			require.ErrorIs(t, f.write(0), tt.err)
			text, err := os.ReadFile(f.path)
			require.NoError(t, err)
			assert.Equal(t, tt.after, string(text))
			require.NoError(t, f.remove())
			_, err = os.Stat(f.path)
			assert.Equal(t, tt.removed, os.IsNotExist(err))
			left, err := filepath.Glob(filepath.Dir(f.path) + "/.*")
			require.NoError(t, err)
			assert.Empty(t, left, "no temporary file stays")
		})
	}
	require.Error(t, pidFile{filepath.Join(t.TempDir(), "no", "x.pid")}.write(0))
	require.NoError(t, pidFile{filepath.Join(t.TempDir(), "x.pid")}.remove())
}

// A lock that is never given up is not waited for, and a file that was replaced meanwhile is
// looked at anew.
func TestPidFileIsLockedByOneAtATime(t *testing.T) {
	f := pidFile{filepath.Join(t.TempDir(), "x.pid")}
	require.NoError(t, f.write(0))
	unlock := f.lock()
	written := make(chan error, 1)
	go func() { written <- f.write(0) }()
	require.NoError(t, os.Rename(f.path, f.path+".old"))
	require.NoError(t, os.WriteFile(f.path, []byte("1\n"), 0o600))
	require.NoError(t, <-written)
	assert.Equal(t, os.Getpid(), f.read())
	unlock()

	defer f.lock()()
	require.NoError(t, f.write(0))
}

func TestDataDirectoryIsForTheOwnerAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	require.NoError(t, makeDataDir(dir, false))
	info, err := os.Stat(dir)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	require.NoError(t, makeDataDir(dir, false), "it is there already")

	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(dir, link))
	require.Error(t, makeDataDir(link, false), "somebody else's idea of a directory")
	require.NoError(t, makeDataDir(link, true))
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.Error(t, makeDataDir(file, true))
}
