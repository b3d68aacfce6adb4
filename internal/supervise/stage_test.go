package supervise

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const patience = 20 * time.Second

// stage has a supervisor, and its daemons as they come.
type stage struct {
	t     *testing.T
	doors *net.UnixListener
	cmd   *exec.Cmd
	log   string        // the file with its standard error
	done  chan struct{} // the supervisor has ended
}

// raise starts a supervisor.
func raise(t *testing.T, change ...func(*exec.Cmd)) *stage {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "stage")
	doors, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	s := &stage{t: t, doors: doors, log: filepath.Join(dir, "log"), done: make(chan struct{})}
	s.cmd = exec.Command(os.Args[0], "some", "arguments")
	s.cmd.Env = append(os.Environ(), stageEnv+"="+path, flagEnv+"=1", "GORACE=atexit_sleep_ms=0")
	log, err := os.Create(s.log)
	require.NoError(t, err)
	defer log.Close()
	s.cmd.Stderr = log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	for _, f := range change {
		f(s.cmd)
	}
	require.NoError(t, s.cmd.Start())
	go func() {
		defer close(s.done)
		_ = s.cmd.Wait() // the state says it all
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = doors.Close()
		<-s.done
		if t.Failed() {
			t.Logf("the supervisor's log:\n%s", s.logged())
		}
	})
	return s
}

func (s *stage) logged() string {
	text, err := os.ReadFile(s.log)
	require.NoError(s.t, err)
	return string(text)
}

func (s *stage) pid() int { return s.cmd.Process.Pid }

func (s *stage) signal(sig syscall.Signal) {
	s.t.Helper()
	require.NoError(s.t, syscall.Kill(s.pid(), sig))
}

// takenUp waits until the supervisor has caught all that it was sent.
func (s *stage) takenUp() {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		return field(s.t, s.pid(), "ShdPnd") == "0000000000000000"
	}, patience, time.Millisecond)
}

// exit is the supervisor's exit code.
func (s *stage) exit() int {
	s.t.Helper()
	select {
	case <-s.done:
		return s.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		require.Fail(s.t, "the supervisor does not end")
		return -1
	}
}

// noZombies waits until no child of the supervisor is one, and there are as many as wanted.
func (s *stage) noZombies(children int) {
	s.t.Helper()
	require.EventuallyWithT(s.t, func(t *assert.CollectT) {
		states := childrenOf(s.t, s.pid())
		assert.Len(t, states, children)
		assert.NotContains(t, states, "Z")
	}, patience, time.Millisecond)
}

// player is a daemon, as the test sees it.
type player struct {
	s       *stage
	conn    *net.UnixConn
	pid     int // as we see it
	said    int // as it sees itself
	parent  int // when it came
	answers chan string
	signals chan syscall.Signal
	left    chan struct{} // closed when it is gone
}

// enters waits for the next daemon. It catches signals, and has not announced itself.
func (s *stage) enters() *player {
	s.t.Helper()
	p := s.entersDeaf()
	p.do("catch")
	return p
}

// entersDeaf waits for the next daemon, which does not catch signals yet.
func (s *stage) entersDeaf() *player {
	s.t.Helper()
	require.NoError(s.t, s.doors.SetDeadline(time.Now().Add(patience)))
	conn, err := s.doors.AcceptUnix()
	require.NoError(s.t, err, "no daemon comes")
	p := &player{s: s, conn: conn, pid: peer(s.t, conn), answers: make(chan string, 100), signals: make(chan syscall.Signal, 100), left: make(chan struct{})}
	r := bufio.NewReader(conn)
	hello, err := r.ReadString('\n')
	require.NoError(s.t, err)
	_, err = fmt.Sscanf(hello, "hello %d %d", &p.said, &p.parent)
	require.NoError(s.t, err, hello)
	var wg sync.WaitGroup
	wg.Go(func() { p.listen(r) })
	s.t.Cleanup(func() { _ = conn.Close(); wg.Wait() })
	return p
}

// peer is the pid of the process at the other end.
func peer(t *testing.T, conn *net.UnixConn) int {
	t.Helper()
	raw, err := conn.SyscallConn()
	require.NoError(t, err)
	var cred *unix.Ucred
	require.NoError(t, raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }))
	require.NoError(t, err)
	return int(cred.Pid)
}

func (p *player) listen(r *bufio.Reader) {
	defer close(p.left)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		if number, ok := strings.CutPrefix(line, "signal "); ok {
			n, _ := strconv.Atoi(number)
			p.signals <- syscall.Signal(n)
			continue
		}
		p.answers <- line
	}
}

func (p *player) tell(format string, args ...any) {
	p.s.t.Helper()
	_, err := fmt.Fprintf(p.conn, format+"\n", args...)
	require.NoError(p.s.t, err)
}

// do has the daemon do something, and waits until it has.
func (p *player) do(format string, args ...any) {
	p.s.t.Helper()
	p.tell(format, args...)
	p.done()
}

func (p *player) done() {
	p.s.t.Helper()
	select {
	case answer := <-p.answers:
		require.Equal(p.s.t, "done", answer)
	case <-p.left:
		require.Fail(p.s.t, "the daemon has gone")
	case <-time.After(patience):
		require.Fail(p.s.t, "the daemon does not answer")
	}
}

// hears checks what signal the daemon gets next.
func (p *player) hears(want syscall.Signal) {
	p.s.t.Helper()
	select {
	case got := <-p.signals:
		require.Equal(p.s.t, want, got)
	case <-p.left:
		require.Fail(p.s.t, "the daemon has gone instead of getting a signal", want.String())
	case <-time.After(patience):
		require.Fail(p.s.t, "the daemon does not get a signal", want.String())
	}
}

// heardNothing checks that all signals were expected ones.
func (p *player) heardNothing() {
	p.s.t.Helper()
	p.do("ping")
	require.Empty(p.s.t, p.signals)
}

func (p *player) leaves() {
	p.s.t.Helper()
	select {
	case <-p.left:
	case <-time.After(patience):
		require.Fail(p.s.t, "the daemon does not leave")
	}
}

func (p *player) kill(sig syscall.Signal) {
	p.s.t.Helper()
	require.NoError(p.s.t, syscall.Kill(p.pid, sig))
}

// spawn has the daemon start a successor, which has not announced itself.
func (p *player) spawn() *player {
	p.s.t.Helper()
	p.do("spawn")
	next := p.s.enters()
	require.Equal(p.s.t, p.said, next.parent, "the child of its predecessor")
	return next
}

// childrenOf are the states of the children of a process, as in /proc.
func childrenOf(t *testing.T, pid int) (states []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has gone meanwhile
		}
		_, rest, _ := strings.Cut(string(text[bytes.LastIndexByte(text, ')'):]), " ")
		fields := strings.Fields(rest)
		if fields[1] == strconv.Itoa(pid) {
			states = append(states, fields[0])
		}
	}
	return states
}

// field is one of /proc/PID/status.
func field(t *testing.T, pid int, name string) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	require.Fail(t, "no such field", name)
	return ""
}
