package supervise

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// It announces itself, dies and is reaped before the pipe is looked at.
func TestTheDeadAreKnownByWhatTheySaid(t *testing.T) {
	e, say, _, logged := listening(t)
	s := newSupervisor(slog.New(slog.NewTextHandler(logged, nil)))
	s.pipe, s.serving = e, &process{pid: 1, fd: -1, reaped: true}

	child, err := os.StartProcess("/bin/sh", []string{"sh", "-c", "exit 77"}, &os.ProcAttr{})
	require.NoError(t, err)
	pid := child.Pid
	require.NoError(t, child.Release())
	require.Eventually(t, func() bool { return strings.HasPrefix(field(t, pid, "State"), "Z") }, patience, time.Millisecond)
	_, err = fmt.Fprintf(say, "main %d\n", pid)
	require.NoError(t, err)

	assert.True(t, s.reap(), "it was the only child")
	assert.Equal(t, 77, s.code())
	assert.Empty(t, logged.String())
}

// As Ctrl-C on a terminal does it.
func TestSignalToTheProcessGroupIsPassedOnOnce(t *testing.T) {
	s := raise(t, func(c *exec.Cmd) { c.SysProcAttr.Setpgid = true })
	first := s.enters()
	first.do("announce")
	require.NoError(t, syscall.Kill(-s.pid(), syscall.SIGINT))
	first.hears(syscall.SIGINT)
	require.NoError(t, syscall.Kill(-s.pid(), syscall.SIGHUP)) // and this one comes next
	first.hears(syscall.SIGHUP)
	first.heardNothing()
}

// Without pidfds all goes on as before, but for one that is dead and not reaped.
func TestProcessWithoutAPidfd(t *testing.T) {
	cmd := exec.Command("/bin/sh", "-c", "read x; exit 3")
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := watch(cmd.Process.Pid)
	assert.GreaterOrEqual(t, p.fd, 0)
	p.release()
	assert.True(t, p.exists())
	require.NoError(t, p.signal(0))
	require.NoError(t, stdin.Close())
	_ = cmd.Wait()
	assert.False(t, p.alive())
	require.ErrorIs(t, p.signal(0), syscall.ESRCH)
	assert.False(t, watch(cmd.Process.Pid).exists(), strconv.Itoa(cmd.Process.Pid))
}
