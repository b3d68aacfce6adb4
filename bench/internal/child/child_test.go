package child

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStatTimes(t *testing.T) {
	const tail = " S 1 2 2 0 -1 4194560 1 2 3 4 150 75 0 0 20 0 5 0 100 1 2"
	for _, c := range []struct {
		name, stat   string
		user, system time.Duration
		fails        bool
	}{
		{"plain", "42 (redis-server)" + tail, 1500 * time.Millisecond, 750 * time.Millisecond, false},
		{"a name with spaces and parentheses", "42 (a) S (b c)" + tail, 1500 * time.Millisecond, 750 * time.Millisecond, false},
		{"empty", "", 0, 0, true},
		{"short", "42 (x) S 1 2", 0, 0, true},
		{"not a number", "42 (x) S 1 2 2 0 -1 0 1 2 3 4 u s 0", 0, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			user, system, err := parseStat([]byte(c.stat))
			assert.Equal(t, c.fails, err != nil, err)
			assert.Equal(t, c.user, user)
			assert.Equal(t, c.system, system)
		})
	}
}

func TestResidentMemory(t *testing.T) {
	rss, err := parseRSS("Name:\tx\nVmHWM:\t   9000 kB\nVmRSS:\t    8192 kB\nThreads:\t1\n")
	require.NoError(t, err)
	assert.EqualValues(t, 8<<20, rss)
	for _, status := range []string{"", "Name:\tx\n", "VmRSS:\tmany kB\n", "VmRSS:\t12 MB\n"} {
		_, err := parseRSS(status)
		assert.ErrorIs(t, err, errFormat, status)
	}
}

func FuzzParseProc(f *testing.F) {
	f.Add("42 (a b) S 1 2 2 0 -1 4194560 1 2 3 4 150 75 0 0 20")
	f.Add("VmRSS:\t    8192 kB\n")
	f.Fuzz(func(_ *testing.T, text string) {
		_, _, _ = parseStat([]byte(text))
		_, _ = parseRSS(text)
	})
}

func TestUsageIsSplitAsTheTicksAre(t *testing.T) {
	before := Usage{Total: time.Second, User: 300 * time.Millisecond, System: 700 * time.Millisecond}
	after := Usage{Total: 3 * time.Second, User: 800 * time.Millisecond, System: 2200 * time.Millisecond}
	assert.Equal(t, Usage{Total: 2 * time.Second, User: 500 * time.Millisecond, System: 1500 * time.Millisecond}, after.Sub(before))
	assert.Equal(t, Usage{Total: time.Second, System: time.Second}, Usage{Total: time.Second}.Sub(Usage{}))
}

func TestUsageOfThisProcessGrows(t *testing.T) {
	before, err := ReadUsage(os.Getpid())
	require.NoError(t, err)
	after := before
	for deadline := time.Now().Add(5 * time.Second); after.Total-before.Total < 20*time.Millisecond && time.Now().Before(deadline); {
		after, err = ReadUsage(os.Getpid()) // which is work, too
		require.NoError(t, err)
	}
	assert.GreaterOrEqual(t, after.Total-before.Total, 20*time.Millisecond)
	rss, err := ReadRSS(os.Getpid())
	require.NoError(t, err)
	assert.Greater(t, rss, int64(1<<20))
}

func TestProcessIsKilledAndReaped(t *testing.T) {
	s := NewStarter()
	defer s.Close()
	p, err := s.Start(Options{Dir: t.TempDir()}, "sh", "-c", "echo up; exec sleep 60")
	require.NoError(t, err)
	ready := func(context.Context) error {
		if p.LogTail() != "up" {
			return errors.New("silent")
		}
		return nil
	}
	require.NoError(t, p.Await(t.Context(), ready))
	require.NoError(t, p.Running())
	p.Kill()
	p.Kill()
	assert.ErrorContains(t, p.Running(), "up")
	_, err = ReadUsage(p.PID())
	assert.Error(t, err)
}

func TestMemoryIsReadWhenItStandsStill(t *testing.T) {
	s := NewStarter()
	defer s.Close()
	p, err := s.Start(Options{Dir: t.TempDir()}, "sleep", "60")
	require.NoError(t, err)
	begin := time.Now()
	rss, err := p.SettledRSS(t.Context())
	require.NoError(t, err)
	assert.Positive(t, rss)
	assert.GreaterOrEqual(t, time.Since(begin), settleFor)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = p.SettledRSS(ctx)
	assert.ErrorIs(t, err, context.Canceled)
	p.Kill()
	_, err = p.SettledRSS(t.Context())
	assert.ErrorContains(t, err, "has ended")
}

func TestAwaitEndsWithTheProcess(t *testing.T) {
	s := NewStarter()
	defer s.Close()
	p, err := s.Start(Options{Dir: t.TempDir()}, "sh", "-c", "echo no config >&2; exit 1")
	require.NoError(t, err)
	err = p.Await(t.Context(), func(context.Context) error { return errors.New("not ready") })
	assert.ErrorContains(t, err, "no config")
	assert.ErrorContains(t, err, "exit status 1")
}

func TestAwaitEndsWithTheContext(t *testing.T) {
	s := NewStarter()
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	errNotYet := errors.New("not yet")
	_, _, err := s.Launch(ctx, Options{Dir: t.TempDir()}, func(context.Context) error { cancel(); return errNotYet }, "sleep", "60")
	assert.ErrorIs(t, err, context.Canceled)
	assert.ErrorIs(t, err, errNotYet)
}

func TestCloseKillsWhatStillRuns(t *testing.T) {
	s := NewStarter()
	p, err := s.Start(Options{Dir: t.TempDir()}, "sleep", "60")
	require.NoError(t, err)
	s.Close()
	select {
	case <-p.exited:
	case <-time.After(10 * time.Second):
		t.Error("still running")
		p.Kill()
	}
}

func TestAllThatWereStartedAreKilled(t *testing.T) {
	s := NewStarter()
	defer s.Close()
	start := func(_ context.Context, command string) (*Process, error) {
		return s.Start(Options{Dir: t.TempDir()}, command, "60")
	}
	all, killAll, err := StartAll(t.Context(), []string{"sleep", "sleep"}, start)
	require.NoError(t, err)
	require.Len(t, all, 2)
	killAll()
	all2, killAll, err := StartAll(t.Context(), []string{"sleep", "/no/such/program", "sleep"}, start)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Len(t, all2, 1)
	killAll()
	for _, p := range append(all, all2...) {
		assert.Error(t, p.Running())
	}
}

func TestOutput(t *testing.T) {
	s := NewStarter()
	defer s.Close()
	out, err := s.Output(t.Context(), "echo", "hello")
	require.NoError(t, err)
	assert.Equal(t, "hello\n", string(out))
	_, err = s.Output(t.Context(), "sh", "-c", "echo refused >&2; exit 3")
	assert.ErrorContains(t, err, "refused")
	_, err = s.Output(t.Context(), "/no/such/program")
	assert.Error(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = s.Output(ctx, "sleep", "60")
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestPinnedChildSeesItsCPUs(t *testing.T) {
	cpus, err := CPUs()
	require.NoError(t, err)
	require.NotEmpty(t, cpus)
	s := NewStarter()
	defer s.Close()
	p, err := s.Start(Options{Dir: t.TempDir(), CPUs: cpus[:1]}, "sh", "-c", "nproc; exec sleep 60")
	require.NoError(t, err)
	defer p.Kill()
	require.NoError(t, p.Await(t.Context(), func(context.Context) error {
		if p.LogTail() != "1" {
			return errors.New("not one CPU: " + p.LogTail())
		}
		return nil
	}))
	require.NoError(t, Pin(p.PID(), cpus[len(cpus)-1:]))
}

func TestFreePortsAreAccepted(t *testing.T) {
	port, admin, err := FreePorts()
	require.NoError(t, err)
	for _, addr := range []string{Loopback(port), Loopback(admin)} {
		l, err := net.Listen("tcp4", addr)
		require.NoError(t, err)
		assert.NoError(t, Accepts(addr)(t.Context()))
		require.NoError(t, l.Close())
		assert.Error(t, Accepts(addr)(t.Context()))
	}
}

// Two draws of one port each would meet in one of some thousand cases.
func TestFreePortsDiffer(t *testing.T) {
	for range 3 * portCount {
		port, admin, err := FreePorts()
		require.NoError(t, err)
		require.NotEqual(t, port, admin)
	}
}

func TestCPUHasAModel(t *testing.T) {
	assert.Equal(t, "Example CPU: 3 GHz", cpuModel("processor\t: 0\nmodel name\t: Example CPU: 3 GHz\n"))
	assert.Equal(t, runtime.GOARCH, cpuModel(""))
	assert.NotEmpty(t, CPUModel())
}

func TestRaiseFilesReportsWhatItGot(t *testing.T) {
	got, err := RaiseFiles(64)
	require.NoError(t, err)
	assert.GreaterOrEqual(t, got, uint64(64))
}
