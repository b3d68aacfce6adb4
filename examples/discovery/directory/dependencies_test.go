package directory

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"samaritan/config"
)

func TestDependenciesAreListsByBelong(t *testing.T) {
	got, err := parseDependencies("f", []byte("demo: [a, b]\nall: \"*\"\nstar: [\"*\"]\nnone: []\nempty:\n"))
	require.NoError(t, err)
	assert.Equal(t, map[string][]string{"demo": {"a", "b"}, "all": {"*"}, "star": {"*"}, "none": {}, "empty": nil}, got)

	got, err = parseDependencies("f", []byte("{}"))
	require.NoError(t, err)
	assert.Empty(t, got)
}

func TestBadDependenciesAreProblems(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "f: is empty",
		"# nothing\n":              "f: is empty",
		"demo: 7\n":                "f:1: ",
		"\ndemo: a\n":              "f:2: ",
		"demo: [a]\ndemo: [b]\n":   "f:2: key \"demo\" already set in map",
		"demo: [[a]]\nx: {a: b}\n": "f:1: ",
		"- a\n":                    "f:1: ",
		"demo: *\n":                "f: did not find expected alphabetic or numeric character (\"*\" needs its quotes)",
		"\"\": [a]\n":              "f: a name of what instances belong to must not be empty",
	} {
		_, err := parseDependencies("f", []byte(text))
		var problems config.Problems
		if assert.ErrorAs(t, err, &problems, text) {
			assert.Contains(t, err.Error(), want, text)
		}
	}
}
