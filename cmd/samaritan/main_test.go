package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"samaritan/internal/testredis"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// asDaemon in the environment makes the test binary be the daemon.
const asDaemon = "SAMARITAN_TEST_AS_DAEMON"

const patience = 20 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(asDaemon) != "" {
		main()
	}
	goleak.VerifyTestMain(testredis.Main(m))
}

// output collects what a child writes, while it writes.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// child is a running daemon.
type child struct {
	t      *testing.T
	cmd    *exec.Cmd
	out    output // standard output: the log
	err    output
	done   chan struct{}
	client http.Client
	admin  string // host:port
	redis  string
	data   string
}

func command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asDaemon+"=1", "GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// run starts a daemon that ends by itself.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := command(args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		require.NoError(t, err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// launch starts a daemon with one service in front of the nodes. The test kills
// it at its end, if it has not ended.
func launch(t *testing.T, nodes []string, change ...func(c *child)) *child {
	t.Helper()
	c := &child{t: t, done: make(chan struct{}), admin: testredis.FreeAddress(t), redis: testredis.FreeAddress(t), data: filepath.Join(t.TempDir(), "data")}
	c.client.Transport = &http.Transport{DisableKeepAlives: true}
	c.client.Timeout = 10 * time.Second
	c.cmd = command("-config", writeConfig(t, c.admin, c.redis, nodes), "-data", c.data, "-drain", "2s")
	c.cmd.Stdout, c.cmd.Stderr = &c.out, &c.err
	for _, f := range change {
		f(c)
	}
	require.NoError(t, c.cmd.Start())
	go func() {
		defer close(c.done)
		_ = c.cmd.Wait() // the state says it all
	}()
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill()
		<-c.done
		if t.Failed() {
			t.Logf("the daemon's log:\n%s%s", c.out.String(), c.err.String())
		}
	})
	return c
}

// freeAddress is an address that was free a moment ago.
func writeConfig(t *testing.T, admin, redis string, nodes []string) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "admin: {bind: %s}\nstatic_services:\n", yamlAddress(admin))
	fmt.Fprintf(&b, "  - name: redis-test\n    config: {listener: {address: %s}, protocol: Redis}\n    endpoints:\n", yamlAddress(redis))
	for _, n := range nodes {
		fmt.Fprintf(&b, "      - address: %s\n", yamlAddress(n))
	}
	return writeFile(t, b.String())
}

func yamlAddress(hostPort string) string {
	host, port, _ := net.SplitHostPort(hostPort)
	return fmt.Sprintf("{ip: %q, port: %s}", host, port)
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "samaritan.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// get asks the admin server; 0 is no answer at all.
func (c *child) get(path string) (status int, body string) {
	resp, err := c.client.Get("http://" + c.admin + path)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(text)
}

// await polls a path until it answers with the status and the text in its body.
func (c *child) await(path string, status int, text string) {
	c.t.Helper()
	require.EventuallyWithT(c.t, func(t *assert.CollectT) {
		got, body := c.get(path)
		require.Equal(t, status, got, body)
		require.Contains(t, body, text)
	}, patience, 5*time.Millisecond)
}

func (c *child) awaitLog(text string) {
	c.t.Helper()
	require.Eventually(c.t, func() bool { return strings.Contains(c.out.String(), text) }, patience, 5*time.Millisecond, text)
}

func (c *child) signal(s syscall.Signal) {
	c.t.Helper()
	require.NoError(c.t, c.cmd.Process.Signal(s))
}

// exit waits for the end and returns the exit code.
func (c *child) exit() int {
	c.t.Helper()
	select {
	case <-c.done:
		return c.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		require.Fail(c.t, "the daemon does not end")
		return -1
	}
}

// call sends one inline command to the service and returns the first line of the
// reply.
func (c *child) call(command string) (string, error) {
	conn, err := net.DialTimeout("tcp", c.redis, time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(conn, command+"\r\n"); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line), err
}

// serviceStatus is what /services says about the only service.
func (c *child) serviceStatus() map[string]any {
	_, body := c.get("/services")
	var list []map[string]any
	require.NoError(c.t, json.Unmarshal([]byte(body), &list), body)
	require.Len(c.t, list, 1)
	return list[0]
}
