package dynamic

import (
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api/bootstrap"
	"samaritan/api/common"
)

// nowhere is an address at which nobody listens.
const nowhere = "127.0.0.1:1"

// kept prepares a client with a data directory.
func kept(t *testing.T, address, dir string) *rig {
	t.Helper()
	return prepare(t, Options{Source: &bootstrap.ConfigSource{Endpoint: address}, Dir: dir})
}

// learned runs a client until it has learned three services, of which one waits for
// its endpoints, and returns the directory with what it kept.
func learned(t *testing.T, s *server) (dir string) {
	t.Helper()
	dir = t.TempDir()
	r := kept(t, s.address, dir).run()
	p := s.accept()
	p.depends([]string{"a", "b", "c"}, nil)
	p.wants("a", "b", "c")
	p.tell("a", 1001, 1, 2)
	p.tell("b", 1002)
	p.config("c", tcpConfig(1003))
	r.runs("a:1001[1 2] b:1002[]")
	r.until("c waits", func(s Status) bool { return s.Waiting["c"] == "endpoints" })
	r.stop()
	return dir
}

func TestRestartDoesNotWaitForTheServer(t *testing.T) {
	s := listen(t, "")
	dir := learned(t, s)
	s.grpc.Stop()

	r := kept(t, s.address, dir).run()
	r.runs("a:1001[1 2] b:1002[]")
	got := r.Status()
	assert.Equal(t, "disk", got.State)
	assert.Equal(t, []int{3, 2, 3}, []int{got.Dependencies, got.Services, got.FromDisk})
	assert.Equal(t, map[string]string{"c": "endpoints"}, got.Waiting)
	assert.Positive(t, got.LagSeconds)
	calls := r.count()

	s = listen(t, s.address)
	p := s.accept()
	p.wants("a", "b", "c")
	p.depends([]string{"a", "b"}, nil)
	p.wants("a", "b")
	p.tell("a", 1001, 2, 1) // the same
	require.Eventually(t, func() bool { return r.Status().FromDisk == 1 }, within, time.Millisecond)
	assert.Equal(t, calls, r.count())
	p.tell("b", 1002, 5)
	r.runs("a:1001[1 2] b:1002[5]")
	got = r.Status()
	assert.Equal(t, "live", got.State)
	assert.Zero(t, got.FromDisk)
	r.stop()

	r = kept(t, nowhere, dir).run()
	r.runs("a:1001[1 2] b:1002[5]")
	r.logged("of another management server", 1)
}

func TestStateIsWrittenWhileItRuns(t *testing.T) {
	s := listen(t, "")
	dir := t.TempDir()
	r := kept(t, s.address, dir).run()
	p := s.accept()
	p.depends([]string{"a"}, nil)
	p.wants("a")
	p.tell("a", 1001, 1)
	require.Eventually(t, func() bool {
		state, err := readState(filepath.Join(dir, stateName))
		return err == nil && state != nil && len(state.services) == 1 && len(state.services[0].endpoints) == 1
	}, within, time.Millisecond)
	info, err := os.Stat(filepath.Join(dir, stateName))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	r.until("noted", func(s Status) bool { return !s.StateFileSaved.IsZero() })
	r.stop()
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, left, 1, "no temporary file stays")
}

func TestStateIsNotWrittenMoreOftenThanAllowed(t *testing.T) {
	s := listen(t, "")
	r := kept(t, s.address, t.TempDir())
	r.keeper.every = time.Hour
	r.run()
	p := s.accept()
	p.depends([]string{"a"}, nil)
	p.wants("a")
	for i := range 200 {
		p.tell("a", 1001, i+1)
	}
	require.Eventually(t, func() bool { return len(r.services()) == 1 && len(r.services()[0].Endpoints) == 200 }, within, time.Millisecond)
	assert.LessOrEqual(t, r.stat("persists_total"), 1.0)
	r.stop()
	assert.LessOrEqual(t, r.stat("persists_total"), 2.0)
	state, err := readState(r.keeper.path)
	require.NoError(t, err)
	assert.Len(t, state.services[0].endpoints, 200, "the end writes the last state")
}

func TestStateOfAnotherServiceIsNotUsed(t *testing.T) {
	s := listen(t, "")
	dir := learned(t, s)
	r := prepare(t, Options{Source: &bootstrap.ConfigSource{Endpoint: nowhere}, Dir: dir, Instance: &common.Instance{Belong: "other"}}).run()
	require.Eventually(t, func() bool { return r.stat("connect_failures_total") > 0 }, within, time.Millisecond)
	assert.Empty(t, r.text())
	assert.Equal(t, "none", r.Status().State)
	r.logged("is of another service", 1)
	r.stop()
	r = kept(t, nowhere, dir).run()
	r.runs("a:1001[1 2] b:1002[]") // it was left alone
}

func TestFileOfNoUseIsPutAside(t *testing.T) {
	s := listen(t, "")
	good, err := os.ReadFile(filepath.Join(learned(t, s), stateName))
	require.NoError(t, err)
	for name, text := range map[string]string{
		"empty":         "",
		"truncated":     string(good[:len(good)-10]),
		"more after it": string(good) + "{}",
		"zeros":         string(make([]byte, 4096)),
		"of others":     `{"format":"something","version":1}`,
		"list":          `[1,2]`,
		"newer":         `{"format":"samaritan dynamic state","version":2,"belong":"web"}`,
		"no version":    `{"format":"samaritan dynamic state","belong":"web"}`,
		"bad message":   `{"format":"samaritan dynamic state","version":1,"belong":"web","services":[{"name":"a","config":{"listener":5}}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, stateName)
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			r := kept(t, nowhere, dir).run()
			require.Eventually(t, func() bool { return r.stat("connect_failures_total") > 0 }, within, time.Millisecond)
			assert.Equal(t, "none", r.Status().State)
			r.logged("was put aside", 1)
			assert.NoFileExists(t, path)
			aside, err := os.ReadFile(path + ".bad")
			require.NoError(t, err)
			assert.Equal(t, text, string(aside))
		})
	}
}

func TestServiceInTheFileThatIsInvalidIsLeftOut(t *testing.T) {
	dir := t.TempDir()
	text := `{"format":"samaritan dynamic state","version":1,"belong":"web","endpoint":"127.0.0.1:1","services":[
{"name":"a","config":{"listener":{"address":{"ip":"127.0.0.1","port":1001}},"protocol":"TCP","of_tomorrow":1},"endpoints":[{"address":{"ip":"10.0.0.1","port":1}}]},
{"name":"a","config":{}},
{"name":"b","config":{"listener":{},"protocol":"TCP"},"endpoints":[]},
{"name":"c","config":{"listener":{"address":{"ip":"127.0.0.1"}},"protocol":"TCP"},"endpoints":[{}]},
{"name":""}
]}`
	require.NoError(t, os.WriteFile(filepath.Join(dir, stateName), []byte(text), 0o600))
	r := kept(t, nowhere, dir).run()
	r.runs("a:1001[1]")
	got := r.Status()
	assert.Equal(t, 3, got.RejectedCount)
	assert.Equal(t, map[string]string{"b": "config", "c": "endpoints"}, got.Waiting)
}

func TestDirectoryThatCannotBeWrittenIsSaidOnce(t *testing.T) {
	s := listen(t, "")
	dir := filepath.Join(t.TempDir(), "later") // as root may write anywhere, one that is not there
	r := kept(t, s.address, dir).run()
	p := s.accept()
	for i := range 5 {
		name := string(rune('a' + i))
		p.depends([]string{name}, nil)
		require.Eventually(t, func() bool { return r.Status().Dependencies == i+1 && r.stat("persist_failures_total") > float64(i) }, within, time.Millisecond)
	}
	assert.NotEmpty(t, r.Status().StateFileError)
	r.logged("cannot be written", 1)
	p.wants("a", "b", "c", "d", "e")
	p.tell("a", 1001, 1)
	r.runs("a:1001[1]")
}

func TestFullDiskLeavesTheOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), stateName)
	require.NoError(t, replaceFile(path, []byte("old")))
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit))
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1000, Max: limit.Max}))
	err := replaceFile(path, make([]byte, 10_000))
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit))
	require.ErrorIs(t, err, syscall.EFBIG)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "old", string(text))
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, left, 1)
}

func TestLeftoversOfACrashAreRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), stateName)
	old, young := path+".tmp-1", path+".tmp-2"
	require.NoError(t, os.WriteFile(old, nil, 0o600))
	require.NoError(t, os.WriteFile(young, nil, 0o600))
	before := time.Now().Add(-2 * time.Hour)
	require.NoError(t, os.Chtimes(old, before, before))
	removeLeftovers(path)
	assert.NoFileExists(t, old)
	assert.FileExists(t, young)
}

// successor prepares a client in the data directory of another process that still runs.
func successor(t *testing.T, address, dir string, leaves time.Duration) *rig {
	t.Helper()
	return prepare(t, Options{Source: &bootstrap.ConfigSource{Endpoint: address}, Dir: dir, Predecessor: leaves})
}

func TestSuccessorBeginsWithTheFileAndWaitsForItsLock(t *testing.T) {
	s := listen(t, "")
	dir := t.TempDir()
	parent := kept(t, s.address, dir).run()
	p := s.accept()
	p.depends([]string{"a"}, nil)
	p.wants("a")
	p.tell("a", 1001, 1)
	parent.runs("a:1001[1]")
	require.Eventually(t, func() bool {
		state, err := readState(parent.keeper.path)
		return err == nil && state != nil && len(state.services) == 1 && len(state.services[0].endpoints) == 1
	}, within, time.Millisecond)

	child := successor(t, s.address, dir, time.Hour).run()
	child.runs("a:1001[1]")
	assert.Equal(t, "disk", child.Status().State)
	q := s.accept()
	q.depends([]string{"a"}, nil)
	q.wants("a")
	q.tell("a", 1001, 1, 2)
	child.runs("a:1001[1 2]")
	begin := time.Now()
	require.Never(t, func() bool { return child.Status().StateFileError != "" }, 100*time.Millisecond, time.Millisecond)
	t.Logf("waited for the lock for %v", time.Since(begin))
	assert.Zero(t, child.stat("persist_failures_total"))
	assert.Zero(t, child.stat("persists_total"))

	parent.stop()
	require.Eventually(t, func() bool { return child.stat("persists_total") > 0 }, within, time.Millisecond)
	state, err := readState(child.keeper.path)
	require.NoError(t, err)
	require.Len(t, state.services, 1)
	assert.Len(t, state.services[0].endpoints, 2, "the successor's state is the last one")
	assert.Zero(t, child.stat("persist_failures_total"))
	child.logged("cannot be written", 0)
}

func TestPredecessorThatDoesNotLeaveIsAnErrorInTheEnd(t *testing.T) {
	dir := t.TempDir()
	one, endOne := keeping(dir)
	defer endOne()
	one.put(&state{Belong: "one"})
	require.Eventually(t, func() bool { return one.snapshot().writes > 0 }, within, time.Millisecond)
	two := newKeeper(dir, slog.New(slog.DiscardHandler))
	two.again, two.yield, two.leave = time.Millisecond, time.Millisecond, 50*time.Millisecond
	begin := time.Now()
	endTwo := runKeeper(two)
	defer endTwo()
	two.put(&state{Belong: "two"})
	require.Eventually(t, func() bool { return two.snapshot().failures > 0 }, within, time.Millisecond)
	assert.GreaterOrEqual(t, time.Since(begin), two.leave)
	assert.Contains(t, two.snapshot().err, "another samaritan keeps its state there")
}

func TestOtherErrorsThanTheLockAreNotPutDownToAPredecessor(t *testing.T) {
	k := newKeeper(filepath.Join(t.TempDir(), "missing"), slog.New(slog.DiscardHandler))
	k.leave = time.Hour
	defer runKeeper(k)()
	k.put(&state{Belong: "one"})
	require.Eventually(t, func() bool { return k.snapshot().failures > 0 }, within, time.Millisecond)
}

// Somebody tidies up. The lock that is held is then one on a directory that is not there.
func TestDirectoryThatWasRemovedIsMadeAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	k := newKeeper(dir, slog.New(slog.DiscardHandler))
	k.every = time.Millisecond
	k.makeDir = func() error { return os.MkdirAll(dir, 0o700) }
	defer runKeeper(k)()
	for i := range 3 {
		k.put(&state{Belong: "one"})
		require.Eventually(t, func() bool { _, err := os.Stat(k.path); return err == nil && k.snapshot().writes > uint64(i) }, within, time.Millisecond)
		other := newKeeper(dir, slog.New(slog.DiscardHandler))
		require.ErrorIs(t, other.claim(), errShared, "the directory that is there is locked")
		require.NoError(t, os.RemoveAll(dir))
	}
	assert.Zero(t, k.snapshot().failures)
}
