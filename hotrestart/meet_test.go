package hotrestart

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// startLate starts a child that comes when it is told to, and returns where it is
// waited for.
func startLate(t *testing.T) (path string, come func() *Successor, c *console) {
	t.Helper()
	gate := filepath.Join(t.TempDir(), "gate")
	require.NoError(t, unix.Mkfifo(gate, 0o600))
	s, c := startOf(t, "late", envDo+"="+gate)
	begun := make(chan *Successor, 1)
	go func() {
		succ, err := Begin(withPatience(t), s)
		assert.NoError(t, err)
		begun <- succ
	}()
	c.await("waiting")
	sockets := leftSockets(t, s.Dir)
	require.Len(t, sockets, 1)
	return sockets[0], func() *Successor {
		require.NoError(t, os.WriteFile(gate, nil, 0))
		succ := <-begun
		require.NotNil(t, succ)
		t.Cleanup(succ.Kill)
		return succ
	}, c
}

func TestSocketIsForThisUserWhileItIsNeeded(t *testing.T) {
	keepsFiles(t)
	path, come, _ := startLate(t)
	info, err := os.Lstat(path)
	require.NoError(t, err)
	assert.Equal(t, os.ModeSocket|0o600, info.Mode())
	come()
	assert.NoFileExists(t, path)
}

func TestStrangerIsTurnedAway(t *testing.T) {
	keepsFiles(t)
	path, come, c := startLate(t)
	for range 3 {
		conn, err := net.Dial("unix", path)
		require.NoError(t, err)
		_, _ = conn.Write(header{kind: kindHello}.append(nil)) // it may be turned away by now
		_, err = conn.Read(make([]byte, 1))
		assert.True(t, errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET), err)
		_ = conn.Close()
	}
	succ := come()
	assert.Positive(t, c.said("time="), "it is logged")
	require.NoError(t, succ.Offer(nil, nil))
	require.NoError(t, succ.AwaitReady(withPatience(t), nil))
}

func TestDirectoryWithALongName(t *testing.T) {
	keepsFiles(t)
	s, _ := startOf(t, "good")
	s.Dir = filepath.Join(s.Dir, strings.Repeat("long", 50), "and [more]*")
	require.NoError(t, os.MkdirAll(s.Dir, 0o700))
	succ := beginWith(t, s)
	assert.Empty(t, leftSockets(t, s.Dir))
	require.NoError(t, succ.Offer(nil, nil))
	require.NoError(t, succ.AwaitReady(withPatience(t), nil))
}

func TestSocketsThatWereLeftAreCleared(t *testing.T) {
	keepsFiles(t)
	dir := filepath.Join(t.TempDir(), "with [pattern]")
	require.NoError(t, os.Mkdir(dir, 0o700))
	old := time.Now().Add(-time.Hour)
	make := func(name string, open bool, when time.Time) string {
		path := filepath.Join(dir, name)
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
		require.NoError(t, err)
		l.SetUnlinkOnClose(false)
		if open {
			t.Cleanup(func() { _ = l.Close() })
		} else {
			_ = l.Close()
		}
		require.NoError(t, os.Chtimes(path, when, when))
		return path
	}
	left := make("hotrestart-1-a.sock", false, old)
	young := make("hotrestart-1-b.sock", false, time.Now())
	used := make("hotrestart-1-c.sock", true, old)
	other := make("other.sock", false, old)
	file := filepath.Join(dir, "hotrestart-1-d.sock")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, os.Chtimes(file, old, old))

	at, err := listen(dir)
	require.NoError(t, err)
	assert.FileExists(t, at.path)
	at.close()
	assert.NoFileExists(t, at.path)
	assert.NoFileExists(t, left)
	for _, path := range []string{young, used, other, file} {
		assert.FileExists(t, path)
	}
}

func TestEnvironmentOfTheChild(t *testing.T) {
	env := []string{"HOME=/", "WATCHDOG_PID=1", "WATCHDOG_USEC=5", EnvParent + "=1", EnvSocket + "=old", EnvParent + "Terminate_Time__=6m"}
	assert.Equal(t, []string{
		"HOME=/", "WATCHDOG_USEC=5", EnvParent + "Terminate_Time__=6m",
		EnvParent + "=" + strconv.Itoa(os.Getpid()), EnvSocket + "=/s",
	}, childEnv(env, "/s"))
	assert.Len(t, env, 6, "the caller's is left alone")
}

// inheritWith tries with an environment, which is gone afterwards.
func inheritWith(t *testing.T, parent, socket string) (*Predecessor, error) {
	t.Helper()
	t.Setenv(EnvParent, parent)
	t.Setenv(EnvSocket, socket)
	p, err := Inherit(withPatience(t), "v1", 1)
	for _, name := range []string{EnvParent, EnvSocket} {
		_, ok := os.LookupEnv(name)
		assert.False(t, ok, name)
	}
	return p, err
}

func TestProcessWithoutAParentInItsEnvironment(t *testing.T) {
	require.Empty(t, os.Getenv(EnvParent))
	p, err := Inherit(withPatience(t), "v1", 1)
	require.NoError(t, err)
	require.Nil(t, p)
}

func TestEnvironmentThatMakesNoSense(t *testing.T) {
	for _, parent := range []string{"", "no", "-1", "0"} {
		_, err := inheritWith(t, parent, "/x")
		require.ErrorContains(t, err, EnvParent)
		require.NotErrorIs(t, err, ErrNoParent)
	}
	_, err := inheritWith(t, "1", "")
	require.ErrorContains(t, err, EnvSocket)
}

// A process that another one has started with an environment of long ago.
func TestParentOfLongAgo(t *testing.T) {
	keepsFiles(t)
	dead := exec.Command("true")
	require.NoError(t, dead.Run())
	_, err := inheritWith(t, strconv.Itoa(dead.Process.Pid), filepath.Join(t.TempDir(), "gone"))
	require.ErrorIs(t, err, ErrNoParent)
}

// The parent waits for the process that it has started. That was a script, which has
// started us.
func TestParentThatWaitsForAnother(t *testing.T) {
	keepsFiles(t)
	at, err := listen(t.TempDir())
	require.NoError(t, err)
	defer at.close()
	_, err = inheritWith(t, strconv.Itoa(os.Getpid()), at.path)
	require.ErrorIs(t, err, errNotParent)
	require.NotErrorIs(t, err, ErrNoParent)
}

func TestSocketOfAnotherProcess(t *testing.T) {
	keepsFiles(t)
	at, err := listen(t.TempDir())
	require.NoError(t, err)
	defer at.close()
	_, err = inheritWith(t, strconv.Itoa(os.Getppid()), at.path)
	require.ErrorContains(t, err, "the peer is process "+strconv.Itoa(os.Getpid()))
}

func TestCheck(t *testing.T) {
	checkOf := func(t *testing.T, do string) Start {
		s, _ := startOf(t, "check", envDo+"="+do)
		s.Args = []string{"-config", "x.yaml"}
		return s
	}
	t.Run("good", func(t *testing.T) {
		keepsFiles(t)
		require.NoError(t, Check(withPatience(t), checkOf(t, "")))
	})
	t.Run("bad", func(t *testing.T) {
		keepsFiles(t)
		s := checkOf(t, "bad")
		require.EqualError(t, Check(withPatience(t), s),
			"check "+s.Path+": exit status 1: -config x.yaml -check\nservices[0].name: missing")
	})
	t.Run("flood", func(t *testing.T) {
		err := Check(withPatience(t), checkOf(t, "flood"))
		require.ErrorContains(t, err, "no good. no good.")
		require.Less(t, len(err.Error()), maxPrinted+1000)
	})
	t.Run("hang", func(t *testing.T) {
		keepsFiles(t)
		s := checkOf(t, "hang")
		s.Check = 200 * time.Millisecond
		require.ErrorIs(t, Check(withPatience(t), s), context.DeadlineExceeded)
	})
	t.Run("missing", func(t *testing.T) {
		require.ErrorIs(t, Check(withPatience(t), Start{Path: "/missing/program"}), os.ErrNotExist)
	})
	t.Run("leaves a process behind", func(t *testing.T) {
		keepsFiles(t)
		s := checkOf(t, "leave")
		require.NoError(t, Check(withPatience(t), s))
	})
}
