package dynamic

import (
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api/bootstrap"
	"samaritan/api/common"
	"samaritan/config"
)

// A disk that was full has room again, and nothing else happens.
func TestStateThatCouldNotBeWrittenIsWrittenLater(t *testing.T) {
	s := listen(t, "")
	dir := filepath.Join(t.TempDir(), "later")
	r := kept(t, s.address, dir).run()
	p := s.accept()
	p.depends([]string{"a"}, nil)
	p.wants("a")
	p.tell("a", 1001, 1)
	r.runs("a:1001[1]")
	require.Eventually(t, func() bool { return r.stat("persist_failures_total") > 2 }, within, time.Millisecond)
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.Eventually(t, func() bool {
		state, err := readState(filepath.Join(dir, stateName))
		return err == nil && state != nil && len(state.services) == 1 && len(state.services[0].endpoints) == 1
	}, within, time.Millisecond)
	r.logged("can be written again", 1)
	r.logged(`msg="the management server has changed services" component=dynamic added=[a] removed=[] changed=[] services=1`, 1)
}

// keeping runs a keeper until stop is called.
func keeping(dir string) (k *keeper, stop func()) {
	k = newKeeper(dir, slog.New(slog.DiscardHandler))
	k.every, k.again = time.Millisecond, time.Millisecond
	return k, runKeeper(k)
}

func runKeeper(k *keeper) (stop func()) {
	var running sync.WaitGroup
	running.Go(k.run)
	return sync.OnceFunc(func() {
		k.close()
		running.Wait()
	})
}

func TestTwoProcessesDoNotWriteOverEachOthersState(t *testing.T) {
	dir := t.TempDir()
	one, endOne := keeping(dir)
	defer endOne()
	two, endTwo := keeping(dir)
	defer endTwo()
	one.put(&state{Belong: "one"})
	require.Eventually(t, func() bool { return one.snapshot().writes > 0 }, within, time.Millisecond)
	two.put(&state{Belong: "two"})
	require.Eventually(t, func() bool { return two.snapshot().failures > 1 }, within, time.Millisecond)
	assert.Contains(t, two.snapshot().err, "another samaritan keeps its state there")
	s, err := readState(one.path)
	require.NoError(t, err)
	assert.Equal(t, "one", s.Belong)

	endOne() // who stays takes over
	require.Eventually(t, func() bool { return two.snapshot().writes > 0 }, within, time.Millisecond)
	s, err = readState(one.path)
	require.NoError(t, err)
	assert.Equal(t, "two", s.Belong)
	assert.Empty(t, two.snapshot().err)
}

// Nothing could end the wait for somebody to write to it.
func TestPipeInThePlaceOfAFileIsAnErrorAtOnce(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	for _, source := range []*bootstrap.ConfigSource{
		{Endpoint: nowhere, TokenFile: pipe},
		{Endpoint: nowhere, Tls: &bootstrap.ConfigSource_TLS{CaFile: pipe}},
		{Endpoint: nowhere, Tls: &bootstrap.ConfigSource_TLS{CertFile: pipe, KeyFile: pipe}},
	} {
		r := prepare(t, Options{Source: source}).run()
		r.until("refused", func(s Status) bool { return s.LastError != "" })
		assert.Contains(t, r.Status().LastError, "is not a regular file")
		r.stop()
	}
	_, err := readState(pipe)
	require.ErrorIs(t, err, config.ErrNotRegular)
}

func TestClientBeginsWithWhatTheOneBeforeItKnows(t *testing.T) {
	s := listen(t, "")
	old := start(t, s.address)
	p := s.accept()
	p.depends([]string{"a", "b"}, nil)
	p.wants("a", "b")
	p.tell("a", 1001, 1)
	old.runs("a:1001[1]")
	old.stop()

	dir := t.TempDir() // with an older state
	require.NoError(t, replaceFile(filepath.Join(dir, stateName), []byte(`{"format":"samaritan dynamic state","version":1,"belong":"web","services":[]}`)))
	for _, dir := range []string{"", dir} {
		r := kept(t, nowhere, dir)
		assert.False(t, r.Loaded())
		r.Succeed(old.Client)
		r.run()
		r.runs("a:1001[1]")
		got := r.Status()
		assert.True(t, r.Loaded())
		assert.Equal(t, 2, got.Dependencies)
		assert.Equal(t, map[string]string{"b": "config and endpoints"}, got.Waiting)
		r.stop()
	}
	state, err := readState(filepath.Join(dir, stateName))
	require.NoError(t, err)
	assert.Len(t, state.services, 2, "the file has it then")

	r := prepare(t, Options{Source: &bootstrap.ConfigSource{Endpoint: nowhere}, Instance: &common.Instance{Belong: "other"}})
	r.Succeed(old.Client)
	r.run()
	require.Eventually(t, func() bool { return r.stat("connect_failures_total") > 0 }, within, time.Millisecond)
	assert.Empty(t, r.text(), "another belong has other services")
}
