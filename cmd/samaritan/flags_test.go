package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFlagDefaults(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", "/run/user/7")
	o, err := parseFlags(nil, &bytes.Buffer{})
	require.NoError(t, err)
	assert.Equal(t, options{
		config: "/etc/samaritan.yaml", data: defaultDataDir(),
		pidFile: defaultDataDir() + "/samaritan.pid",
		workers: max(1, runtime.GOMAXPROCS(0)/2), drain: 10 * time.Second, restartTimeout: time.Minute,
	}, o)
}

func TestFlags(t *testing.T) {
	o, err := parseFlags([]string{"-config", "c", "-id=i", "-service", "s", "-data", "d", "-workers", "3", "-drain", "1m", "-check", "-watch", "-version", "-restart-timeout", "5s", "-supervise"}, &bytes.Buffer{})
	require.NoError(t, err)
	assert.Equal(t, options{
		config: "c", id: "i", service: "s", data: "d", dataSet: true, pidFile: "d/samaritan.pid",
		workers: 3, drain: time.Minute, check: true, watch: true, version: true, restartTimeout: 5 * time.Second, supervise: true,
	}, o)
	o, err = parseFlags([]string{"-data", "d", "-pidfile", "p"}, &bytes.Buffer{})
	require.NoError(t, err)
	assert.Equal(t, "p", o.pidFile)
	o, err = parseFlags([]string{"-drain", time.Duration(math.MaxInt64).String()}, &bytes.Buffer{})
	require.NoError(t, err)
	assert.Positive(t, o.drain+afterDrain)
}

func TestDefaultDataDirectory(t *testing.T) {
	if os.Getuid() == 0 {
		assert.Equal(t, "/run/samaritan", defaultDataDir())
		return
	}
	t.Setenv("XDG_RUNTIME_DIR", "/run/user/7")
	assert.Equal(t, "/run/user/7/samaritan", defaultDataDir())
	t.Setenv("XDG_RUNTIME_DIR", "")
	assert.Equal(t, filepath.Join(os.TempDir(), "samaritan-"+strconv.Itoa(os.Getuid())), defaultDataDir())
}

func TestBadFlagsExitWithTheUsage(t *testing.T) {
	for _, args := range [][]string{{"-nonsense"}, {"extra"}, {"-workers", "0"}, {"-workers", "x"}, {"-drain", "-1s"}, {"-config", ""}} {
		code, stdout, stderr := run(t, args...)
		assert.Equal(t, 2, code, args)
		assert.Empty(t, stdout)
		assert.Contains(t, stderr, "Usage of samaritan:")
	}
	code, _, stderr := run(t, "-h")
	assert.Equal(t, 0, code)
	assert.Contains(t, stderr, "-drain")
}

func TestVersion(t *testing.T) {
	code, stdout, stderr := run(t, "-version")
	assert.Equal(t, 0, code)
	assert.Regexp(t, `^samaritan dev \(commit unknown, built unknown, go\S+ linux/\w+\)\n$`, stdout)
	assert.Empty(t, stderr)
}

const good = `
static_services:
  - name: a
    config: {listener: {address: {ip: 127.0.0.1, port: 6379}}, protocol: Redis}
    endpoints: [{address: {ip: 10.0.0.1, port: 7000}}]
`

const bad = `
nonsense: 1
static_services:
  - name: a
    config: {listener: {address: {ip: 127.0.0.1, port: 70000}}, protocol: Redis}
    endpoints: [{address: {ip: 10.0.0.1, port: 7000}}]
`

func TestCheck(t *testing.T) {
	file := writeFile(t, good)
	code, stdout, stderr := run(t, "-check", "-config", file)
	assert.Equal(t, 0, code)
	assert.Equal(t, file+": OK\n", stdout)
	assert.Empty(t, stderr)
}

func TestBadConfigExitsWithEveryProblemOnALine(t *testing.T) {
	file := writeFile(t, bad)
	missing := filepath.Join(t.TempDir(), "missing.yaml")
	for _, tt := range []struct{ file, want string }{
		{file, file + ":2: nonsense: unknown field\n" +
			file + ":5: static_services[0].config.listener.address.port: must be 0..65535, is 70000\n"},
		{missing, missing + ": open: no such file or directory\n"},
	} {
		for _, args := range [][]string{{}, {"-check"}} {
			code, stdout, stderr := run(t, append(args, "-config", tt.file)...)
			assert.Equal(t, 1, code)
			assert.Empty(t, stdout)
			assert.Equal(t, tt.want, stderr)
		}
	}
}
