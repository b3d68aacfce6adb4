package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/logging"
	"samaritan/internal/testredis"
)

// Jobs that tidy up remove what nobody has touched for long.
func TestRestartMakesTheDataDirectoryAgain(t *testing.T) {
	c := launchHot(t, testredis.Shared(t, clusterWithReplicas).Addrs())
	c.await("/ready", 200, "")
	k := c.caller()
	require.NoError(t, os.RemoveAll(c.data))
	c.restart()
	assert.NotZero(t, c.serving(), "the pid file is there again")
	assert.Equal(t, "+PONG", k.say("PING"))
	c.endHot()
}

// The default place may be open to others, who could be at the place of the new process.
func TestRestartFailsWithoutADataDirectory(t *testing.T) {
	runtime := t.TempDir()
	there := filepath.Join(runtime, "samaritan")
	theirs := t.TempDir()
	require.NoError(t, os.Symlink(theirs, there))
	log, err := logging.New(logging.Options{Level: "QUIET"})
	require.NoError(t, err)
	d := &process{o: options{data: there}, log: log}
	_, err = d.successor("/bin/true")
	require.ErrorContains(t, err, "the data directory cannot be used: ")
	require.NoError(t, os.Remove(there))
	start, err := d.successor("/bin/true")
	require.NoError(t, err)
	assert.Equal(t, there, start.Dir)
	assert.DirExists(t, there)
}
