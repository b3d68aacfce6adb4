package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the expected results in testdata anew")

// inputs returns the config files in a folder of testdata.
func inputs(t testing.TB, folder string) []string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"*.yaml", "*.json"} {
		found, err := filepath.Glob(filepath.Join("testdata", folder, pattern))
		require.NoError(t, err)
		files = append(files, found...)
	}
	require.NotEmpty(t, files)
	return files
}

// golden compares with what is expected, which stands next to the input.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

func TestGoodFilesGiveTheirEffectiveConfig(t *testing.T) {
	for _, file := range inputs(t, "good") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			b, err := Load(file)
			require.NoError(t, err)
			text, err := json.MarshalIndent(b, "", "  ")
			require.NoError(t, err)
			golden(t, file+".effective", string(text)+"\n")
		})
	}
}

func TestBadFilesGiveTheirProblems(t *testing.T) {
	for _, file := range inputs(t, "bad") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			b, err := Parse(filepath.Base(file), data)
			require.Error(t, err)
			assert.Nil(t, b)
			var problems Problems
			require.True(t, errors.As(err, &problems))
			assert.Len(t, strings.Split(err.Error(), "\n"), len(problems), "one line for each problem")
			golden(t, file+".err", err.Error()+"\n")
		})
	}
}

// The effective config is a config file itself, and its own effective config.
func TestEffectiveConfigLoadsAgain(t *testing.T) {
	for _, file := range inputs(t, "good") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			b, err := Load(file)
			require.NoError(t, err)
			text, err := json.Marshal(b)
			require.NoError(t, err)
			again, err := Parse("again", text)
			require.NoError(t, err)
			twice, err := json.Marshal(again)
			require.NoError(t, err)
			assert.Equal(t, string(text), string(twice))
		})
	}
}

// A file that is cut off, as while it is being written, is refused or a config.
func TestPrefixesOfFilesNeverPanic(t *testing.T) {
	data, err := os.ReadFile("testdata/good/old-redis-full.yaml")
	require.NoError(t, err)
	for n := range data {
		b, err := Parse("prefix", data[:n])
		assert.NotEqual(t, err == nil, b == nil)
	}
}

func TestLineEndsOfWindowsAreFine(t *testing.T) {
	for _, file := range inputs(t, "good") {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		_, err = Parse("crlf", bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n")))
		assert.NoError(t, err, file)
	}
}
