package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/config"
	"samaritan/internal/testredis"
)

const patience = 20 * time.Second

// running is a demo that runs with the test binary as its daemon.
type running struct {
	options
	tmp    string // where it makes its directory
	out    *output
	cancel context.CancelFunc
	result chan error
}

func startDemo(t *testing.T, daemon string, opts options) *running {
	t.Helper()
	r := &running{options: opts, tmp: t.TempDir(), out: &output{}, result: make(chan error, 1)}
	t.Setenv("TMPDIR", r.tmp)
	t.Setenv(asDaemon, daemon)
	var err error
	if r.samaritan == "" {
		r.samaritan, err = os.Executable()
		require.NoError(t, err)
	}
	r.port, r.admin, r.web = freePort(t), freePort(t), freePort(t)
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() { r.result <- run(ctx, r.options, r.out) }()
	t.Cleanup(cancel)
	return r
}

func freePort(t *testing.T) int {
	t.Helper()
	_, port, err := net.SplitHostPort(testredis.FreeAddress(t))
	require.NoError(t, err)
	n, err := strconv.Atoi(port)
	require.NoError(t, err)
	return n
}

func (r *running) waitReady(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(r.out.String(), "Samaritan is ready") }, patience, 5*time.Millisecond)
}

// end waits for the demo's result, and checks that nothing is left over.
func (r *running) end(t *testing.T) error {
	t.Helper()
	var err error
	select {
	case err = <-r.result:
	case <-time.After(patience):
		require.Fail(t, "the demo does not end")
	}
	left, readErr := os.ReadDir(r.tmp)
	require.NoError(t, readErr)
	assert.Empty(t, left, "files left over")
	_, dialErr := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", r.admin), time.Second)
	assert.Error(t, dialErr, "the daemon still runs")
	return err
}

// pid returns the daemon's, 0 while there is none.
func (r *running) pid() int {
	files, _ := filepath.Glob(filepath.Join(r.tmp, "samaritan-demo-*", "data", "samaritan.pid"))
	if len(files) != 1 {
		return 0
	}
	text, _ := os.ReadFile(files[0])
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid
}

func TestDemoStopsWithoutATrace(t *testing.T) {
	for _, kind := range []string{real, inprocess} {
		t.Run(kind, func(t *testing.T) {
			r := startDemo(t, "ready", options{nodes: kind})
			r.waitReady(t)
			guide := r.out.String()
			assert.Contains(t, guide, fmt.Sprintf("redis-cli -p %d set a 1", r.port))
			assert.Contains(t, guide, fmt.Sprintf("http://127.0.0.1:%d/stats", r.admin))
			r.cancel()
			assert.NoError(t, r.end(t))
		})
	}
}

func TestDemoReportsADaemonThatEnds(t *testing.T) {
	t.Run("before it is ready", func(t *testing.T) {
		r := startDemo(t, "exits", options{nodes: inprocess})
		assert.EqualError(t, r.end(t), "the daemon ended: exit status 3")
	})
	t.Run("later", func(t *testing.T) {
		r := startDemo(t, "ready", options{nodes: inprocess})
		r.waitReady(t)
		require.NoError(t, syscall.Kill(r.pid(), syscall.SIGKILL))
		assert.EqualError(t, r.end(t), "the daemon ended: signal: killed")
	})
}

func TestDemoRefusesWhatItCannotDo(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()

	for name, c := range map[string]struct {
		opts options
		want string
	}{
		"nodes":  {options{nodes: "virtual"}, "-nodes virtual: want"},
		"binary": {options{nodes: inprocess, samaritan: "/does/not/exist"}, "/does/not/exist"},
	} {
		t.Run(name, func(t *testing.T) {
			r := startDemo(t, "ready", c.opts)
			assert.ErrorContains(t, r.end(t), c.want)
		})
	}
	t.Run("port", func(t *testing.T) {
		port := taken.Addr().(*net.TCPAddr).Port
		_, err := choosePort("-port", port, defaultPort)
		assert.ErrorContains(t, err, fmt.Sprintf("-port %d: ", port))
	})
}

func TestUsualPortUnlessItIsTaken(t *testing.T) {
	usual := freePort(t)
	port, err := choosePort("-port", 0, usual)
	require.NoError(t, err)
	assert.Equal(t, usual, port)

	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", usual))
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	port, err = choosePort("-port", 0, usual)
	require.NoError(t, err)
	assert.NotEqual(t, usual, port)
	assert.NotZero(t, port)
}

func TestConfigIsValid(t *testing.T) {
	v := values{Port: 6379, Admin: 12345}
	var err error
	v.Nodes, err = parseNodes([]string{"127.0.0.1:7000", "[::1]:7001"})
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, v.write(staticFiles, dir))
	loaded, err := config.Load(filepath.Join(dir, "demo.yaml"))
	require.NoError(t, err)
	assert.EqualValues(t, 12345, loaded.Proto.GetAdmin().GetBind().GetPort())
	require.Len(t, loaded.Services, 1)
	assert.Len(t, loaded.Services[0].Endpoints, 2)
}

func TestCommandLine(t *testing.T) {
	opts, err := parse([]string{"-nodes=inprocess", "-port", "7", "-admin=8", "-samaritan", "bin/samaritan", "-dynamic", "-web=9"}, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, options{nodes: inprocess, port: 7, admin: 8, samaritan: "bin/samaritan", dynamic: true, web: 9}, opts)

	opts, err = parse(nil, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, options{nodes: auto}, opts)

	for _, args := range [][]string{{"-nonsense"}, {"word"}, {"-port", "x"}} {
		_, err := parse(args, io.Discard)
		assert.Error(t, err, "%v", args)
	}
}

// output is a bytes.Buffer for two goroutines.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
