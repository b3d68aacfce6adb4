package hotrestart

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// orphaned is a child that does not look at its parent before that is dead.
func orphaned() int {
	parent := os.Getppid()
	say("up")
	for range time.Tick(time.Millisecond) {
		if os.Getppid() != parent {
			break
		}
	}
	_, err := Inherit(context.Background(), "v2", 1)
	say("inherited %v", err)
	say("environment %q %q", os.Getenv(EnvParent), os.Getenv(EnvSocket))
	hang()
	return 0
}

// held is a good child that tells its pid, so that the test can let it go on.
func held() int {
	say("pid %d", os.Getpid())
	return good()
}

// parent goes a part of the way and is killed. Its descriptors from 3 on are clients.
func parent() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	self, err := os.Executable()
	must(err)
	for i := range 20 {
		unix.CloseOnExec(3 + i) // the child is to get them by other ways
	}
	step := os.Getenv(envAt)
	killed := func(at string) {
		if at == step {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			hang()
		}
	}
	s := Start{
		Dir: os.Getenv("HOTRESTART_TEST_DIR"), Path: self, Args: []string{"-test.run=^$"},
		Env:    append(os.Environ(), envRole+"="+os.Getenv("HOTRESTART_TEST_CHILD")),
		Stdout: os.Stdout, Stderr: os.Stderr, Sessions: 1, Version: "v1", Log: slog.Default(),
	}
	if step == "start" {
		at, err := listen(s.Dir)
		must(err)
		_, err = start(s, at.path)
		must(err)
		hang() // the test kills it when the child is up
	}
	succ, err := Begin(ctx, s)
	must(err)
	killed("hello")
	l, err := os.Open("/dev/null")
	must(err)
	must(succ.offer([]Listener{{"tcp", "first", l}}, false, nil))
	killed("half the listeners")
	must(succ.offer([]Listener{{"tcp", "second", l}}, true, []byte("{}")))
	killed("listeners")
	must(succ.AwaitReady(ctx, nil))
	killed("ready")
	succ.wentOut.Store(true)
	must(succ.wire.send(kindGo, nil, nil, []byte("state")))
	killed("go")
	<-succ.taken
	killed("taken")
	if step == "unread" {
		must(syscall.Kill(succ.PID(), syscall.SIGSTOP))
		for i := range 20 {
			succ.Give("s", 3+i, nil, nil, func(error) {})
		}
		killed("unread")
	}
	succ.Give("s", 3, nil, nil, func(error) {})
	h := header{kind: kindSession, fds: 1, body: 100, raw: 100}
	_, _, err = succ.wire.socket.WriteMsgUnix(h.append(nil), unix.UnixRights(4), nil)
	must(err)
	killed("half a session")
	return 1
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// startParent starts a parent that starts a child. The clients are in it, and not here.
func startParent(t *testing.T, step, child string, clients ...*client) (*exec.Cmd, *console) {
	t.Helper()
	s, c := startOf(t, "parent", envAt+"="+step, "HOTRESTART_TEST_CHILD="+child)
	cmd := exec.Command(s.Path, s.Args...)
	cmd.Env = append(s.Env, "HOTRESTART_TEST_DIR="+s.Dir)
	cmd.Stdout, cmd.Stderr = c.w, c.w
	for _, cl := range clients {
		cmd.ExtraFiles = append(cmd.ExtraFiles, os.NewFile(uintptr(cl.fd), "client"))
		cl.fd = -1
	}
	require.NoError(t, cmd.Start())
	for _, f := range cmd.ExtraFiles {
		_ = f.Close()
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-done })
	return cmd, c
}

func TestParentIsKilledBeforeTheChildComes(t *testing.T) {
	keepsFiles(t)
	cmd, c := startParent(t, "start", "orphaned")
	c.await("up")
	require.NoError(t, cmd.Process.Kill())
	assert.True(t, strings.HasPrefix(c.await("inherited "), ErrNoParent.Error()))
	c.await(`environment "" ""`)
}

func TestParentIsKilledAtAnyStep(t *testing.T) {
	gone := ErrParentGone.Error()
	for step, says := range map[string][]string{
		"hello":              {"welcome , wait for the listening sockets: " + gone},
		"half the listeners": {"listener tcp first", "welcome , wait for the listening sockets: " + gone},
		"listeners":          {"listener tcp first", "listener tcp second", "welcome {}, <nil>", "go , "},
		"ready":              {"welcome {}, <nil>", "go , wait for the handover: " + gone},
		"go":                 {"go state, <nil>"},
		"taken":              {"go state, <nil>", "served " + gone},
	} {
		t.Run(step, func(t *testing.T) {
			keepsFiles(t)
			_, c := startParent(t, step, "good")
			for _, line := range says {
				c.await(line)
			}
			assert.Contains(t, c.await("alone "), gone)
		})
	}
}

// What the parent has sent is the child's, even if nobody hears its acknowledgement.
func TestSessionsOfAParentThatIsKilledAreServed(t *testing.T) {
	keepsFiles(t)
	clients := make([]*client, 20)
	for i := range clients {
		clients[i] = newClient(t)
	}
	cmd, c := startParent(t, "unread", "held", clients...)
	pid, err := strconv.Atoi(c.await("pid "))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return cmd.Process.Signal(syscall.Signal(0)) != nil }, patience, time.Millisecond)
	require.NoError(t, unix.Kill(pid, unix.SIGCONT))
	c.await("alone " + ErrParentGone.Error())
	for _, cl := range clients {
		cl.hears("s  0\n")
		cl.echoes("hello")
	}
}

func TestHalfASessionOfAParentThatIsKilledIsHungUp(t *testing.T) {
	keepsFiles(t)
	whole, half := newClient(t), newClient(t)
	_, c := startParent(t, "half a session", "good", whole, half)
	c.await("alone " + ErrParentGone.Error())
	whole.hears("s  0\n")
	whole.echoes("hello")
	half.isHungUp()
}
