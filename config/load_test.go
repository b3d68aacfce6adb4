package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/api/redis"
)

func TestFilesThatCannotBeReadAreOneProblem(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing.yaml")
	huge := filepath.Join(dir, "huge.yaml")
	require.NoError(t, os.WriteFile(huge, nil, 0o600))
	require.NoError(t, os.Truncate(huge, 1<<40)) // takes no space

	tests := map[string]string{
		missing:     missing + ": open: no such file or directory",
		dir:         dir + ": read: is a directory",
		huge:        huge + ": is larger than 16777216 bytes",
		"/dev/zero": "/dev/zero: is larger than 16777216 bytes",
		"/dev/null": "/dev/null: is empty",
	}
	for path, want := range tests {
		_, err := Load(path)
		var problems Problems
		require.True(t, errors.As(err, &problems), path)
		assert.Len(t, problems, 1)
		assert.EqualError(t, err, want)
	}
}

func TestOptionsOverrideTheInstance(t *testing.T) {
	const text = "instance: {id: a, version: v, belong: b}\n"
	tests := []struct {
		name    string
		options Options
		text    string
		id      string
		belong  string
	}{
		{"nothing", Options{}, text, "a", "b"},
		{"id", Options{InstanceID: "x"}, text, "x", "b"},
		{"belong", Options{Belong: "y"}, text, "a", "y"},
		{"both", Options{InstanceID: "x", Belong: "y"}, text, "x", "y"},
		{"no instance", Options{InstanceID: "x", Belong: "y"}, "log: {}", "x", "y"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := tt.options.Parse("test", []byte(tt.text))
			require.NoError(t, err)
			assert.Equal(t, tt.id, b.Proto.Instance.Id)
			assert.Equal(t, tt.belong, b.Proto.Instance.Belong)
		})
	}
}

func TestDefaultsAreFilledIn(t *testing.T) {
	b, err := Load("testdata/good/minimal.yaml")
	require.NoError(t, err)
	require.Len(t, b.Services, 1)
	c := b.Services[0].Config
	assert.Equal(t, 3*time.Second, c.ConnectTimeout.AsDuration())
	assert.Equal(t, 10*time.Minute, c.IdleTimeout.AsDuration())
	assert.Equal(t, 5*time.Second, c.GetRedisOption().RequestTimeout.AsDuration())
	assert.Equal(t, 50*time.Millisecond, c.GetRedisOption().SlowThreshold.AsDuration())
	assert.Nil(t, c.HealthCheck)
	hot := c.GetRedisOption().HotKeys
	assert.True(t, hot.GetEnable())
	assert.EqualValues(t, 50, hot.Capacity)
	assert.Equal(t, 10*time.Second, hot.Interval.AsDuration())
	assert.Equal(t, 20*time.Second, hot.Window.AsDuration())
	assert.Zero(t, hot.LogTop)
	compression := c.GetRedisOption().Compression
	assert.False(t, compression.Enable)
	assert.Equal(t, redis.Compression_SNAPPY, compression.Algorithm)
	assert.Zero(t, compression.Threshold)
	assert.EqualValues(t, 1, compression.Level)
	assert.EqualValues(t, 512<<20, compression.MaxSize)
	assert.EqualValues(t, 1000, compression.MaxRatio)

	b, err = Parse("test", []byte("log: {}"))
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1", b.Proto.Admin.Bind.Ip)
	assert.EqualValues(t, 12345, b.Proto.Admin.Bind.Port)
}

func TestEndpointGivenTwiceIsUsedOnce(t *testing.T) {
	b, err := Load("testdata/good/endpoint-twice.yaml")
	require.NoError(t, err)
	assert.Len(t, b.Proto.StaticServices[0].Endpoints, 3)
	assert.Len(t, b.Services[0].Endpoints, 1)
}

func TestServicesKeepTheOrderOfTheFile(t *testing.T) {
	b, err := Load("testdata/good/old-many-services.yaml")
	require.NoError(t, err)
	var names []string
	for _, s := range b.Services {
		names = append(names, s.Name)
	}
	assert.Equal(t, []string{"cache", "session.store", "web"}, names)
}

func TestDurations(t *testing.T) {
	b, err := Load("testdata/good/durations-go.yaml")
	require.NoError(t, err)
	c := b.Services[0].Config
	assert.Equal(t, 90*time.Second, c.ConnectTimeout.AsDuration())
	assert.Equal(t, 100*time.Millisecond, c.IdleTimeout.AsDuration())
	assert.Equal(t, time.Hour, c.GetRedisOption().RequestTimeout.AsDuration())
	assert.Equal(t, 1500*time.Microsecond, c.GetRedisOption().SlowThreshold.AsDuration())
}

// However deep or wide the input is: no crash, and a bounded report.
func TestHugeInputIsBounded(t *testing.T) {
	const size = 100_000
	endpoint := "      - {address: {ip: 10.0.0.1, port: 7000}}\n"
	tests := map[string]string{
		"nested lists":    strings.Repeat("[", size),
		"nested mappings": strings.Repeat("{a: ", size/4),
		"indented":        indented(400),
		"wide":            "[" + strings.Repeat("1,", size/2) + "1]",
		"unknown fields":  "log: {" + strings.Repeat("x: 1, ", size/6) + "}",
		"long aliases":    "a: &a " + strings.Repeat("x", size) + "\nb: [" + strings.Repeat("*a, ", size/4) + "]",
		"long keys":       "a: &a {" + strings.Repeat("x", 1000) + ": 1}\nb: [" + strings.Repeat("*a, ", 40_000) + "]",
		"long name":       strings.Repeat("x", size) + ": 1",
		"many endpoints":  "static_services:\n  - endpoints:\n" + strings.Repeat(endpoint, size/len(endpoint)),
		"same listener":   "static_services:\n" + strings.Repeat("- config: {listener: {address: {ip: 0.0.0.0, port: 1}}}\n", size/50),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("huge", []byte(text))
			require.Error(t, err)
			assert.LessOrEqual(t, len(err.(Problems)), maxProblems+1)
			assert.Less(t, len(err.Error()), 100_000)
		})
	}
}

func indented(depth int) string {
	var b strings.Builder
	for i := range depth {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func TestProblemsSayHowManyWereLeftOut(t *testing.T) {
	_, err := Load("testdata/bad/many-problems.yaml")
	problems := err.(Problems)
	require.Len(t, problems, maxProblems+1)
	assert.Equal(t, "140 more problems", problems[maxProblems].Msg)
}

func FuzzParse(f *testing.F) {
	for _, folder := range []string{"good", "bad"} {
		for _, file := range inputs(f, folder) {
			data, err := os.ReadFile(file)
			require.NoError(f, err)
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := Parse("fuzz", data)
		if err != nil {
			var problems Problems
			require.True(t, errors.As(err, &problems))
			require.NotEmpty(t, problems)
			require.Equal(t, len(problems), len(strings.Split(err.Error(), "\n")))
			return
		}
		text, err := b.MarshalJSON()
		require.NoError(t, err)
		again, err := Parse("again", text)
		require.NoError(t, err, "%s", text)
		require.Equal(t, len(b.Services), len(again.Services))
	})
}
