package testredis_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/internal/testredis"
)

func TestServerTakesArguments(t *testing.T) {
	began := time.Now()
	n := testredis.StartServer(t, "--maxmemory", "10mb", "--requirepass", "secret")
	t.Logf("one server: %v", time.Since(began))
	assert.Equal(t, []any{"maxmemory", "10485760"}, n.MustDo(t, "CONFIG", "GET", "maxmemory"))
	assert.Equal(t, fmt.Sprintf("127.0.0.1:%d", n.Port()), n.Addr())
	assert.Empty(t, n.ID())

	conn, err := testredis.Dial(n.Addr())
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Do("GET", "k")
	require.IsType(t, testredis.Error(""), err)
	require.ErrorContains(t, err, "NOAUTH")
}

func TestServerIsKilledAndRestarted(t *testing.T) {
	n := testredis.StartServer(t)
	addr, pid := n.Addr(), n.Pid()
	n.MustDo(t, "SET", "k", "v")
	n.Kill()
	require.NoError(t, n.Restart())
	require.Equal(t, addr, n.Addr())
	require.NotEqual(t, pid, n.Pid())
	require.Nil(t, n.MustDo(t, "GET", "k"), "nothing is persistent")
	require.NoError(t, n.Restart(), "also when it is running")
}

func TestStoppedServerIsSilent(t *testing.T) {
	n := testredis.StartServer(t)
	conn, err := testredis.Dial(n.Addr())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, n.Stop())
	assert.False(t, n.Running())

	// The kernel accepts the connection and the bytes; nobody answers.
	nc, err := net.Dial("tcp", n.Addr())
	require.NoError(t, err)
	defer nc.Close()
	require.NoError(t, conn.Send([]any{"INCR", "n"}))
	fmt.Fprint(nc, "PING\r\n")
	require.NoError(t, nc.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err = nc.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)

	require.NoError(t, n.Continue())
	v, err := conn.Receive()
	require.NoError(t, err)
	require.EqualValues(t, 1, v)

	require.NoError(t, n.Stop())
	n.Kill() // Also a stopped one.
	require.Error(t, n.Stop())
	require.Error(t, n.Continue())
}

func TestCloseIsFinal(t *testing.T) {
	n, err := testredis.StartNode(context.Background())
	require.NoError(t, err)
	dir, pid := n.Dir(), n.Pid()
	require.NoError(t, n.Close())
	require.NoError(t, n.Close())
	require.NoDirExists(t, filepath.Dir(dir))
	require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "reaped")
	require.ErrorIs(t, n.Restart(), testredis.ErrClosed)
	require.ErrorIs(t, n.Move(), testredis.ErrClosed)
}

func TestMissingServerIsAnErrorThatHelps(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := testredis.Start(context.Background(), testredis.Options{})
	require.ErrorIs(t, err, testredis.ErrMissing)
	for _, want := range []string{"redis-server", "apt-get install redis-server", "make test"} {
		require.ErrorContains(t, err, want)
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := testredis.Start(ctx, testredis.Options{})
	require.ErrorIs(t, err, context.Canceled)
}

// A goroutine that locks its thread and returns takes the thread with it. The
// servers must not depend on such a thread.
func TestServersOutliveOtherThreads(t *testing.T) {
	var n *testredis.Node
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		var err error
		n, err = testredis.StartNode(context.Background())
		done <- err
	}()
	require.NoError(t, <-done)
	defer n.Close()
	for range 20 {
		gone := make(chan struct{})
		go func() { runtime.LockOSThread(); close(gone) }()
		<-gone
	}
	require.Equal(t, "PONG", n.MustDo(t, "PING"))
}

func TestServersDieWithTheTestProcess(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), orphanEnv+"=1", "TMPDIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var pids []int
	for lines := bufio.NewScanner(out); len(pids) < 3 && lines.Scan(); {
		var pid int
		_, err := fmt.Sscan(lines.Text(), &pid)
		require.NoError(t, err)
		pids = append(pids, pid)
	}
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	require.Len(t, pids, 3)
	for _, pid := range pids {
		require.Eventually(t, func() bool { return !alive(pid) }, 5*time.Second, 5*time.Millisecond)
	}
}

// alive reports whether a process exists and is not a zombie of whoever has
// adopted it.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// orphan starts three servers, prints their pids and waits for its end.
func orphan() {
	c, err := testredis.Start(context.Background(), testredis.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, n := range c.Nodes() {
		fmt.Println(n.Pid())
	}
	select {}
}

func TestDoAllKeepsOrderAndErrors(t *testing.T) {
	n := testredis.StartServer(t)
	replies, err := n.DoAll([]any{"INCR", "k"}, []any{"LPUSH", "k", "x"}, []any{"INCR", "k"})
	require.NoError(t, err)
	require.Len(t, replies, 3)
	require.Equal(t, int64(1), replies[0])
	require.IsType(t, testredis.Error(""), replies[1])
	require.Equal(t, int64(2), replies[2])
}
