package supervise

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestTheFirstProcessLivesThroughAChainOfRestarts(t *testing.T) {
	s := raise(t)
	serving := s.enters()
	assert.Equal(t, s.pid(), serving.parent)
	serving.do("announce")
	files := len(openFiles(t, s.pid()))
	for range 20 {
		next := serving.spawn()
		next.do("announce")
		s.signal(syscall.SIGUSR1)
		next.hears(syscall.SIGUSR1)
		serving.heardNothing()
		serving.tell("exit 9")
		serving.leaves()
		s.noZombies(1)
		serving = next
	}
	require.Eventually(t, func() bool { return len(openFiles(t, s.pid())) <= files }, patience, time.Millisecond)
	t.Logf("memory of the supervisor: %s, of that files %s; threads: %s",
		field(t, s.pid(), "VmRSS"), field(t, s.pid(), "RssFile"), field(t, s.pid(), "Threads"))

	s.signal(syscall.SIGTERM)
	serving.hears(syscall.SIGTERM)
	serving.tell("exit 7")
	assert.Equal(t, 7, s.exit(), "the code of the last one")
	assert.Empty(t, s.logged(), "silence on success")
}

// A predecessor that announces its successor does as well as the successor itself.
func TestPredecessorAnnounces(t *testing.T) {
	s := raise(t)
	first := s.enters()
	first.do("announce")
	second := first.spawn()
	first.do("announce %d", second.pid)
	s.signal(syscall.SIGHUP)
	second.hears(syscall.SIGHUP)
	first.heardNothing()
}

// All that a signal must not do before a process catches it is to kill it.
func TestSignalsWaitForTheFirstDaemon(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2} {
		t.Run(sig.String(), func(t *testing.T) {
			s := raise(t)
			first := s.entersDeaf()
			s.signal(sig)
			s.takenUp()
			s.signal(sig)
			s.takenUp()
			first.do("catch")
			first.heardNothing()
			first.do("announce")
			first.hears(sig)
			first.heardNothing()
		})
	}
}

func TestTheEndDoesNotWaitForTheFirstDaemon(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			s := raise(t)
			first := s.entersDeaf()
			if sig == syscall.SIGKILL {
				first.kill(sig)
			} else {
				s.signal(sig)
			}
			assert.Equal(t, 128+int(sig), s.exit())
		})
	}
}

func TestSignalsGoToWhoServes(t *testing.T) {
	s := raise(t)
	first := s.enters()
	first.do("announce")
	kinds := []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGQUIT}
	reach := func(p *player, sigs ...syscall.Signal) {
		t.Helper()
		for _, sig := range sigs {
			s.signal(sig)
			p.hears(sig)
		}
	}
	reach(first, kinds...)

	second := first.spawn() // not ready: nobody knows it
	reach(first, kinds...)
	second.heardNothing()

	second.do("announce") // the first one drains
	reach(second, kinds...)
	first.heardNothing()

	first.tell("exit 0")
	first.leaves()
	s.noZombies(1)
	reach(second, kinds...)
	reach(second, syscall.SIGTERM, syscall.SIGINT)
	second.tell("exit 0")
	assert.Equal(t, 0, s.exit())
}

// Whoever drains is to end as well, and whoever is asked a second time ends at once.
func TestTheEndIsForAllThatHaveServed(t *testing.T) {
	s := raise(t)
	first := s.enters()
	first.do("announce")
	second := first.spawn()
	second.do("announce")
	third := second.spawn() // not ready: nobody knows it
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGTERM} {
		s.signal(sig)
		first.hears(sig)
		second.hears(sig)
	}
	third.heardNothing()

	// It is in the midst of taking over, and has not heard of the end.
	third.do("announce")
	third.hears(syscall.SIGTERM)
	// One that takes over again knows it already.
	second.do("announce")
	s.signal(syscall.SIGHUP)
	second.hears(syscall.SIGHUP)
	second.heardNothing()

	for _, p := range []*player{first, third} {
		p.tell("exit 0")
		p.leaves()
	}
	second.tell("exit 3")
	assert.Equal(t, 3, s.exit())
}

func TestExitCodeIsThatOfTheDaemon(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(p *player)
		want int
	}{
		"0":       {func(p *player) { p.tell("exit 0") }, 0},
		"1":       {func(p *player) { p.tell("exit 1") }, 1},
		"254":     {func(p *player) { p.tell("exit 254") }, 254},
		"SIGKILL": {func(p *player) { p.kill(syscall.SIGKILL) }, 137},
	} {
		t.Run(name, func(t *testing.T) {
			for _, announced := range []bool{false, true} {
				s := raise(t)
				p := s.enters()
				if announced {
					p.do("announce")
				}
				tt.end(p)
				assert.Equal(t, tt.want, s.exit())
			}
		})
	}
}

// It announces itself and is dead before the supervisor gets to listen.
func TestDaemonThatDiesWithItsAnnouncement(t *testing.T) {
	s := raise(t)
	first := s.enters()
	first.do("announce")
	second := first.spawn()
	s.signal(syscall.SIGSTOP)
	first.tell("exit 3")
	first.leaves()
	second.tell("announce")
	second.tell("exit 4")
	for _, p := range []*player{first, second} {
		require.Eventually(t, func() bool { return strings.HasPrefix(field(t, p.pid, "State"), "Z") }, patience, time.Millisecond)
	}
	s.signal(syscall.SIGCONT)
	assert.Equal(t, 4, s.exit())
}

func TestTheDaemonIsStartedAsTheFirstProcessWas(t *testing.T) {
	s := raise(t)
	first := s.enters()
	ours, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", s.pid()))
	require.NoError(t, err)
	theirs, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", first.pid))
	require.NoError(t, err)
	assert.Contains(t, string(ours), "\x00some\x00arguments\x00")
	assert.Equal(t, string(ours), string(theirs))
	for fd := range 3 {
		ours, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", s.pid(), fd))
		require.NoError(t, err)
		theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", first.pid, fd))
		require.NoError(t, err)
		assert.Equal(t, ours, theirs)
	}
}

func TestDaemonThatCannotBeStarted(t *testing.T) {
	s := raise(t, func(c *exec.Cmd) { c.Env = append(c.Env, pathEnv+"="+filepath.Join(t.TempDir(), "nowhere")) })
	assert.Equal(t, 1, s.exit())
	assert.Contains(t, s.logged(), "nowhere: no such file or directory")
}

func TestOrphansAreReaped(t *testing.T) {
	s := raise(t)
	p := s.enters()
	p.do("announce")
	p.do("shell for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do (exec /bin/true) & done")
	s.noZombies(1)

	// One that lives on is ours now, and gone when it ends.
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	p.do("shell (read x < %s) &", fifo)
	s.noZombies(2)
	release(t, fifo)
	s.noZombies(1)
}

// What is left behind by a program that the daemon has started does not keep a container
// from ending.
func TestTheEndDoesNotWaitForStrangers(t *testing.T) {
	s := raise(t)
	p := s.enters()
	p.do("announce")
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	p.do("shell (read x < %s) &", fifo)
	s.noZombies(2)
	p.tell("exit 6")
	assert.Equal(t, 6, s.exit())
	release(t, fifo)
}

// release lets a reader of the fifo go on.
func release(t *testing.T, fifo string) {
	t.Helper()
	f, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func TestPredecessorTakesBack(t *testing.T) {
	s := raise(t)
	first := s.enters()
	first.do("announce")
	second := first.spawn()
	second.do("announce")
	second.kill(syscall.SIGKILL)
	second.leaves()

	require.Eventually(t, func() bool { // its parent reaps it
		return len(childrenOf(t, first.pid)) == 0
	}, patience, time.Millisecond)
	s.signal(syscall.SIGHUP)
	first.hears(syscall.SIGHUP) // before it has said anything
	first.do("announce")
	s.signal(syscall.SIGUSR1)
	first.hears(syscall.SIGUSR1)

	third := first.spawn() // and it can try again
	third.do("announce")
	s.signal(syscall.SIGHUP)
	third.hears(syscall.SIGHUP)
	first.tell("exit 0")
	first.leaves()
	third.tell("exit 5")
	assert.Equal(t, 5, s.exit())
}

// A predecessor that drains while its successor dies, and does not take over again, knows how
// it ended; the supervisor does not.
func TestNobodyTakesBack(t *testing.T) {
	s := raise(t)
	first := s.enters()
	first.do("announce")
	second := first.spawn()
	second.do("announce")
	second.tell("exit 0")
	second.leaves()
	require.Eventually(t, func() bool { return len(childrenOf(t, first.pid)) == 0 }, patience, time.Millisecond)
	s.signal(syscall.SIGTERM)
	first.hears(syscall.SIGTERM)
	first.tell("exit 0")
	assert.Equal(t, 1, s.exit())
	assert.Contains(t, s.logged(), "nobody knows how")
}

// The predecessor dies in the middle of a restart. Signals wait for the successor.
func TestSuccessorGoesOnAlone(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			s := raise(t)
			first := s.enters()
			first.do("announce")
			second := first.spawn()
			first.kill(syscall.SIGKILL)
			first.leaves()
			require.Eventually(t, func() bool { return field(t, second.pid, "PPid") == field(t, s.pid(), "Pid") }, patience, time.Millisecond)
			s.noZombies(1)
			s.signal(sig)
			s.takenUp()
			second.heardNothing()
			second.do("announce")
			second.hears(sig)
			second.tell("exit 2")
			assert.Equal(t, 2, s.exit())
		})
	}
}

func TestDaemonHearsThatTheSupervisorIsGone(t *testing.T) {
	s := raise(t)
	first := s.enters()
	first.do("announce")
	second := first.spawn()
	second.do("announce")
	third := second.spawn() // the pipe has been passed on, and is waited for all the same
	first.tell("lost")
	second.tell("lost")
	third.tell("lost")
	s.signal(syscall.SIGKILL)
	for _, p := range []*player{first, second, third} {
		p.done()
		p.tell("exit 0")
		p.leaves()
	}
}

func TestNonsenseOnThePipeChangesNothing(t *testing.T) {
	s := raise(t)
	p := s.enters()
	p.do("announce")
	p.do("babble main 0")
	p.do("babble nonsense")
	p.do("babble main 999999999") // nobody has this pid
	s.signal(syscall.SIGHUP)
	p.hears(syscall.SIGHUP)
	p.do("announce")
	p.tell("exit 3")
	assert.Equal(t, 3, s.exit())
	assert.Contains(t, s.logged(), `\"nonsense\"`)
}

// A storm of everything at once ends as it should.
func TestManySignalsAndDeaths(t *testing.T) {
	s := raise(t)
	p := s.enters()
	p.do("announce")
	for range 10 {
		p.tell("shell for i in 1 2 3 4 5 6 7 8 9 10; do (exec /bin/true) & done")
		for range 5 {
			s.signal(syscall.SIGHUP)
			p.hears(syscall.SIGHUP)
		}
		p.done()
	}
	s.noZombies(1)
	s.signal(syscall.SIGTERM)
	p.hears(syscall.SIGTERM)
	p.tell("exit 0")
	assert.Equal(t, 0, s.exit())
}

// As process 1 of a container nothing has to be asked for.
func TestProcessOne(t *testing.T) {
	s := raise(t, func(c *exec.Cmd) {
		c.Env = append(c.Env, flagEnv+"=")
		c.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID
		if os.Getuid() != 0 {
			c.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		}
	})
	first := s.enters()
	require.Equal(t, 1, first.parent)
	first.do("announce")
	second := first.spawn()
	second.do("announce")
	first.tell("exit 0")
	first.leaves()
	s.noZombies(1)
	second.do("shell (exec /bin/true) &")
	s.noZombies(1)
	s.signal(syscall.SIGHUP)
	second.hears(syscall.SIGHUP)
	s.signal(syscall.SIGTERM)
	second.hears(syscall.SIGTERM)
	second.kill(syscall.SIGKILL)
	assert.Equal(t, 128+int(unix.SIGKILL), s.exit())
}

// openFiles are the descriptors of a process.
func openFiles(t *testing.T, pid int) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("/proc", field(t, pid, "Pid"), "fd", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	return names
}
