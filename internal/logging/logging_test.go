package logging

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseLevel(t *testing.T) {
	tests := []struct {
		in   string
		want slog.Level
		ok   bool
	}{
		{"DEBUG", slog.LevelDebug, true},
		{"INFO", slog.LevelInfo, true},
		{"", slog.LevelInfo, true},
		{"WARING", slog.LevelWarn, true},
		{"WARN", slog.LevelWarn, true},
		{"warning", slog.LevelWarn, true},
		{"Error", slog.LevelError, true},
		{"QUIET", LevelQuiet, true},
		{"LOUD", 0, false},
		{" INFO", 0, false},
	}
	for _, tt := range tests {
		got, err := ParseLevel(tt.in)
		assert.Equal(t, tt.want, got, tt.in)
		assert.Equal(t, tt.ok, err == nil, tt.in)
	}
}

func TestNewRejectsBadOptions(t *testing.T) {
	for name, o := range map[string]Options{
		"level":       {Level: "LOUD"},
		"output":      {Output: 9},
		"no target":   {Output: Syslog},
		"no port":     {Output: Syslog, Target: "127.0.0.1"},
		"no host":     {Output: Syslog, Target: ":514"},
		"port 0":      {Output: Syslog, Target: "127.0.0.1:0"},
		"port name":   {Output: Syslog, Target: "127.0.0.1:syslog"},
		"port beyond": {Output: Syslog, Target: "127.0.0.1:65536"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(o)
			assert.Error(t, err)
		})
	}
}

func TestLevelChangesAtRunTimeAlsoForDerivedLoggers(t *testing.T) {
	var b bytes.Buffer
	l, err := New(Options{Level: "WARING", Writer: &b})
	require.NoError(t, err)
	child := l.With("component", "proc")
	child.Info("one")
	require.NoError(t, l.SetLevel("debug"))
	child.Debug("two")
	require.NoError(t, l.SetLevel("QUIET"))
	child.Error("three")
	require.Error(t, l.SetLevel("LOUD"))
	assert.Equal(t, LevelQuiet, l.Level())

	assert.Equal(t, 1, strings.Count(b.String(), "\n"), b.String())
	assert.Contains(t, b.String(), "level=DEBUG msg=two component=proc")
	assert.Zero(t, l.Dropped())
	assert.NoError(t, l.Close())
}

func TestLevelMovesByItsName(t *testing.T) {
	for _, name := range []string{"DEBUG", "INFO", "WARING", "ERROR", "QUIET"} {
		from, err := New(Options{Level: name})
		require.NoError(t, err)
		to, err := New(Options{})
		require.NoError(t, err)
		require.NoError(t, to.SetLevel(from.LevelName()))
		assert.Equal(t, from.Level(), to.Level(), name)
	}
}
